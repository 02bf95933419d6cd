package broker

import (
	"time"

	"claudemesh/wire"
)

// pendingTime is how long a hook's report waits for its session.
const pendingTime = 10 * time.Second

// maxPending is how many such reports wait in a mesh; the oldest is dropped.
const maxPending = 256

// A pendingStatus is a hook's report that came before its session.
type pendingStatus struct {
	member    *member
	sessionID string
	pid       int
	cwd       string
	status    wire.Status
	at        time.Time
}

func (m *mesh) setStatus(c *call, req wire.SetStatus) error {
	if req.Source == "" {
		req.Source = wire.SourceManual
	}
	switch {
	case !req.Status.Valid():
		return wire.Errorf(wire.BadRequest, "status must be idle, working or dnd")
	case req.Source != wire.SourceManual && req.Source != wire.SourceJSONL:
		return wire.Errorf(wire.BadRequest, "source must be manual or jsonl")
	}
	s, err := m.subject(c.session)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writeStatus(s, req.Status, req.Source)
	return nil
}

// writeStatus applies a report and releases what the old status held. It is
// called with m.mu held.
func (m *mesh) writeStatus(s *session, st wire.Status, src wire.Source) {
	cfg := m.srv.cfg
	if s.status.write(st, src, time.Now(), cfg.HookFresh, cfg.StatusTTL) {
		m.release(s)
	}
}

// release pushes what waited for a change of s's status. It is called with
// m.mu held.
func (m *mesh) release(s *session) {
	s.behind = true
	m.pump(s)
}

// hookStatus applies a hook's report to those of the sessions it may be about
// that it fits best, and returns how many and one of their presences.
func (m *mesh) hookStatus(h *wire.HookStatus, about func(*session) bool) (n int, presence string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, fits := range []func(*session) bool{
		func(s *session) bool { return h.SessionID != "" && s.hello.SessionID == h.SessionID },
		func(s *session) bool { return h.PID != 0 && s.hello.PID == h.PID && s.hello.Cwd == h.Cwd },
		func(s *session) bool { return h.Cwd != "" && s.hello.Cwd == h.Cwd },
	} {
		for _, s := range m.sessions {
			if about(s) && fits(s) {
				n, presence = n+1, s.presence
				if s.status.status != wire.DND {
					m.writeStatus(s, h.Status, wire.SourceHook)
				}
			}
		}
		if n > 0 {
			return n, presence
		}
	}
	return 0, ""
}

// hookStatusOf applies a report of the member, or keeps it for a session that
// is just coming.
func (m *mesh) hookStatusOf(mb *member, h *wire.HookStatus) (n int, presence string) {
	n, presence = m.hookStatus(h, func(s *session) bool { return s.member == mb })
	if n > 0 {
		return n, presence
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending = append(m.pending[max(0, len(m.pending)-maxPending+1):],
		pendingStatus{mb, h.SessionID, h.PID, h.Cwd, h.Status, time.Now()})
	return 0, ""
}

// applyPending gives s the newest report that waited for it. It is called
// with m.mu held.
func (m *mesh) applyPending(s *session) {
	kept := m.pending[:0]
	for _, p := range m.pending {
		switch {
		case time.Since(p.at) > pendingTime:
		case p.member == s.member && p.fits(s) && s.status.status == wire.DND:
			// is spent: hooks do not lift it
		case p.member == s.member && p.fits(s):
			s.status = statusRecord{p.status, wire.SourceHook, p.at}
		default:
			kept = append(kept, p)
		}
	}
	clear(m.pending[len(kept):])
	m.pending = kept
}

func (p *pendingStatus) fits(s *session) bool {
	if p.sessionID != "" {
		return s.hello.SessionID == p.sessionID
	}
	return s.hello.PID == p.pid && s.hello.Cwd == p.cwd
}
