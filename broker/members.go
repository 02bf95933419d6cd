package broker

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

func (m *mesh) serveMembers(c *caller, _ []byte) (wire.MemberList, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	res := wire.MemberList{HTTPResult: wire.HTTPResult{OK: true}, Members: make([]wire.Member, 0, len(m.members))}
	for _, mb := range m.members {
		w := mb.wire()
		n := mb.shown(c.member)
		online := n > 0
		w.Online, w.SessionCount = &online, &n
		res.Members = append(res.Members, w)
	}
	slices.SortFunc(res.Members, func(a, b wire.Member) int {
		return cmp.Or(a.JoinedAt.Std().Compare(b.JoinedAt.Std()), cmp.Compare(a.ID, b.ID))
	})
	return res, nil
}

// wire describes a member. It is called with the mesh's mutex held.
func (mb *member) wire() wire.Member {
	return wire.Member{
		ID: mb.id, Pubkey: mb.key, DisplayName: mb.name, RoleTag: orNil(mb.roleTag), Groups: notNil(mb.groups),
		MessageMode: mb.mode, Permission: mb.permission, JoinedAt: wire.Time(mb.joined), LastSeenAt: when(mb.lastSeen),
	}
}

func (m *mesh) patchMember(c *caller, body []byte) (wire.MemberPatched, error) {
	var req wire.MemberPatch
	if err := decodeBody(body, &req); err != nil {
		return wire.MemberPatched{}, err
	}
	if err := checkPatch(&req); err != nil {
		return wire.MemberPatched{}, err
	}
	var res wire.MemberPatched
	err := m.db.Write(context.Background(), func(tx *store.Tx) error {
		row, err := tx.Member(c.path("id"))
		if err != nil || !row.Revoked.IsZero() {
			return wire.Errorf(wire.NotFound, "no member %q in this mesh", wire.Shorten(c.path("id"), 40))
		}
		if err := m.mayPatch(c, row, &req); err != nil {
			return err
		}
		changes := applyPatch(row, &req)
		if err := tx.UpdateMember(row); err != nil {
			return err
		}
		if err := m.audit(tx, m.actorOf(c), wire.AuditMemberUpdated, patchedFields(row.ID, &req)); err != nil {
			return err
		}
		tx.AfterCommit(func() { res = m.patched(row, changes) })
		return nil
	})
	return res, err
}

// checkPatch checks the new values by themselves.
func checkPatch(p *wire.MemberPatch) error {
	switch {
	case p.DisplayName == nil && p.RoleTag == nil && p.Groups == nil && p.MessageMode == nil && p.Permission == nil:
		return wire.Errorf(wire.BadRequest, "nothing to change: give displayName, roleTag, groups, messageMode or permission")
	case p.DisplayName != nil && (*p.DisplayName == "" || clean(*p.DisplayName, wire.MaxName) != *p.DisplayName):
		return wire.Errorf(wire.BadRequest, "displayName must have 1 to %d characters without control characters", wire.MaxName)
	case p.RoleTag != nil && clean(*p.RoleTag, wire.MaxRole) != *p.RoleTag:
		return wire.Errorf(wire.BadRequest, "roleTag must have at most %d characters without control characters", wire.MaxRole)
	case p.MessageMode != nil && !slices.Contains([]string{store.ModePush, store.ModeInbox, store.ModeOff}, *p.MessageMode):
		return wire.Errorf(wire.BadRequest, "messageMode must be push, inbox or off")
	case p.Permission != nil && *p.Permission != wire.Admin && *p.Permission != wire.Ordinary:
		return wire.Errorf(wire.BadRequest, "permission must be admin or member")
	}
	if p.Groups == nil {
		return nil
	}
	if len(*p.Groups) > wire.MaxGroups {
		return wire.Errorf(wire.BadRequest, "at most %d groups", wire.MaxGroups)
	}
	for i, g := range *p.Groups {
		cleaned, err := wire.CleanGroup(g)
		if err != nil {
			return err
		}
		(*p.Groups)[i] = cleaned
	}
	return nil
}

