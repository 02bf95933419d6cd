package broker

import "claudemesh/store"

// durable reports whether what s subscribes to outlives its connection: it
// does for a session of a peer that knows, and is there again when it returns.
func (s *session) durable() bool { return !s.hello.Transient && s.hello.Proto >= 2 }

// listen makes s one of a stream's audience. It is called with m.mu held.
func (m *mesh) listen(s *session, stream string) {
	if s.subscribed == nil {
		s.subscribed = make(map[string]bool)
	}
	s.subscribed[stream] = true
	if m.audience[stream] == nil {
		m.audience[stream] = make(map[*session]bool)
	}
	m.audience[stream][s] = true
}

// deafen takes s out of a stream's audience. It is called with m.mu held.
func (m *mesh) deafen(s *session, stream string) {
	delete(s.subscribed, stream)
	delete(m.audience[stream], s)
	if len(m.audience[stream]) == 0 {
		delete(m.audience, stream)
	}
}

// deafenAll takes s out of every audience. It is called with m.mu held.
func (m *mesh) deafenAll(s *session) {
	for stream := range s.subscribed {
		m.deafen(s, stream)
	}
}

// resubscribe gives s the subscriptions of prev, an older connection of the
// same session, unless they ended with it. It is called with m.mu held.
func (m *mesh) resubscribe(s, prev *session) {
	for stream := range prev.subscribed {
		m.deafen(prev, stream)
		if s.durable() {
			m.listen(s, stream)
		}
	}
}

// loadSubscriptions gives a session that was online when the mesh was last open
// its subscriptions again.
func (m *mesh) loadSubscriptions(tx *store.Tx, s *session) error {
	streams, err := tx.Subscriptions(s.addr)
	for _, stream := range streams {
		m.listen(s, stream)
	}
	return err
}
