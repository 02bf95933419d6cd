package launch

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"

	"claudemesh/peer"
)

// A testSession plays the process that holds a session's mail.
type testSession struct {
	// mail is what the next requests for mail get; without any they wait until
	// the caller goes.
	mail chan peer.MailAnswer
	// asked has a token for each request for mail that has come.
	asked chan struct{}
	// left has a token for each caller that went without mail.
	left chan struct{}
	// fault is what requests for mail fail with, if it is set.
	fault error

	mu       sync.Mutex
	requests []peer.MailRequest
	reports  []string
	shown    []string
}

const testSessionID = "0191d1b0-0000-7000-8000-00000000c0de"

// newTestSession listens as a session in a runtime directory of its own, and
// returns the environment of the hooks that belong to it.
func newTestSession(t *testing.T, texts ...string) (*testSession, func(string) string) {
	t.Helper()
	privateRuntime(t)
	s := &testSession{mail: make(chan peer.MailAnswer, 16), asked: make(chan struct{}, 64), left: make(chan struct{}, 64)}
	for i, text := range texts {
		full := peer.MailRecord{Full: true}
		full.MessageID = "full-" + strconv.Itoa(i)
		s.mail <- peer.MailAnswer{Text: text, Records: []peer.MailRecord{full, {}}}
	}
	l, err := peer.ListenSession(t.Context(), testSessionID, s)
	if errors.Is(err, peer.ErrNoSession) {
		t.Skip("no local sockets here")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return s, testEnv(map[string]string{"CLAUDE_CODE_SESSION_ID": testSessionID, "CLAUDE_PID": strconv.Itoa(os.Getpid())})
}

// privateRuntime makes a runtime directory with a name short enough for
// sockets.
func privateRuntime(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "cm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("XDG_RUNTIME_DIR", dir)
}

func testEnv(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

// Mail implements peer.SessionHandler.
func (s *testSession) Mail(ctx context.Context, req peer.MailRequest) (peer.MailAnswer, error) {
	s.mu.Lock()
	s.requests = append(s.requests, req)
	s.mu.Unlock()
	s.asked <- struct{}{}
	if s.fault != nil {
		return peer.MailAnswer{}, s.fault
	}
	select {
	case a := <-s.mail:
		return a, nil
	default:
	}
	if req.WaitMillis < int(pollWait.Milliseconds()) {
		return peer.MailAnswer{}, nil
	}
	select {
	case a := <-s.mail:
		return a, nil
	case <-ctx.Done():
		s.left <- struct{}{}
		return peer.MailAnswer{}, ctx.Err()
	}
}

// Shown implements peer.SessionHandler.
func (s *testSession) Shown(_ context.Context, req peer.ShownRequest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range req.MessageIDs {
		s.shown = append(s.shown, req.Way+" "+id)
	}
	return nil
}

// Report implements peer.SessionHandler.
func (s *testSession) Report(_ context.Context, req peer.StatusReport) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports = append(s.reports, string(req.Status))
	return nil
}

// Ways implements peer.SessionHandler.
func (s *testSession) Ways(context.Context) (peer.WaysAnswer, error) { return peer.WaysAnswer{}, nil }

// record returns what the session was asked and told so far.
func (s *testSession) record() (requests []peer.MailRequest, reports, shown []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests), slices.Clone(s.reports), slices.Clone(s.shown)
}
