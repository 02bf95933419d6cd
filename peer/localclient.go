package peer

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"time"

	"claudemesh/wire"
)

const (
	maxLocalBytes  = 1 << 20 // of one request, which is a line
	maxLocalAnswer = 8 << 20 // of one answer: a message may be most of a frame, and grows when it is escaped
	maxLocalConns  = 64      // served at once; more wait in the kernel
	localIO        = 5 * time.Second
	maxLocalWait   = 10 * time.Minute
	maxSocketBytes = 103 // of a path, the least that a system takes
)

// localRequest and localAnswer are the lines of the local socket.
type localRequest struct {
	Mail   *MailRequest  `json:"mail,omitempty"`
	Shown  *ShownRequest `json:"shown,omitempty"`
	Report *StatusReport `json:"report,omitempty"`
	Ways   bool          `json:"ways,omitempty"`
}

type localAnswer struct {
	Mail  *MailAnswer `json:"mail,omitempty"`
	Ways  *WaysAnswer `json:"ways,omitempty"`
	Error string      `json:"error,omitempty"`
}

// A SessionClient reaches the process that holds a session. Each call is a
// connection of its own.
type SessionClient struct{ path string }

// DialSession finds the process that holds a session: ErrNoSession if there is
// none, or if who listens is not this user.
func DialSession(sessionID string) (*SessionClient, error) {
	path, err := socketPath(sessionID)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoSession, err)
	}
	c := &SessionClient{path: path}
	conn, err := c.dial(context.Background())
	if err != nil {
		return nil, err
	}
	return c, conn.Close()
}

func (c *SessionClient) dial(ctx context.Context) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: localIO}).DialContext(ctx, "unix", c.path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoSession, err)
	}
	if err := sameUser(conn); err != nil {
		conn.Close()
		return nil, fmt.Errorf("%w: %w", ErrNoSession, err)
	}
	return conn, nil
}

// Mail asks for unseen mail. It waits as the request says, or until ctx ends.
func (c *SessionClient) Mail(ctx context.Context, req MailRequest) (MailAnswer, error) {
	a, err := c.ask(ctx, localRequest{Mail: &req}, time.Duration(req.WaitMillis)*time.Millisecond)
	if err != nil || a.Mail == nil {
		return MailAnswer{}, err
	}
	return *a.Mail, nil
}

// Shown confirms what was put before the model.
func (c *SessionClient) Shown(ctx context.Context, req ShownRequest) error {
	_, err := c.ask(ctx, localRequest{Shown: &req}, 0)
	return err
}

// Report tells the meshes what the session is doing.
func (c *SessionClient) Report(ctx context.Context, req StatusReport) error {
	_, err := c.ask(ctx, localRequest{Report: &req}, 0)
	return err
}

// Ways asks how mail reaches the session's model.
func (c *SessionClient) Ways(ctx context.Context) (WaysAnswer, error) {
	a, err := c.ask(ctx, localRequest{Ways: true}, 0)
	if err != nil || a.Ways == nil {
		return WaysAnswer{}, err
	}
	return *a.Ways, nil
}

// ask makes one round trip, which may take wait longer than one without work.
func (c *SessionClient) ask(ctx context.Context, req localRequest, wait time.Duration) (a localAnswer, err error) {
	ctx, cancel := context.WithTimeout(ctx, min(max(wait, 0), maxLocalWait)+2*localIO)
	defer cancel()
	conn, err := c.dial(ctx)
	if err != nil {
		return a, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err = writeLine(conn, req, maxLocalBytes); err == nil {
		err = readLine(conn, &a, maxLocalAnswer)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return a, fmt.Errorf("ask the session's process: %w", ctx.Err())
	case err != nil:
		return a, fmt.Errorf("ask the session's process: %w", err)
	case a.Error != "":
		return a, errors.New(a.Error)
	}
	return a, nil
}

func writeLine(w io.Writer, v any, most int) error {
	p, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(p) >= most {
		return fmt.Errorf("%d bytes are more than a line may have", len(p))
	}
	_, err = w.Write(append(p, '\n'))
	return err
}

func readLine(r io.Reader, v any, most int64) error {
	line, err := bufio.NewReader(io.LimitReader(r, most)).ReadBytes('\n')
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	return json.Unmarshal(line, v)
}

// socketPath returns where the socket of a session is, and makes its directory.
func socketPath(sessionID string) (string, error) {
	path, err := sessionPath(sessionID, ".sock")
	if err == nil && len(path) > maxSocketBytes {
		return "", fmt.Errorf("%s is too long a path for a socket: set XDG_RUNTIME_DIR to a shorter directory", path)
	}
	return path, err
}

// sessionPath returns where a file of a running session is, and makes its
// directory.
func sessionPath(sessionID, ending string) (string, error) {
	if sessionID == "" || len(sessionID) > wire.MaxSessionID {
		return "", fmt.Errorf("a session id must have 1 to %d bytes", wire.MaxSessionID)
	}
	dir, err := RuntimeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, hashName(sessionID)[:20]+ending), nil
}
