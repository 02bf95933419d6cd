package broker

import (
	"errors"
	"fmt"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

// An arrival is a session on its way in.
type arrival struct {
	c       *conn
	s       *session
	ack     wire.HelloAck
	own     *mailbox
	shared  *mailbox
	notices []store.Notice
	seen    *wire.Time // when the member was here last, if its state was restored
	summary string     // its summary then
	here    bool       // it comes back to its presence
	clock   bool       // it was here when the end of the broker paused the clock
}

// admit makes c the connection of h's session, in one transaction. Once that is on disk c
// is part of the mesh, and has its answer, before any other write's news.
func (m *mesh) admit(c *conn, h *wire.Hello, mb *member) error {
	a := &arrival{c: c}
	err := m.write(func(tx *store.Tx) error {
		if err := m.prepare(tx, a, h, mb); err != nil {
			return err
		}
		tx.AfterCommit(func() { m.arrive(a) })
		return m.sessionArrived(tx, a.s)
	}, func(error) {
		if a.s != nil && m.arriving[a.s.addr] == a.s {
			delete(m.arriving, a.s.addr)
		}
	})
	if errors.Is(err, store.ErrConflict) {
		return wire.Errorf(wire.Unauthorized, "hello rejected: the session key belongs to another member")
	}
	return err
}

// prepare builds the session from its hello and what is kept of it.
func (m *mesh) prepare(tx *store.Tx, a *arrival, h *wire.Hello, mb *member) error {
	row, err := tx.Member(mb.id)
	if err != nil {
		return err
	}
	if !row.Revoked.IsZero() {
		return refused(wire.Unauthorized) // since it was looked up
	}
	addr, err := m.address(tx, h, mb)
	if err != nil {
		return err
	}
	if a.own, err = m.loadBox(tx, addr.ID); err != nil {
		return err
	}
	if a.shared, err = m.loadBox(tx, mb.addr); err != nil {
		return err
	}
	h.Signature, h.SessionSignature = "", "" // have served
	a.s = &session{
		mesh: m, member: mb, addr: addr.ID, key: wireKey(addr.Key), presence: store.NewID(), hello: *h,
		conn: a.c, connected: time.Now(), status: newStatus(),
	}
	if !h.Transient || h.Drain {
		if a.notices, err = tx.Notices(mb.addr, maxNotices); err != nil {
			return err
		}
		if err := m.tellMissed(tx, a.own, addr.Key); err != nil {
			return err
		}
		if err := m.tellMissed(tx, a.shared, mb.key); err != nil {
			return err
		}
	}
	if h.Transient {
		m.greet(a, nil)
		if h.Drain {
			return tx.SeenMember(mb.id, time.Now()) // who reads mail is here
		}
		return nil
	}
	m.arriving[addr.ID] = a.s
	saved, err := optional(tx.Session(addr.ID))
	if err != nil {
		return err
	}
	a.here, a.clock = saved != nil && saved.Online, m.sawClock(saved)
	if saved == nil {
		if saved, err = m.lastOf(tx, mb); err != nil {
			return err
		}
	}
	m.greet(a, saved)
	if err := tx.SaveSession(a.s.row(true)); err != nil {
		return err
	}
	if !a.here && !a.s.hidden {
		err := m.audit(tx, a.s.actor(), wire.AuditPeerJoined, audited{"pubkey": mb.key, "groups": groupNames(a.s.groups), "restored": a.ack.Restored})
		if err != nil {
			return err
		}
	}
	return tx.SeenMember(mb.id, time.Now())
}

// address returns the address whose mailbox is the session's.
func (m *mesh) address(tx *store.Tx, h *wire.Hello, mb *member) (store.Address, error) {
	key, kind := mailKey(h), store.KindSession
	if key == mb.key {
		kind = store.KindMember
	}
	addr, err := tx.EnsureAddress(key, kind, mb.id, time.Now())
	if err != nil {
		return addr, err
	}
	return addr, tx.UseAddress(addr.ID, time.Now())
}

// lastOf returns what was saved of the member's most recent session, nil if
// another one is here: state is handed on, not shared.
func (m *mesh) lastOf(tx *store.Tx, mb *member) (*store.Session, error) {
	m.mu.Lock()
	alone := len(mb.live) == 0
	m.mu.Unlock()
	if !alone {
		return nil, nil
	}
	return optional(tx.LatestSession(mb.id))
}

// optional turns "not found" into nothing.
func optional[T any](v *T, err error) (*T, error) {
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up session: %w", err)
	}
	return v, nil
}

