package cli

import (
	"context"
	"errors"
	"slices"
	"time"

	"claudemesh/peer"
)

const (
	sessionWait = 5 * time.Minute // of one request of watch
	// sessionGone is how long watch waits for the process of its session to
	// come back, which the host starts anew after a fault.
	sessionGone = 30 * time.Second
)

// sessionMail is mail of the session that a command runs in, from the process
// that holds it: one inbox then knows what the model was shown.
type sessionMail struct {
	session *peer.SessionClient
	mesh    string // id
	way     string
	// untold is what was printed and what was not, of the last messages, while
	// the session does not know it.
	untold []peer.ShownRequest
}

// sessionMail finds the process of the session that the command runs in. It is
// nil outside of a session, and where the session has no connection to m.
func (e *Env) sessionMail(ctx context.Context, m *peer.Mesh, way string) *sessionMail {
	session, err := peer.DialHost(e.Getenv)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	w, err := session.Ways(ctx)
	if err != nil || !slices.ContainsFunc(w.Meshes, func(s peer.MeshState) bool { return s.Slug == m.Slug }) {
		return nil
	}
	return &sessionMail{session: session, mesh: m.MeshID, way: way}
}

// show prints what the session has after the mark, waiting for the first of it
// if there is none, and then tells the session which of it was printed. It
// returns the mark of the last that it got, the same as before for none. Nothing
// more is printed before the session knows of what was: it would come twice.
func (s *sessionMail) show(ctx context.Context, m *mail, after int64, wait time.Duration) (int64, error) {
	if err := s.tell(ctx); err != nil {
		return after, err
	}
	a, err := s.session.Mail(ctx, peer.MailRequest{
		Way: s.way, Mesh: s.mesh, Whole: true, Peek: m.keep, After: after, WaitMillis: int(wait.Milliseconds()), Confirm: true,
	})
	if err != nil || len(a.Records) == 0 {
		return after, err
	}
	var printed, not []string
	for i := range a.Records {
		r := &a.Records[i].Record
		if err == nil {
			err = m.write(r)
		}
		if err == nil && r.Failure == "" {
			printed = append(printed, r.MessageID)
		} else {
			not = append(not, r.MessageID)
		}
	}
	if m.keep {
		return a.Mark, err
	}
	for _, req := range []peer.ShownRequest{{Way: s.way, MessageIDs: printed}, {Way: s.way, MessageIDs: not, Failed: true}} {
		if len(req.MessageIDs) > 0 {
			s.untold = append(s.untold, req)
		}
	}
	return a.Mark, errors.Join(err, s.tell(context.WithoutCancel(ctx))) // what was printed was seen
}

// tell tells the session what it does not know yet of what was printed.
func (s *sessionMail) tell(ctx context.Context) error {
	for len(s.untold) > 0 {
		if err := s.session.Shown(ctx, s.untold[0]); err != nil {
			return err
		}
		s.untold = s.untold[1:]
	}
	return nil
}

// all shows what the session has.
func (s *sessionMail) all(ctx context.Context, m *mail) error {
	for after := int64(0); ; {
		next, err := s.show(ctx, m, after, 0)
		if err != nil || next == after {
			return err
		}
		after = next
	}
}

// follow shows mail as it comes until ctx ends, which is no error, or the
// session does.
func (s *sessionMail) follow(ctx context.Context, m *mail) error {
	var gone time.Time
	for after := int64(0); ; {
		next, err := s.show(ctx, m, after, sessionWait)
		after = next
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			gone = time.Time{}
			continue
		case m.env.out.err != nil:
			return err
		case gone.IsZero():
			gone = time.Now()
		case time.Since(gone) > sessionGone:
			return WithHint(errors.New("the process that held this session has ended"), "start it again with /mcp in Claude Code, or begin a new session")
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil
		}
	}
}

// answeredInside tells the process of the session that the command runs in that
// the model has answered a message. It is not needed for the answer.
func answeredInside(ctx context.Context, env *Env, id string) {
	session, err := peer.DialHost(env.Getenv)
	if err == nil {
		err = session.Shown(ctx, peer.ShownRequest{Way: peer.WayReply, MessageIDs: []string{id}})
	}
	if err != nil && !errors.Is(err, peer.ErrNoSession) {
		env.Logger().Warn("the session does not know of the answer", "err", err)
	}
}
