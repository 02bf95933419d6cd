package broker

import (
	"context"
	"iter"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

// disconnected notes that the connection of a session has ended, with left on
// purpose. Its leases go back at once; its presence ends now if it left, and
// with the grace if not.
func (m *mesh) disconnected(c *conn, left bool) {
	m.mu.Lock()
	s := c.session
	m.srv.metrics.active.Dec()
	if s.hello.Transient {
		delete(m.transients, s)
	} else {
		m.slots--
	}
	m.unlease(s)
	if !s.durable() {
		m.deafenAll(s)
	}
	for _, b := range s.boxes() {
		b.used = time.Now()
	}
	current := s.conn == c
	s.conn = nil
	s.goneAt = time.Now()
	shutting := m.closed || m.srv.stopping.Load()
	m.mu.Unlock()
	m.hungUp(c)
	switch {
	case !current || s.hello.Transient:
	case left && !shutting:
		m.end(s)
	default:
		m.save(s)
	}
	if !shutting {
		m.pauseIfEmpty()
	}
}

// unlease makes what s has leased, and, of a transient session, what was
// delivered to it, wait again. It is called with m.mu held.
func (m *mesh) unlease(s *session) {
	for _, b := range s.boxes() {
		freed := false
		for _, it := range b.items {
			if it.holder == s && (it.state == leased || s.hello.Transient) {
				it.release()
				freed = true
			}
		}
		if freed {
			m.offer(b)
		}
	}
}

// offer has the sessions that drain b look at it again. It is called with m.mu held.
func (m *mesh) offer(b *mailbox) {
	for s := range m.drainers(b) {
		s.behind = true
		m.pump(s)
	}
}

// drainers are the connected sessions that drain b, commands last. It is used
// with m.mu held.
func (m *mesh) drainers(b *mailbox) iter.Seq[*session] {
	return func(yield func(*session) bool) {
		if s := m.sessions[b.addr]; s != nil && s.takesMail() && !yield(s) {
			return
		}
		if mb := m.byAddr[b.addr]; mb != nil {
			for _, s := range mb.live {
				if s.takesMail() && !yield(s) {
					return
				}
			}
		}
		for s := range m.transients {
			if s.takesMail() && (s.own == b || s.shared == b) && !yield(s) {
				return
			}
		}
	}
}

// save writes the state of a session that may come back.
func (m *mesh) save(s *session) {
	err := m.db.Write(context.Background(), func(tx *store.Tx) error {
		if !m.holds(s) {
			return nil
		}
		row := m.latest(s).row(true)
		if err := tx.SaveSession(row); err != nil {
			return err
		}
		return tx.SeenMember(s.member.id, row.LastSeen)
	})
	if err != nil {
		m.log.Error("save session", "session", s.presence, "err", err)
	}
}

// end ends a presence whose connection is gone: its state is saved, with it
// goes what it held, and then the others are told. A return that was quicker keeps it.
func (m *mesh) end(s *session) {
	err := m.db.Write(context.Background(), func(tx *store.Tx) error {
		if !m.holds(s) {
			return nil
		}
		row := m.latest(s).row(false)
		if err := tx.SaveSession(row); err != nil {
			return err
		}
		if err := tx.SeenMember(s.member.id, row.LastSeen); err != nil {
			return err
		}
		if err := m.presenceEnded(tx, s); err != nil {
			return err
		}
		if row.Visible {
			if err := m.audit(tx, s.actor(), wire.AuditPeerLeft, nil); err != nil {
				return err
			}
		}
		tx.AfterCommit(func() { m.depart(s) })
		return nil
	})
	if err != nil {
		m.log.Error("end session", "session", s.presence, "err", err)
	}
}

// holds reports whether s, whose connection is gone, is still the newest value
// of its session. It is called on the writer's goroutine, and knows of a
// return in the same transaction.
func (m *mesh) holds(s *session) bool {
	if m.arriving[s.addr] != nil {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sessions[s.addr] == s && s.conn == nil
}

// depart takes s out of the mesh and tells the others. It runs after the commit.
func (m *mesh) depart(s *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sessions[s.addr] != s || s.conn != nil {
		return
	}
	m.leave(s)
	mb := s.member
	mb.lastSeen, mb.lastGroups, mb.lastHidden = time.Now(), s.groups, s.hidden
	s.letGo()
	for _, b := range s.boxes() {
		b.used = time.Now()
	}
	m.offer(s.shared)
	if !s.hidden {
		m.broadcast(s, wire.EventPeerLeft, wire.PeerEvent{Name: s.name, Pubkey: s.key})
	}
}
