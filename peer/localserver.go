package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// A sessionServer serves the local socket of a session.
type sessionServer struct {
	handler SessionHandler
	ln      net.Listener
	path    string
	info    os.FileInfo // of the socket, to know it from a newer one at path
	cancel  context.CancelFunc
	served  sync.WaitGroup
}

// ListenSession answers the processes of a host session until ctx ends or the
// result is closed, which waits for the handler. The newest process of a
// session gets its socket, as it gets its connection to the broker.
func ListenSession(ctx context.Context, sessionID string, h SessionHandler) (io.Closer, error) {
	path, err := socketPath(sessionID)
	if err != nil {
		return nil, fmt.Errorf("listen for this session's hooks: %w", err)
	}
	s := &sessionServer{handler: h, path: path}
	if err := s.listen(ctx); err != nil {
		return nil, fmt.Errorf("listen for this session's hooks: %w", err)
	}
	ctx, s.cancel = context.WithCancel(ctx)
	s.served.Go(func() { s.accept(ctx) })
	return s, nil
}

// listen puts a new socket in the place of whatever is at the path: it is bound
// under another name and renamed, so that there always is one to connect to.
func (s *sessionServer) listen(ctx context.Context) error {
	unlock, err := acquire(ctx, filepath.Join(filepath.Dir(s.path), "sockets.lock"))
	if err != nil {
		return err
	}
	defer unlock()
	staged := filepath.Join(filepath.Dir(s.path), "new.sock")
	os.Remove(staged) // of a process that died
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: staged, Net: "unix"})
	if err != nil {
		return err
	}
	ln.SetUnlinkOnClose(false)
	s.ln = ln
	if err = os.Chmod(staged, 0o600); err == nil {
		err = os.Rename(staged, s.path)
	}
	if err == nil {
		s.info, err = os.Lstat(s.path)
	}
	if err != nil {
		ln.Close()
		os.Remove(staged)
	}
	return err
}

// Close implements io.Closer. It waits for the calls under way, whose context
// it ends.
func (s *sessionServer) Close() error {
	s.cancel()
	s.served.Wait()
	return nil
}

// remove takes the socket away unless a newer process has put its own there.
func (s *sessionServer) remove() {
	unlock, err := acquire(context.Background(), filepath.Join(filepath.Dir(s.path), "sockets.lock"))
	if err != nil {
		return // it is replaced by the next process of the session
	}
	defer unlock()
	if info, err := os.Lstat(s.path); err == nil && os.SameFile(info, s.info) {
		os.Remove(s.path)
	}
}

func (s *sessionServer) accept(ctx context.Context) {
	var calls sync.WaitGroup
	defer calls.Wait()
	defer s.remove()
	stop := context.AfterFunc(ctx, func() { s.ln.Close() })
	defer stop()
	room := make(chan struct{}, maxLocalConns)
	for {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return
		}
		conn, err := s.ln.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			<-room
			sleep(ctx, 50*time.Millisecond) // out of descriptors, most likely
			continue
		}
		calls.Go(func() {
			defer func() { conn.Close(); <-room }()
			s.serve(ctx, conn)
		})
	}
}

// serve answers one request.
func (s *sessionServer) serve(ctx context.Context, conn net.Conn) {
	if sameUser(conn) != nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	unblock := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
	defer unblock()
	conn.SetReadDeadline(time.Now().Add(localIO))
	var req localRequest
	if readLine(conn, &req, maxLocalBytes) != nil {
		return
	}
	// A caller that goes away must not take mail with it.
	conn.SetReadDeadline(time.Time{})
	var watching sync.WaitGroup
	watching.Go(func() {
		io.Copy(io.Discard, io.LimitReader(conn, 1))
		cancel()
	})
	defer watching.Wait()
	defer cancel()
	a, seen := s.answer(ctx, &req)
	err := ctx.Err()
	if err == nil {
		conn.SetWriteDeadline(time.Now().Add(localIO))
		err = writeLine(conn, a, maxLocalAnswer)
	}
	switch ctx := context.WithoutCancel(ctx); { // the caller may be gone
	case err != nil && a.Mail != nil && !req.Mail.Peek:
		s.handler.Shown(ctx, ShownRequest{Way: req.Mail.Way, MessageIDs: a.Mail.carried(), Failed: true})
	case err == nil && seen != nil:
		s.handler.Shown(ctx, *seen)
	}
}

// answer calls the handler. The second result is what counts as shown once the
// answer was written.
func (s *sessionServer) answer(ctx context.Context, req *localRequest) (a localAnswer, seen *ShownRequest) {
	var err error
	switch {
	case req.Mail != nil:
		req.Mail.WaitMillis = min(max(req.Mail.WaitMillis, 0), int(maxLocalWait.Milliseconds()))
		req.Mail.CatchUpMillis = min(max(req.Mail.CatchUpMillis, 0), int(localIO.Milliseconds()))
		a.Mail = new(MailAnswer)
		*a.Mail, err = s.handler.Mail(ctx, *req.Mail)
		if !req.Mail.Peek && !req.Mail.Confirm {
			seen = &ShownRequest{Way: req.Mail.Way, MessageIDs: a.Mail.carried()}
		}
	case req.Shown != nil:
		err = s.handler.Shown(ctx, *req.Shown)
	case req.Report != nil:
		err = s.handler.Report(ctx, *req.Report)
	case req.Ways:
		a.Ways = new(WaysAnswer)
		*a.Ways, err = s.handler.Ways(ctx)
	default:
		err = errors.New("the session's process does not know this request; it is of another version")
	}
	if err != nil {
		return localAnswer{Error: err.Error()}, nil
	}
	return a, seen
}

// carried returns the ids of the messages that the text has in full or in part.
func (a *MailAnswer) carried() []string {
	var ids []string
	for _, r := range a.Records {
		ids = append(ids, r.MessageID)
	}
	return ids
}
