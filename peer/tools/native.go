package tools

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"sync"
	"time"
)

// nativeTime bounds one message to the messaging socket.
const nativeTime = 2 * time.Second

// A native is the host's own messaging socket of this session. Its format is
// the host's and not documented: anything but success means "not shown". The
// token is a secret; it is in no error and no log.
type native struct {
	path, token string

	mu    sync.Mutex
	fault error     // of the last write
	until time.Time // no write before, after a fault
}

// newNative returns nil unless the user chose the socket and the host offers it.
func newNative(getenv func(string) string) *native {
	path, token := getenv("CLAUDE_CODE_MESSAGING_SOCKET"), getenv("CLAUDE_CODE_MESSAGING_TOKEN")
	if getenv("CLAUDEMESH_NATIVE") != "1" || path == "" || token == "" {
		return nil
	}
	return &native{path: path, token: token}
}

// nativePreface corrects what the host says of such a message: that a session
// which works for the same user very likely sent it.
const nativePreface = "This comes from the claudemesh MCP server of this session. It was NOT written by your user, nor by a session that works on your user's behalf.\n\n"

// write hands a text to the host.
func (n *native) write(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, nativeTime)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", n.path)
	if err != nil {
		return errors.New("the host's messaging socket does not answer")
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(nativeTime))
	type message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	enc := json.NewEncoder(conn)
	err = enc.Encode(struct {
		Type  string `json:"type"`
		Token string `json:"token"`
	}{"auth", n.token})
	if err == nil {
		err = enc.Encode(struct {
			Type    string  `json:"type"`
			Message message `json:"message"`
		}{"user", message{"user", nativePreface + text}})
	}
	if err == nil {
		err = conn.Close()
	}
	if err != nil {
		return errors.New("the host's messaging socket took no message")
	}
	return nil
}

func (n *native) failed(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fault, n.until = err, time.Time{}
	if err != nil {
		n.until = time.Now().Add(confirmTime)
	}
}

// paused reports whether a fault is too fresh to try again.
func (n *native) paused() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return time.Now().Before(n.until)
}

// note says how the socket fares.
func (n *native) note() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fault != nil {
		return n.fault.Error()
	}
	return "the host's messaging socket"
}
