package broker

import (
	"cmp"
	"slices"

	"claudemesh/wire"
)

func (m *mesh) listPeers(c *call, req wire.ListPeers) (wire.PeersList, error) {
	group := ""
	if req.Group != "" {
		g, err := wire.CleanGroup(wire.Group{Name: req.Group})
		if err != nil {
			return wire.PeersList{}, err
		}
		group = g.Name
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	res := wire.PeersList{Peers: []wire.Peer{}}
	for _, s := range m.visibleTo(c.session) {
		if group == "" || wire.AnyMatches(s.groups, group) {
			res.Peers = append(res.Peers, s.peer())
		}
	}
	if req.Members {
		res.Members = m.briefs(c.session.member)
	}
	return res, nil
}

// visibleTo returns the sessions that s may see, the oldest first: those not
// hidden, and its member's own. It is called with m.mu held.
func (m *mesh) visibleTo(s *session) []*session {
	var all []*session
	for _, o := range m.sessions {
		if !o.hidden || o.member == s.member {
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b *session) int {
		return cmp.Or(a.connected.Compare(b.connected), cmp.Compare(a.addr, b.addr))
	})
	return all
}

// peer describes s to others. It is called with the mesh's mutex held.
func (s *session) peer() wire.Peer {
	visible := !s.hidden
	p := wire.Peer{
		Pubkey: s.key, DisplayName: s.name, Status: s.status.status, Groups: notNil(s.groups), SessionID: s.hello.SessionID,
		ConnectedAt: wire.Time(s.connected), Cwd: s.hello.Cwd, Hostname: s.hello.Hostname, PeerType: s.hello.PeerType,
		Channel: s.hello.Channel, Model: s.hello.Model, Stats: s.stats.reported, Visible: &visible, Proto: s.hello.Proto,
		MemberPubkey: s.member.key, MemberID: s.member.id, RoleTag: s.member.roleTag,
		Role: cmp.Or(s.hello.Role, s.member.roleTag), Connection: "online",
	}
	if s.conn == nil {
		p.Connection = "grace"
	}
	if s.summary != "" {
		p.Summary = &s.summary
	}
	if f := s.profile; f.Avatar != "" || f.Title != "" || f.Bio != "" || len(f.Capabilities) > 0 {
		p.Profile = &f
	}
	return p
}

// shown counts the sessions of mb that another member, nil for the owner, may
// see: those not hidden, and its own. It is called with the mesh's mutex held.
func (mb *member) shown(to *member) (n int) {
	for _, s := range mb.live {
		if !s.hidden || mb == to {
			n++
		}
	}
	return n
}

// briefs lists the members by name, as one of them sees them. It is called
// with m.mu held.
func (m *mesh) briefs(to *member) []wire.MemberBrief {
	all := make([]wire.MemberBrief, 0, len(m.members))
	for _, mb := range m.members {
		all = append(all, wire.MemberBrief{
			ID: mb.id, Pubkey: mb.key, DisplayName: mb.name, RoleTag: mb.roleTag, Permission: mb.permission,
			Online: mb.shown(to) > 0, LastSeenAt: when(mb.lastSeen),
		})
	}
	slices.SortFunc(all, func(a, b wire.MemberBrief) int {
		return cmp.Or(cmp.Compare(a.DisplayName, b.DisplayName), cmp.Compare(a.ID, b.ID))
	})
	return all
}