// mayPatch decides who may change what: an admin everything of everyone, others
// of themselves what the mesh's policy lets them.
func (m *mesh) mayPatch(c *caller, row *store.Member, p *wire.MemberPatch) error {
	if c.admin {
		return nil
	}
	if c.member == nil || c.member.id != row.ID {
		return wire.Errorf(wire.Forbidden, "only an admin may change other members")
	}
	m.mu.Lock()
	may := m.info.SelfEditable
	m.mu.Unlock()
	for _, f := range []struct {
		name    string
		wanted  bool
		allowed bool
	}{
		{"displayName", p.DisplayName != nil, may.DisplayName}, {"roleTag", p.RoleTag != nil, may.RoleTag},
		{"groups", p.Groups != nil, may.Groups}, {"messageMode", p.MessageMode != nil, may.MessageMode},
		{"permission", p.Permission != nil, false},
	} {
		if f.wanted && !f.allowed {
			return wire.Errorf(wire.Forbidden, "members of this mesh may not change their %s themselves", f.name)
		}
	}
	return nil
}

// applyPatch changes row and returns what its sessions are told.
func applyPatch(row *store.Member, p *wire.MemberPatch) wire.ProfileUpdated {
	if p.DisplayName != nil {
		row.DisplayName = *p.DisplayName
	}
	if p.RoleTag != nil {
		row.RoleTag = *p.RoleTag
	}
	if p.Groups != nil {
		row.Groups = storeGroups(*p.Groups)
	}
	if p.MessageMode != nil {
		row.MessageMode = *p.MessageMode
	}
	if p.Permission != nil {
		row.Permission = string(*p.Permission)
	}
	return wire.ProfileUpdated{DisplayName: p.DisplayName, RoleTag: p.RoleTag, Groups: p.Groups, MessageMode: p.MessageMode}
}

// patchedFields names what a patch changes.
func patchedFields(id string, p *wire.MemberPatch) audited {
	fields, payload := []string{}, audited{"memberId": id}
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"displayName", p.DisplayName != nil}, {"roleTag", p.RoleTag != nil}, {"groups", p.Groups != nil}, {"messageMode", p.MessageMode != nil},
		{"permission", p.Permission != nil},
	} {
		if f.given {
			fields = append(fields, f.name)
		}
	}
	if p.Permission != nil {
		payload["permission"] = string(*p.Permission)
	}
	payload["fields"] = fields
	return payload
}

// patched takes over a changed member and tells its sessions.
func (m *mesh) patched(row *store.Member, changes wire.ProfileUpdated) wire.MemberPatched {
	m.mu.Lock()
	defer m.mu.Unlock()
	mb := m.members[row.ID]
	if mb == nil {
		return wire.MemberPatched{HTTPResult: wire.HTTPResult{OK: true}}
	}
	mb.name, mb.roleTag, mb.groups = row.DisplayName, row.RoleTag, wireGroups(row.Groups)
	mb.mode, mb.permission = row.MessageMode, wire.Permission(row.Permission)
	m.reoffer(mb)
	if changes != (wire.ProfileUpdated{}) {
		m.tell(wire.EventProfileUpdated, changes, func(s *session) bool { return s.member == mb })
	}
	w := mb.wire()
	return wire.MemberPatched{HTTPResult: wire.HTTPResult{OK: true}, Member: &w, Changes: &changes}
}

func (m *mesh) revokeMember(c *caller, _ []byte) (wire.HTTPResult, error) {
	id := c.path("id")
	if c.member == nil || c.member.id != id {
		if err := c.needAdmin("revoke members"); err != nil {
			return wire.HTTPResult{}, err
		}
	}
	return wire.HTTPResult{OK: true}, m.revoke(id, m.actorOf(c), func() {})
}

// leaveMesh ends the membership of the one who asks, who is told before its
// connections are closed.
func (m *mesh) leaveMesh(c *call, _ wire.LeaveMesh) error {
	return m.revoke(c.session.member.id, c.session.actor(), func() { c.acknowledge(&wire.Ack{ID: c.head.ReqID}) })
}

