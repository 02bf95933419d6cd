package broker

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"claudemesh/seal"
	"claudemesh/store"
	"claudemesh/wire"
)

// join enrolls a key by an invite: POST /join. The checks and their order are
// those that older clients know, each with its own code.
func (srv *Server) join(r *http.Request, body []byte) (wire.JoinResult, error) {
	var req struct {
		wire.JoinRequest
		Payload json.RawMessage `json:"invite_payload"`
	}
	if err := decodeBody(body, &req); err != nil {
		return wire.JoinResult{}, err
	}
	req.DisplayName = clean(req.DisplayName, wire.MaxName)
	key, err := seal.ParsePublicKey(req.PeerPubkey)
	switch {
	case err != nil || key.Check() != nil:
		return wire.JoinResult{}, wire.Errorf(wire.BadRequest, "peer_pubkey must be 64 hex digits of an Ed25519 key")
	case req.InviteToken == "" || len(req.Payload) == 0:
		return wire.JoinResult{}, wire.Errorf(wire.BadRequest, "invite_token and invite_payload are required")
	case req.DisplayName == "":
		return wire.JoinResult{}, wire.Errorf(wire.BadRequest, "display_name is required")
	}
	m, inv, err := srv.checkInvite(req.InviteToken, req.Payload)
	if err != nil {
		return wire.JoinResult{}, err
	}
	if req.Signature != "" {
		text, err := seal.JoinText(inv.MeshID, req.PeerPubkey, req.InviteToken)
		if err != nil || !key.Verify(text, req.Signature) {
			return wire.JoinResult{}, wire.Errorf(wire.BadSignature, "the signature does not prove the key %s…", key.String()[:12])
		}
	}
	return m.enrollBy(inv, req.InviteToken, key.String(), req.DisplayName)
}

// checkInvite checks an invite by itself and against its mesh.
func (srv *Server) checkInvite(token string, payload json.RawMessage) (*mesh, *seal.Invite, error) {
	var inv seal.Invite
	if err := json.Unmarshal(payload, &inv); err != nil {
		return nil, nil, wire.Errorf(wire.BadRequest, "invite_payload: %v", err)
	}
	if err := inv.Verify(); err != nil {
		return nil, nil, wire.Errorf(wire.InviteBadSignature, "the invite was changed after it was signed, or is cut short")
	}
	m := srv.meshByID(inv.MeshID)
	if m == nil {
		return nil, nil, wire.Errorf(wire.MeshNotFound, "this broker has no mesh %q: it may live on another broker", wire.Shorten(inv.MeshSlug, 64))
	}
	m.mu.Lock()
	info := m.info
	m.mu.Unlock()
	inToken, err := seal.DecodeToken(token)
	switch {
	case !info.Archived.IsZero():
		return nil, nil, wire.Errorf(wire.MeshNotFound, "the mesh %s is archived", info.Slug)
	case info.Owner == "":
		return nil, nil, wire.Errorf(wire.MeshMissingOwnerKey, "the mesh %s has no owner key", info.Slug)
	case !strings.EqualFold(inv.OwnerPubkey, info.Owner):
		return nil, nil, wire.Errorf(wire.InviteOwnerMismatch, "the invite is not signed by the owner of %s", info.Slug)
	case err != nil || !inToken.Equal(inv):
		return nil, nil, wire.Errorf(wire.InviteNotFound, "invite_token is not the token of invite_payload")
	}
	return m, &inv, nil
}

// enrollBy uses an invite for key, in one transaction.
func (m *mesh) enrollBy(inv *seal.Invite, token, key, name string) (wire.JoinResult, error) {
	var res wire.JoinResult
	err := m.db.Write(context.Background(), func(tx *store.Tx) error {
		have, err := tx.InviteByToken(store.HashToken(token))
		if err := checkRecord(inv, have, err); err != nil {
			return err
		}
		old, err := tx.MemberByKey(key)
		if err == nil {
			res = wire.JoinResult{MemberID: old.ID, AlreadyMember: true, DisplayName: old.DisplayName}
			return nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err := tx.UseInvite(have.ID); errors.Is(err, store.ErrLimit) {
			return wire.Errorf(wire.InviteExhausted, "the invite was used %d of %d times: ask for a new one", have.Used, have.MaxUses)
		} else if err != nil {
			return err
		}
		row := newRow(inv, have.Preset, key, name)
		res = wire.JoinResult{MemberID: row.ID, DisplayName: row.DisplayName}
		if err := m.addMember(tx, row); err != nil {
			return err
		}
		return m.audit(tx, actor{row.ID, row.DisplayName}, wire.AuditMemberJoined, audited{
			"memberId": row.ID, "pubkey": row.PubKey, "permission": row.Permission, "inviteId": have.ID,
		})
	})
	res.OK = err == nil
	return res, err
}

// checkRecord checks an invite against what the broker has on record.
func checkRecord(inv *seal.Invite, have *store.Invite, err error) error {
	now := time.Now()
	switch {
	case errors.Is(err, store.ErrNotFound):
		return wire.Errorf(wire.InviteNotFound, "the broker knows no such invite: ask for a new one")
	case err != nil:
		return err
	case have.Role != inv.Role:
		return wire.Errorf(wire.InviteMeshMismatch, "the invite is on record for another role")
	case !have.Revoked.IsZero():
		return wire.Errorf(wire.InviteRevoked, "the invite was revoked: ask for a new one")
	case inv.Expired(now) || now.After(have.Expires):
		return wire.Errorf(wire.InviteExpired, "the invite expired on %s: ask for a new one", wire.Time(have.Expires))
	}
	return nil
}

func newRow(inv *seal.Invite, preset store.InvitePreset, key, name string) *store.Member {
	row := &store.Member{
		ID: store.NewID(), PubKey: key, DisplayName: name, Permission: inv.Role, MessageMode: store.ModePush, Joined: time.Now(),
	}
	if preset.DisplayName != nil {
		row.DisplayName = *preset.DisplayName
	}
	if preset.RoleTag != nil {
		row.RoleTag = *preset.RoleTag
	}
	if preset.Groups != nil {
		row.Groups = *preset.Groups
	}
	if preset.MessageMode != nil {
		row.MessageMode = *preset.MessageMode
	}
	return row
}

// addMember stores a member with the address of its key.
func (m *mesh) addMember(tx *store.Tx, row *store.Member) error {
	if err := tx.AddMember(row); err != nil {
		return err
	}
	a, err := tx.EnsureAddress(row.PubKey, store.KindMember, row.ID, time.Now())
	if errors.Is(err, store.ErrConflict) {
		return wire.Errorf(wire.Conflict, "that key is in use as another member's session key")
	}
	if err != nil {
		return err
	}
	tx.AfterCommit(func() {
		m.mu.Lock()
		m.enroll(newMember(row, a.ID))
		m.mu.Unlock()
	})
	return nil
}

// decodeBody reads a JSON body.
func decodeBody(body []byte, v any) error { return wire.Decode(body, v) }
