package store

import (
	"crypto/sha256"
	"fmt"
	"time"
)

const (
	deleteInvites       = `DELETE FROM invite WHERE coalesce(revoked, expires) < ?`
	inviteColumns       = `id, token_hash, role, max_uses, used, expires, preset, creator, created, revoked`
	insertInvite        = `INSERT INTO invite (` + inviteColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	selectInvites       = `SELECT ` + inviteColumns + ` FROM invite ORDER BY created, id`
	selectInvite        = `SELECT ` + inviteColumns + ` FROM invite WHERE token_hash = ?`
	selectInviteExists  = `SELECT 1 FROM invite WHERE id = ?`
	updateInviteUsed    = `UPDATE invite SET used = used + 1 WHERE id = ? AND used < max_uses`
	updateInviteRevoked = `UPDATE invite SET revoked = coalesce(revoked, ?) WHERE id = ?`
)

// Invite is the record of an invite. The token itself is never kept: it holds
// the root key of the mesh.
type Invite struct {
	ID        string   // NewID
	TokenHash [32]byte // HashToken
	Role      string   // PermissionAdmin or PermissionMember
	MaxUses   int      // at least 1
	Used      int
	Expires   time.Time
	Preset    InvitePreset
	Creator   string // public key, hex64
	Created   time.Time
	Revoked   time.Time // zero while it may be used
}

// InvitePreset is what a member gets who uses the invite; a nil field is left
// to the member.
type InvitePreset struct {
	DisplayName *string  `json:"displayName,omitempty"`
	RoleTag     *string  `json:"roleTag,omitempty"`
	Groups      *[]Group `json:"groups,omitempty"`
	MessageMode *string  `json:"messageMode,omitempty"`
}

// HashToken returns what an invite is found by: the SHA-256 of its token as text.
func HashToken(token string) [32]byte { return sha256.Sum256([]byte(token)) }

// AddInvite records an invite: ErrConflict if there is one for that token.
func (tx *Tx) AddInvite(v *Invite) error {
	preset, err := toJSON(v.Preset)
	if err != nil {
		return err
	}
	_, err = tx.exec(insertInvite, v.ID, v.TokenHash[:], v.Role, v.MaxUses, v.Used, v.Expires, preset, v.Creator, v.Created, v.Revoked)
	return err
}

// Invites lists all invites, the oldest first.
func (rx *Rx) Invites() ([]*Invite, error) {
	var all []*Invite
	err := rx.each(selectInvites, nil, func(r row) error {
		var v Invite
		all = append(all, &v)
		return r.scan(v.columns()...)
	})
	return all, err
}

// InviteByToken returns the invite whose token has that hash, whether it may
// still be used or not: ErrNotFound if there is none.
func (rx *Rx) InviteByToken(hash [32]byte) (*Invite, error) {
	var v Invite
	if err := rx.one(selectInvite, []any{hash[:]}, v.columns()...); err != nil {
		return nil, fmt.Errorf("store: invite: %w", err)
	}
	return &v, nil
}

func (v *Invite) columns() []any {
	return []any{&v.ID, &v.TokenHash, &v.Role, &v.MaxUses, &v.Used, &v.Expires, fromJSON{&v.Preset}, &v.Creator, &v.Created, &v.Revoked}
}

// UseInvite counts one use: ErrLimit if all are used up, ErrNotFound if there
// is no such invite. Expiry and revocation are for the caller to check in the
// same write.
func (tx *Tx) UseInvite(id string) error {
	n, err := tx.exec(updateInviteUsed, id)
	if err != nil || n == 1 {
		return err
	}
	var found bool
	if err := tx.one(selectInviteExists, []any{id}, &found); err != nil {
		return fmt.Errorf("store: invite %s: %w", id, err)
	}
	return fmt.Errorf("store: invite %s is used up: %w", id, ErrLimit)
}

// PruneInvites deletes invites that were revoked, or expired, before that time.
func (tx *Tx) PruneInvites(before time.Time) error {
	_, err := tx.exec(deleteInvites, before)
	return err
}

// RevokeInvite ends an invite; an earlier time stays. ErrNotFound if there is none.
func (tx *Tx) RevokeInvite(id string, at time.Time) error {
	return tx.change("invite "+id, updateInviteRevoked, at, id)
}
