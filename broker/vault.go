package broker

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"time"

	"claudemesh/seal"
	"claudemesh/store"
	"claudemesh/wire"
)

const (
	// vaultBytes is how many bytes of entries one answer carries: what the hard
	// limit of a frame leaves beside the head and the keys that had no room.
	vaultBytes = wire.MaxFrameBytes - 256<<10
	// sealedKey is how long a random key is that is sealed to a member.
	sealedKey = 32 + seal.AnonymousOverhead
)

// vaultSet keeps what the member has sealed to itself.
func (m *mesh) vaultSet(c *call, req wire.VaultSet) (wire.VaultAck, error) {
	e, err := vaultRow(&req)
	if err != nil {
		return wire.VaultAck{}, err
	}
	s := c.session
	err = m.contribute(c, func(tx *store.Tx) error {
		err := tx.PutVault(s.member.id, e, wire.MaxVaultEntries, wire.MaxVaultBytes)
		if errors.Is(err, store.ErrLimit) {
			return wire.Errorf(wire.Limit, "you have %d entries or %d MiB in the vault of this mesh, which are the most: delete one that is not needed any more",
				wire.MaxVaultEntries, wire.MaxVaultBytes>>20)
		}
		if err != nil {
			return err
		}
		return m.auditVault(tx, s, e.Key, wire.VaultStored)
	})
	return wire.VaultAck{Key: e.Key, Action: wire.VaultStored}, m.vaultError(err)
}

// vaultRow checks an entry and returns how it is stored. Nothing is known of
// the value but its length.
func vaultRow(req *wire.VaultSet) (*store.VaultEntry, error) {
	if !wire.ValidVaultKey(req.Key) {
		return nil, wire.Errorf(wire.BadRequest, "key must have 1 to %d characters without control characters, and no :file before its end or a colon", wire.MaxVaultKey)
	}
	if req.EntryType == "" {
		req.EntryType = wire.VaultEnv
	}
	if req.EntryType != wire.VaultEnv && req.EntryType != wire.VaultFile {
		return nil, wire.Errorf(wire.BadRequest, "entry_type must be %s or %s", wire.VaultEnv, wire.VaultFile)
	}
	if err := checkPath("mount_path", req.MountPath, wire.MaxVaultText); err != nil {
		return nil, err
	}
	if err := fits("description", req.Description, wire.MaxVaultText); err != nil {
		return nil, err
	}
	e := &store.VaultEntry{Key: req.Key, Type: string(req.EntryType), MountPath: req.MountPath, Description: req.Description, Updated: time.Now()}
	var err error
	if e.Ciphertext, err = sealedPart("ciphertext", req.Ciphertext); err != nil {
		return nil, err
	}
	if e.Nonce, err = sealedPart("nonce", req.Nonce); err != nil {
		return nil, err
	}
	if e.SealedKey, err = sealedPart("sealed_key", req.SealedKey); err != nil {
		return nil, err
	}
	e.Size = len(e.Ciphertext) - seal.SecretOverhead
	switch {
	case e.Size < 0 || len(e.Nonce) != seal.NonceSize || len(e.SealedKey) != sealedKey:
		return nil, wire.Errorf(wire.BadRequest, "the value must be sealed: ciphertext is a secretbox, nonce has %d bytes, sealed_key %d", seal.NonceSize, sealedKey)
	case e.Size > wire.MaxVaultValue:
		return nil, wire.Errorf(wire.TooLarge, "the value has %d bytes, and %d are the most: share it as a file for yourself", e.Size, wire.MaxVaultValue)
	}
	return e, nil
}

func sealedPart(field, text string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, wire.Errorf(wire.BadRequest, "%s is no base64", field)
	}
	return b, nil
}

// auditVault tells of a change by the name of the entry alone.
func (m *mesh) auditVault(tx *store.Tx, s *session, key, action string) error {
	return m.audit(tx, s.actor(), wire.AuditVaultChanged, audited{"key": key, "action": action})
}

// vaultError gives what the store could not do the code that clients know.
func (m *mesh) vaultError(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*wire.Error](err); ok {
		return err
	}
	m.log.Error("the vault failed", "err", err)
	return wire.Errorf(wire.VaultError, "the broker cannot read or write the vault now, its disk may be full; nothing was changed: try again later")
}

func (m *mesh) vaultList(c *call, _ wire.VaultList) (wire.VaultListResult, error) {
	res := wire.VaultListResult{Entries: []wire.VaultEntry{}}
	err := m.db.Read(context.Background(), func(rx *store.Rx) error {
		rows, err := rx.Vault(c.session.member.id)
		for _, e := range rows {
			res.Entries = append(res.Entries, wire.VaultEntry{
				Key: e.Key, EntryType: wire.VaultType(e.Type), MountPath: e.MountPath, Description: e.Description, UpdatedAt: wire.Time(e.Updated),
				Size: e.Size,
			})
		}
		return err
	})
	return res, m.vaultError(err)
}

func (m *mesh) vaultGet(c *call, req wire.VaultGet) (wire.VaultGetResult, error) {
	res := wire.VaultGetResult{Entries: []wire.VaultSealed{}}
	if err := few("keys", req.Keys, wire.MaxVaultEntries); err != nil {
		return res, err
	}
	keys := slices.DeleteFunc(slices.Clone(req.Keys), func(key string) bool { return !wire.ValidVaultKey(key) })
	err := m.db.Read(context.Background(), func(rx *store.Rx) error {
		size, seen := 0, make(map[string]bool)
		for i, key := range keys {
			if seen[key] {
				continue
			}
			seen[key] = true
			e, err := rx.VaultEntry(c.session.member.id, key)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			w := wireSealed(e)
			if size += jsonSize(w); size > vaultBytes && len(res.Entries) > 0 {
				res.More = keys[i:]
				return nil
			}
			res.Entries = append(res.Entries, w)
		}
		return nil
	})
	return res, m.vaultError(err)
}

func wireSealed(e *store.VaultEntry) wire.VaultSealed {
	text := base64.StdEncoding.EncodeToString
	return wire.VaultSealed{
		Key: e.Key, Ciphertext: text(e.Ciphertext), Nonce: text(e.Nonce), SealedKey: text(e.SealedKey), EntryType: wire.VaultType(e.Type), MountPath: e.MountPath,
	}
}

func (m *mesh) vaultDelete(c *call, req wire.VaultDelete) (wire.VaultAck, error) {
	res := wire.VaultAck{Key: req.Key, Action: wire.VaultDeleted}
	err := m.contribute(c, func(tx *store.Tx) error {
		if err := tx.DeleteVaultEntry(c.session.member.id, req.Key); err != nil {
			return err
		}
		return m.auditVault(tx, c.session, req.Key, wire.VaultDeleted)
	})
	if errors.Is(err, store.ErrNotFound) {
		res.Action, err = wire.VaultNotFound, nil
	}
	return res, m.vaultError(err)
}
