package broker

import (
	"context"

	"claudemesh/store"
	"claudemesh/wire"
)

// contribute has fn change what the members of the mesh share, for c. Whoever
// is being revoked changes nothing any more.
func (m *mesh) contribute(c *call, fn func(*store.Tx) error) error {
	return m.db.Write(context.Background(), func(tx *store.Tx) error {
		if err := c.session.mayWrite(); err != nil {
			return err
		}
		return fn(tx)
	})
}

// owns reports whether s may change what the member with that id made: its own
// things, and an admin everything.
func (m *mesh) owns(s *session, memberID string) bool {
	return s.member.id == memberID || m.isAdmin(s.member)
}

func (m *mesh) isAdmin(mb *member) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return mb.permission == wire.Admin
}

// author is the name that what s shares carries: that under which others see
// it, not the one its member enrolled with.
func (s *session) author() string {
	if s.name == "" {
		return "unknown"
	}
	return s.name
}

// tellAll sends a frame to every connection but from's, those of commands and
// of hidden sessions too.
func (m *mesh) tellAll(from *session, f wire.Frame) {
	p, err := wire.Append(nil, "", f)
	if err != nil {
		m.log.Error("encode frame", "type", f.FrameType(), "err", err)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sessions {
		if s.conn != nil && s != from {
			s.conn.out.push(frame{kind: ephemeral, data: p})
		}
	}
	for s := range m.transients {
		if s.conn != nil && s != from {
			s.conn.out.push(frame{kind: ephemeral, data: p})
		}
	}
}