// revoke ends a membership: its key opens nothing any more, and its sessions
// are closed after what was queued for them has been written. tell is called
// in between.
func (m *mesh) revoke(id string, by actor, tell func()) error {
	var mb *member
	return m.write(func(tx *store.Tx) error {
		m.mu.Lock()
		mb = m.members[id]
		m.mu.Unlock()
		if mb == nil {
			return wire.Errorf(wire.NotFound, "no member %q in this mesh", wire.Shorten(id, 40))
		}
		if err := tx.RevokeMember(id, time.Now()); err != nil {
			return err
		}
		if err := m.memberRevoked(tx, id); err != nil {
			return err
		}
		if err := errors.Join(tx.DeleteSchedules(id), m.arm(tx)); err != nil {
			return err
		}
		if err := m.audit(tx, by, wire.AuditMemberRevoked, audited{"memberId": id, "pubkey": mb.key}); err != nil {
			return err
		}
		mb.leaving = true
		tx.AfterCommit(func() {
			tell()
			m.expel(id)
		})
		return nil
	}, func(err error) {
		if mb != nil && err != nil {
			mb.leaving = false
		}
	})
}

// expel forgets a member and closes its connections.
func (m *mesh) expel(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	mb := m.members[id]
	if mb == nil {
		return
	}
	delete(m.members, id)
	delete(m.byKey, mb.key)
	delete(m.byAddr, mb.addr)
	for _, s := range slices.Clone(mb.live) {
		m.leave(s)
		if s.conn != nil {
			s.conn.close(wire.CloseRevoked, "revoked")
		}
		if !s.hidden {
			m.broadcast(s, wire.EventPeerLeft, wire.PeerEvent{Name: s.name, Pubkey: s.key})
		}
	}
	for s := range m.transients {
		if s.member == mb && s.conn != nil {
			s.conn.close(wire.CloseRevoked, "revoked")
		}
	}
}

func (m *mesh) patchSettings(c *caller, body []byte) (wire.HTTPResult, error) {
	var req wire.MeshSettings
	if err := c.needAdmin("change the settings"); err != nil {
		return wire.HTTPResult{}, err
	}
	if err := decodeBody(body, &req); err != nil {
		return wire.HTTPResult{}, err
	}
	switch {
	case req.SelfEditable == nil && req.MessageTTL == nil:
		return wire.HTTPResult{}, wire.Errorf(wire.BadRequest, "nothing to change: give selfEditable or messageTtl")
	case req.MessageTTL != nil && (*req.MessageTTL < 1 || *req.MessageTTL > 366*24*3600):
		return wire.HTTPResult{}, wire.Errorf(wire.BadRequest, "messageTtl must be 1 second to 366 days")
	}
	err := m.db.Write(context.Background(), func(tx *store.Tx) error {
		info, err := tx.Mesh()
		if err != nil {
			return err
		}
		if req.SelfEditable != nil {
			info.SelfEditable = store.SelfEditable(*req.SelfEditable)
			if err := tx.SetSelfEditable(info.SelfEditable); err != nil {
				return err
			}
		}
		if req.MessageTTL != nil {
			info.MessageTTL = time.Duration(*req.MessageTTL) * time.Second
			if err := tx.SetMessageTTL(info.MessageTTL); err != nil {
				return err
			}
		}
		payload := audited{}
		if req.SelfEditable != nil {
			s := req.SelfEditable
			payload["selfEditable"] = map[string]any{"displayName": s.DisplayName, "roleTag": s.RoleTag, "groups": s.Groups, "messageMode": s.MessageMode}
		}
		if req.MessageTTL != nil {
			payload["messageTtl"] = int64(*req.MessageTTL)
		}
		if err := m.audit(tx, m.actorOf(c), wire.AuditSettingsChanged, payload); err != nil {
			return err
		}
		tx.AfterCommit(func() {
			m.mu.Lock()
			m.info = info
			m.mu.Unlock()
		})
		return nil
	})
	return wire.HTTPResult{OK: err == nil}, err
}
