package broker

import (
	"slices"

	"claudemesh/store"
	"claudemesh/wire"
)

// subject returns the session whose presence s may change: itself, or, of a
// command, the session it runs in or its member's only one.
func (m *mesh) subject(s *session) (*session, error) {
	if !s.hello.Transient {
		return s, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if o := m.sessions[s.addr]; o != nil {
		return o, nil
	}
	switch live := s.member.live; {
	case s.addr != s.member.addr || len(live) == 0:
		return nil, wire.Errorf(wire.NotFound, "no session of yours is connected whose presence this could change")
	case len(live) > 1:
		e := &wire.Error{Code: wire.Ambiguous, Message: "several sessions of yours are connected: run this inside the one you mean"}
		for _, o := range live[:min(len(live), wire.MaxCandidates)] {
			e.Candidates = append(e.Candidates, wire.Candidate{Pubkey: o.key, Name: o.name})
		}
		return nil, e
	default:
		return live[0], nil
	}
}

// change applies fn to the session that s may change and stores the result
// before anybody is told. fn runs on a copy, whose values the session takes
// over after the commit; then tell is called with m.mu held.
func (m *mesh) change(by *session, fn func(*session) error, tell func(*session)) error {
	var s, next *session
	return m.write(func(tx *store.Tx) (err error) {
		if s, err = m.subject(by); err != nil {
			return err
		}
		copied := m.latest(s)
		if err := fn(copied); err != nil {
			return err
		}
		if err := tx.SaveSession(copied.row(true)); err != nil {
			return err
		}
		next, s.staged = copied, copied
		tx.AfterCommit(func() { m.changed(s, next, tell) })
		return nil
	}, func(error) {
		if s != nil && s.staged == next {
			s.staged = nil
		}
	})
}

// changed has s take over what change has stored.
func (m *mesh) changed(s, next *session, tell func(*session)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	regrouped := !slices.Equal(s.groups, next.groups)
	s.groups, s.profile, s.hidden, s.summary, s.stats = next.groups, next.profile, next.hidden, next.summary, next.stats
	if regrouped {
		m.reoffer(s.member)
	}
	if tell != nil {
		tell(s)
	}
}

// latest returns a copy of what is kept of s, with what writes of the same
// transaction have made of it. It is called on the writer's goroutine.
func (m *mesh) latest(s *session) *session {
	m.mu.Lock()
	defer m.mu.Unlock()
	return s.latest()
}

// latest is called with the mesh's mutex held.
func (s *session) latest() *session {
	from := s
	if s.staged != nil {
		from = s.staged
	}
	return &session{
		mesh: s.mesh, member: s.member, addr: s.addr, hello: s.hello, name: s.name, connected: s.connected, stats: from.stats,
		groups: slices.Clone(from.groups), profile: from.profile, hidden: from.hidden, summary: from.summary, status: s.status,
	}
}

func (m *mesh) setSummary(c *call, req wire.SetSummary) error {
	if err := tooLong("summary", req.Summary, wire.MaxSummary); err != nil {
		return err
	}
	return m.change(c.session, func(s *session) error {
		s.summary = req.Summary
		return nil
	}, nil)
}

func (m *mesh) setVisible(c *call, req wire.SetVisible) (wire.Ack, error) {
	ack := wire.Ack{ID: c.head.ReqID}
	if req.Visible == nil {
		return ack, wire.Errorf(wire.BadRequest, "field %q must be true or false", "visible")
	}
	event := wire.EventPeerVisible
	if !*req.Visible {
		event = wire.EventPeerHidden
	}
	changed := false
	return ack, m.change(c.session, func(next *session) error {
		changed = next.hidden == *req.Visible
		next.hidden = !*req.Visible
		return nil
	}, func(s *session) {
		if changed {
			m.broadcast(s, event, wire.PeerEvent{Name: s.name, Pubkey: s.key})
		}
	})
}

func (m *mesh) setProfile(c *call, req wire.SetProfile) (wire.Ack, error) {
	return wire.Ack{ID: c.head.ReqID}, m.change(c.session, func(s *session) error {
		for _, f := range []struct {
			name string
			from *string
			to   *string
			max  int
		}{
			{"avatar", req.Avatar, &s.profile.Avatar, wire.MaxAvatar},
			{"title", req.Title, &s.profile.Title, wire.MaxTitle},
			{"bio", req.Bio, &s.profile.Bio, wire.MaxBio},
		} {
			if f.from == nil {
				continue
			}
			if err := tooLong(f.name, *f.from, f.max); err != nil {
				return err
			}
			*f.to = *f.from
		}
		return setCapabilities(s, req.Capabilities)
	}, nil)
}

func setCapabilities(s *session, caps *[]string) error {
	if caps == nil {
		return nil
	}
	if len(*caps) > wire.MaxCapabilities {
		return wire.Errorf(wire.BadRequest, "capabilities has more than %d entries", wire.MaxCapabilities)
	}
	for _, c := range *caps {
		if err := tooLong("capabilities", c, wire.MaxTitle); err != nil {
			return err
		}
	}
	s.profile.Capabilities = *caps
	return nil
}

func (m *mesh) setStats(c *call, req wire.SetStats) error {
	for _, n := range []float64{req.Stats.MessagesIn, req.Stats.MessagesOut, req.Stats.ToolCalls, req.Stats.Uptime, req.Stats.Errors} {
		if n < 0 || n > 1<<53 {
			return wire.Errorf(wire.BadRequest, "stats must be counts, not %g", n)
		}
	}
	return m.change(c.session, func(s *session) error {
		s.stats.reported = &req.Stats
		return nil
	}, nil)
}

func (m *mesh) joinGroup(c *call, req wire.JoinGroup) error {
	g, err := wire.CleanGroup(wire.Group(req))
	if err != nil {
		return err
	}
	return m.change(c.session, func(s *session) error {
		s.groups = wire.PutGroup(s.groups, g)
		if len(s.groups) > wire.MaxGroups {
			return wire.Errorf(wire.Limit, "a session is in at most %d groups: leave one first", wire.MaxGroups)
		}
		return nil
	}, nil)
}

func (m *mesh) leaveGroup(c *call, req wire.LeaveGroup) error {
	g, err := wire.CleanGroup(wire.Group{Name: req.Name})
	if err != nil {
		return err
	}
	return m.change(c.session, func(s *session) error {
		kept := s.groups[:0]
		for _, have := range s.groups {
			if have.Name != g.Name {
				kept = append(kept, have)
			}
		}
		s.groups = kept
		return nil
	}, nil)
}
