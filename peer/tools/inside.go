package tools

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

const reportTime = 2 * time.Second // for the status to reach all brokers

// inside answers the hooks and commands that run inside the session.
type inside struct {
	hub  *hub
	ways *ways
}

// Mail implements peer.SessionHandler.
func (s *inside) Mail(ctx context.Context, req peer.MailRequest) (peer.MailAnswer, error) {
	if req.Way == "" {
		return peer.MailAnswer{}, errors.New("the request names no way")
	}
	if req.Event == eventStart && !req.Peek {
		if err := s.hub.post.began(ctx); err != nil {
			return peer.MailAnswer{}, err
		}
	}
	s.hub.catchUp(ctx, time.Duration(req.CatchUpMillis)*time.Millisecond)
	if a := s.hub.post.take(req); !a.Empty() || req.WaitMillis <= 0 {
		return a, nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(req.WaitMillis)*time.Millisecond)
	defer cancel()
	return s.hub.post.wait(ctx, req), nil
}

// Shown implements peer.SessionHandler.
func (s *inside) Shown(_ context.Context, req peer.ShownRequest) error {
	switch {
	case req.Way == peer.WayReply:
		for _, id := range req.MessageIDs {
			s.hub.post.answered(id)
		}
	case req.Failed:
		s.hub.post.release(req.Way, req.MessageIDs)
	default:
		s.hub.post.shown(req.Way, req.MessageIDs)
	}
	return nil
}

// Report implements peer.SessionHandler: it tells every mesh what the session
// is doing.
func (s *inside) Report(ctx context.Context, req peer.StatusReport) error {
	if !req.Status.Valid() {
		return fmt.Errorf("there is no status %q", wire.Shorten(string(req.Status), 20))
	}
	if req.Source == wire.SourceHook {
		s.hub.post.turned(req.Status == wire.Working)
	}
	if req.Source != wire.SourceManual && !s.hub.rhythm.heard(req.Status) {
		return nil
	}
	return s.hub.report(ctx, req)
}

func (h *hub) reportTo(ctx context.Context, m *mesh, req peer.StatusReport) error {
	switch req.Source {
	case wire.SourceManual:
		return m.client.SetStatus(ctx, req.Status)
	case wire.SourceJSONL:
		return m.client.InferStatus(ctx, req.Status)
	}
	api, err := m.entry.API()
	if err != nil {
		return err
	}
	_, err = api.HookStatus(ctx, wire.HookStatus{
		Cwd: h.who.cwd, Status: req.Status, PID: os.Getpid(), SessionID: h.who.session, MeshID: m.entry.MeshID,
	})
	if err != nil {
		return fmt.Errorf("report the status to %s: %w", m.slug, err)
	}
	return nil
}

// Ways implements peer.SessionHandler.
func (s *inside) Ways(context.Context) (peer.WaysAnswer, error) {
	out := peer.WaysAnswer{
		Session: s.hub.who.session, PID: os.Getpid(), Mode: s.hub.post.currentMode(), Unseen: s.hub.post.unseen(), Ways: s.ways.describe(),
	}
	for _, m := range s.hub.all() {
		st := m.client.Status()
		state := peer.MeshState{Slug: m.slug, State: st.State.String()}
		if st.Err != nil {
			state.Reason = st.Err.Error()
		}
		out.Meshes = append(out.Meshes, state)
	}
	return out, nil
}

// listen opens the local sockets of the session: by its id, and by the host's
// process, for the host may give the session a new id while it runs.
func (s *inside) listen(ctx context.Context) (closeAll func()) {
	var open []interface{ Close() error }
	for _, id := range []string{s.hub.who.session, peer.ProcessSession(os.Getppid())} {
		l, err := peer.ListenSession(ctx, id, s)
		if err != nil {
			s.hub.log.Warn("hooks of this session cannot reach it", "err", err)
			continue
		}
		open = append(open, l)
	}
	return func() {
		for _, l := range open {
			l.Close()
		}
	}
}
