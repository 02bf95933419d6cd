package broker

import (
	"context"
	"errors"
	"time"

	"claudemesh/seal"
	"claudemesh/store"
	"claudemesh/wire"
)

const (
	maxInvites    = 1000 // that may be used, in one mesh
	maxInviteUses = 10_000
)

// addInvite registers an invite that the owner has signed. Who holds the
// owner's key, or is an admin who was given a signed token, may do that.
func (m *mesh) addInvite(c *caller, body []byte) (wire.InviteResult, error) {
	if err := c.needAdmin("add invites"); err != nil {
		return wire.InviteResult{}, err
	}
	req := wire.AddInvite{MaxUses: 1}
	if err := decodeBody(body, &req); err != nil {
		return wire.InviteResult{}, err
	}
	inv, err := seal.DecodeToken(req.Token)
	if err == nil {
		err = inv.Validate(time.Now())
	}
	if err != nil {
		return wire.InviteResult{}, wire.Errorf(wire.BadRequest, "token: %v", err)
	}
	m.mu.Lock()
	owner := m.info.Owner
	m.mu.Unlock()
	switch {
	case inv.MeshID != m.id:
		return wire.InviteResult{}, wire.Errorf(wire.InviteMeshMismatch, "the token is for another mesh")
	case inv.OwnerPubkey != owner:
		return wire.InviteResult{}, wire.Errorf(wire.InviteOwnerMismatch, "the token is not signed by the owner of this mesh")
	case req.MaxUses < 1 || req.MaxUses > maxInviteUses:
		return wire.InviteResult{}, wire.Errorf(wire.BadRequest, "maxUses must be 1 to %d", maxInviteUses)
	}
	preset, err := storePreset(req.Preset)
	if err != nil {
		return wire.InviteResult{}, err
	}
	row := &store.Invite{
		ID: store.NewID(), TokenHash: store.HashToken(req.Token), Role: inv.Role, MaxUses: req.MaxUses,
		Expires: time.Unix(inv.ExpiresAt, 0), Preset: preset, Creator: c.key, Created: time.Now(),
	}
	return m.storeInvite(row, m.actorOf(c))
}

func (m *mesh) storeInvite(row *store.Invite, by actor) (wire.InviteResult, error) {
	err := m.db.Write(context.Background(), func(tx *store.Tx) error {
		have, err := tx.Invites()
		if err != nil {
			return err
		}
		if n := usable(have); n >= maxInvites {
			return wire.Errorf(wire.Limit, "the mesh has %d invites that may be used, the most it may: revoke some", n)
		}
		err = tx.AddInvite(row)
		if errors.Is(err, store.ErrConflict) {
			return wire.Errorf(wire.Conflict, "this token is on record already: sign another expiry")
		}
		if err != nil {
			return err
		}
		return m.audit(tx, by, wire.AuditInviteCreated, audited{
			"inviteId": row.ID, "role": row.Role, "maxUses": row.MaxUses, "expiresAt": wire.Time(row.Expires).String(),
		})
	})
	w := wireInvite(row)
	return wire.InviteResult{HTTPResult: wire.HTTPResult{OK: err == nil}, Invite: &w}, err
}

// usable counts the invites that somebody may still use.
func usable(all []*store.Invite) (n int) {
	for _, v := range all {
		if v.Revoked.IsZero() && v.Used < v.MaxUses && time.Now().Before(v.Expires) {
			n++
		}
	}
	return n
}

func (m *mesh) serveInvites(c *caller, _ []byte) (wire.InviteList, error) {
	res := wire.InviteList{Invites: []wire.Invite{}}
	if err := c.needAdmin("list invites"); err != nil {
		return res, err
	}
	err := m.db.Read(context.Background(), func(rx *store.Rx) error {
		rows, err := rx.Invites()
		for _, r := range rows {
			res.Invites = append(res.Invites, wireInvite(r))
		}
		return err
	})
	res.OK = err == nil
	return res, err
}

func (m *mesh) revokeInvite(c *caller, _ []byte) (wire.InviteResult, error) {
	var res wire.InviteResult
	if err := c.needAdmin("revoke invites"); err != nil {
		return res, err
	}
	id := c.path("id")
	err := m.db.Write(context.Background(), func(tx *store.Tx) error {
		err := tx.RevokeInvite(id, time.Now())
		if errors.Is(err, store.ErrNotFound) {
			return wire.Errorf(wire.NotFound, "no invite %q in this mesh", wire.Shorten(id, 40))
		}
		if err != nil {
			return err
		}
		if err := m.audit(tx, m.actorOf(c), wire.AuditInviteRevoked, audited{"inviteId": id}); err != nil {
			return err
		}
		rows, err := tx.Invites()
		for _, r := range rows {
			if r.ID == id {
				w := wireInvite(r)
				res.Invite = &w
			}
		}
		return err
	})
	res.OK = err == nil
	return res, err
}

// storePreset checks a preset; what is empty is left to the member.
func storePreset(p *wire.Preset) (store.InvitePreset, error) {
	var out store.InvitePreset
	if p == nil {
		return out, nil
	}
	patch := wire.MemberPatch{}
	if p.DisplayName != "" {
		patch.DisplayName, out.DisplayName = &p.DisplayName, &p.DisplayName
	}
	if p.RoleTag != "" {
		patch.RoleTag, out.RoleTag = &p.RoleTag, &p.RoleTag
	}
	if p.MessageMode != "" {
		patch.MessageMode, out.MessageMode = &p.MessageMode, &p.MessageMode
	}
	if len(p.Groups) > 0 {
		patch.Groups = &p.Groups
	}
	if patch == (wire.MemberPatch{}) {
		return out, nil
	}
	if err := checkPatch(&patch); err != nil {
		return out, err
	}
	if patch.Groups != nil {
		groups := storeGroups(*patch.Groups)
		out.Groups = &groups
	}
	return out, nil
}

func wireInvite(r *store.Invite) wire.Invite {
	w := wire.Invite{
		ID: r.ID, Role: wire.Permission(r.Role), MaxUses: r.MaxUses, Uses: r.Used, CreatedAt: wire.Time(r.Created),
		ExpiresAt: wire.Time(r.Expires), RevokedAt: when(r.Revoked), Creator: r.Creator,
	}
	if p := r.Preset; p.DisplayName != nil || p.RoleTag != nil || p.Groups != nil || p.MessageMode != nil {
		w.Preset = &wire.Preset{DisplayName: value(p.DisplayName), RoleTag: value(p.RoleTag), MessageMode: value(p.MessageMode)}
		if p.Groups != nil {
			w.Preset.Groups = wireGroups(*p.Groups)
		}
	}
	return w
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
