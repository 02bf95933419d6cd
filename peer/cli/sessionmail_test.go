//go:build unix

package cli

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"

	"claudemesh/peer"
)

// A deafSession has one message, and does not hear the first that is said of it.
type deafSession struct {
	deaf  bool
	shown chan peer.ShownRequest
}

func (s *deafSession) Mail(ctx context.Context, req peer.MailRequest) (peer.MailAnswer, error) {
	if req.After < 7 {
		return peer.MailAnswer{Mark: 7, Records: []peer.MailRecord{{Record: *received("hello"), Full: true}}}, nil
	}
	<-ctx.Done()
	return peer.MailAnswer{}, ctx.Err()
}

func (s *deafSession) Shown(_ context.Context, req peer.ShownRequest) error {
	if s.deaf {
		s.deaf = false
		return errors.New("too busy")
	}
	s.shown <- req
	return nil
}

func (*deafSession) Report(context.Context, peer.StatusReport) error { return nil }

func (*deafSession) Ways(context.Context) (peer.WaysAnswer, error) { return peer.WaysAnswer{}, nil }

// TestWatchConfirmsWhatItPrintedUntilItIsHeard has the session's process fail to
// take the confirmation: unconfirmed, the message would come by another way too.
func TestWatchConfirmsWhatItPrintedUntilItIsHeard(t *testing.T) {
	run, err := os.MkdirTemp("", "cm") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(run)
	t.Setenv("XDG_RUNTIME_DIR", run)
	held := &deafSession{deaf: true, shown: make(chan peer.ShownRequest)}
	l, err := peer.ListenSession(t.Context(), "one", held)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	session, err := peer.DialSession("one")
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t)
	f.fill()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		s := &sessionMail{session: session, way: peer.WayWatch}
		ended <- s.follow(ctx, &mail{env: &f.Env, print: func(r *peer.Record) error { f.Out().Printf("%s\n", r.Text()); return nil }})
	}()
	req := <-held.shown
	cancel()
	if err := <-ended; err != nil || f.stdout.String() != "hello\n" {
		t.Errorf("printed %q, %v; want it once", &f.stdout, err)
	}
	if req.Way != peer.WayWatch || req.Failed || !slices.Equal(req.MessageIDs, []string{received("").MessageID}) {
		t.Errorf("confirmed %+v", req)
	}
}
