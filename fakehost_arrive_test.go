package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// arrive hands something to the session, at once if it is idle.
func (s *hostSession) arrive(ctx context.Context, a arrival) {
	select {
	case s.arrives <- a:
	case <-ctx.Done():
	}
}

// A messagingSocket is where a session takes messages from what it started.
type messagingSocket struct {
	path, token string
	ln          net.Listener
	dir         string
}

// listen opens the session's messaging socket.
func (s *hostSession) listen(ctx context.Context) (*messagingSocket, error) {
	dir, err := os.MkdirTemp("", "fh") // a socket's path must be short
	if err != nil {
		return nil, err
	}
	m := &messagingSocket{path: filepath.Join(dir, "s"), token: rand.Text(), dir: dir}
	if m.ln, err = new(net.ListenConfig).Listen(ctx, "unix", m.path); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	s.beside.Go(func() {
		for {
			conn, err := m.ln.Accept()
			if err != nil {
				return
			}
			s.beside.Go(func() { s.converse(ctx, conn, m.token) })
		}
	})
	return m, nil
}

func (m *messagingSocket) close() {
	m.ln.Close()
	os.RemoveAll(m.dir)
}

// converse takes the lines of one connection.
func (s *hostSession) converse(ctx context.Context, conn net.Conn, token string) {
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer conn.Close()
	authorized := false
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		var m struct {
			Type, Token string
			Message     struct{ Role, Content string }
		}
		switch err := json.Unmarshal(lines.Bytes(), &m); {
		case err != nil:
			s.ctl.fault("messaging socket: %v", err)
			return
		case m.Type == "auth" && m.Token == token:
			authorized = true
		case m.Type == "user" && m.Message.Role == "user" && authorized:
			s.arrive(ctx, arrival{"socket", "Another Claude session says: " + m.Message.Content})
		default:
			s.ctl.fault("messaging socket: a %q without authorization", m.Type)
			return
		}
	}
}

// monitor runs a command of which each line is a turn.
func (s *hostSession) monitor(ctx context.Context, command string) {
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Env, cmd.Dir, cmd.WaitDelay = s.environ(), s.files.cwd, time.Second
	whole(cmd)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		s.ctl.fault("monitor: %v", err)
		return
	}
	s.beside.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			s.arrive(ctx, arrival{"monitor", lines.Text()})
		}
		cmd.Wait()
	})
}

// channelQueue holds channel notifications until the next turn.
type channelQueue struct {
	mu    sync.Mutex
	texts []string
}

func (q *channelQueue) put(text string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.texts = append(q.texts, text)
}

func (q *channelQueue) take() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	texts := q.texts
	q.texts = nil
	return texts
}