// greet gives the session its state and composes the answer to its hello.
func (m *mesh) greet(a *arrival, saved *store.Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, mb := a.s, a.s.member
	s.name, s.groups = s.hello.DisplayName, mb.groups
	if s.name == "" {
		s.name = mb.name
	}
	a.ack = wire.HelloAck{
		PresenceID: s.presence, MemberDisplayName: s.name, MeshSlug: m.info.Slug, Proto: wire.Proto,
		MemberProfile: wire.MemberProfile{RoleTag: orNil(mb.roleTag), Groups: notNil(mb.groups), MessageMode: mb.mode},
		MeshPolicy:    &wire.MeshPolicy{SelfEditable: wire.SelfEditable(m.info.SelfEditable)},
	}
	if s.hello.Transient {
		return
	}
	prev := m.sessions[s.addr]
	switch {
	case prev != nil:
		s.inherit(prev.latest())
		m.report(a, s.summary, time.Now())
	case saved != nil:
		s.restore(saved)
		m.report(a, saved.Summary, saved.LastSeen)
	}
	switch {
	case len(s.hello.Groups) > 0:
		s.groups = s.hello.Groups
	case a.ack.Restored && len(s.groups) > 0:
		a.ack.RestoredGroups = s.groups
	case a.ack.Restored && prev == nil:
		s.groups = mb.groups
	}
}

// report puts what was restored into the answer.
func (m *mesh) report(a *arrival, summary string, seen time.Time) {
	at := wire.Time(seen)
	stats := wire.RestoredStats(a.s.stats.base)
	a.ack.Restored, a.ack.LastSummary, a.ack.LastSeenAt, a.ack.RestoredStats = true, summary, &at, &stats
	a.seen, a.summary = &at, summary
}

// arrive puts the session into the mesh: the answer first, then the news to
// others, then its mail. It runs after the commit.
func (m *mesh) arrive(a *arrival) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := a.s
	s.own, s.shared = m.box(a.own), m.box(a.shared)
	prev := m.sessions[s.addr]
	if s.hello.Transient {
		m.transients[s] = true
		if s.hello.Drain {
			s.member.lastSeen = time.Now()
		}
		if s.hello.Drain && s.hello.Alone && prev != nil && prev.conn == nil {
			prev.letGo()
		}
		prev = nil
	} else {
		if prev != nil {
			m.succeed(s, prev)
		}
		m.enter(s)
		m.applyPending(s)
	}
	a.c.mesh, a.c.session = m, s
	m.srv.metrics.active.Inc()
	a.ack.Services = m.servicesFor(s) // now, so that what changed until now is in it, and what does later is news
	data, err := wire.Append(nil, "", a.ack)
	if err != nil {
		m.log.Error("encode hello_ack", "err", err)
		return
	}
	a.c.out.push(frame{kind: answer, data: data})
	if prev == nil && !s.hello.Transient && !s.hidden {
		m.announce(s, a.seen, a.summary)
	}
	if a.clock {
		m.tellClock(s)
	}
	m.pushNotices(s, a.notices)
	s.behind = true
	m.pump(s)
}

// succeed gives s what prev, an older connection of the same session, held.
// It is called with m.mu held.
func (m *mesh) succeed(s, prev *session) {
	same := s.hello.Instance != "" && s.hello.Instance == prev.hello.Instance
	for _, b := range prev.boxes() {
		for _, it := range b.items {
			switch {
			case it.holder != prev:
			case it.state == delivered && same:
				it.holder = s
			default:
				it.release()
			}
		}
	}
	m.resubscribe(s, prev)
	m.leave(prev)
	if prev.conn != nil {
		prev.conn.close(wire.CloseSuperseded, "superseded")
		prev.conn = nil
	}
}

// letGo makes what a session holds, whose process is gone, wait again. It is
// called with m.mu held.
func (s *session) letGo() {
	for _, b := range s.boxes() {
		for _, it := range b.items {
			if it.holder == s {
				it.release()
			}
		}
	}
}

// announce tells the others that s has come. It is called with m.mu held.
func (m *mesh) announce(s *session, seen *wire.Time, summary string) {
	event := wire.PeerEvent{Name: s.name, Pubkey: s.key, Groups: notNil(s.groups)}
	name := wire.EventPeerJoined
	if seen != nil {
		name, event.LastSeenAt, event.Summary = wire.EventPeerReturned, seen, summary
	}
	m.broadcast(s, name, event)
}

func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
