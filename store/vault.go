package store

import (
	"fmt"
	"time"
)

const (
	vaultColumns = `key, type, mount_path, description, updated, size`
	upsertVault  = `INSERT INTO vault (member_id, ` + vaultColumns + `, nonce, sealed_key, ciphertext) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (member_id, key) DO UPDATE SET type = excluded.type, mount_path = excluded.mount_path, description = excluded.description,
			updated = excluded.updated, size = excluded.size, nonce = excluded.nonce, sealed_key = excluded.sealed_key, ciphertext = excluded.ciphertext`
	selectVault = `SELECT ` + vaultColumns + `, nonce, sealed_key, ciphertext FROM vault WHERE member_id = ? AND key = ?`
	listVault   = `SELECT ` + vaultColumns + ` FROM vault WHERE member_id = ? ORDER BY key`
	sumVault    = `SELECT count(*), coalesce(sum(size), 0) FROM vault WHERE member_id = ?`
	deleteVault = `DELETE FROM vault WHERE member_id = ? AND key = ?`
	clearVault  = `DELETE FROM vault WHERE member_id = ?`
)

// VaultEntry is what a member keeps under a key, sealed by the member.
type VaultEntry struct {
	Key         string
	Type        string
	MountPath   string // "" for none
	Description string // "" for none
	Updated     time.Time
	Size        int // bytes of the value, which the caller knows

	// Left out of lists.
	Nonce      []byte
	SealedKey  []byte
	Ciphertext []byte
}

func (e *VaultEntry) columns() []any {
	return []any{&e.Key, &e.Type, &e.MountPath, &e.Description, &e.Updated, &e.Size}
}

// PutVault records e for a member, or in the place of what it has under the
// key. ErrLimit if it then has more than entries, or more than bytes of values.
func (tx *Tx) PutVault(memberID string, e *VaultEntry, entries, bytes int) error {
	_, err := tx.exec(upsertVault, memberID, e.Key, e.Type, null(e.MountPath), null(e.Description), e.Updated, e.Size, e.Nonce, e.SealedKey, e.Ciphertext)
	if err != nil {
		return err
	}
	var n, size int
	if err := tx.one(sumVault, []any{memberID}, &n, &size); err != nil {
		return err
	}
	if n > entries || size > bytes {
		return fmt.Errorf("store: %d vault entries of %d bytes: %w", n, size, ErrLimit)
	}
	return nil
}

// VaultEntry returns what a member keeps under a key: ErrNotFound if nothing.
func (rx *Rx) VaultEntry(memberID, key string) (*VaultEntry, error) {
	var e VaultEntry
	if err := rx.one(selectVault, []any{memberID, key}, append(e.columns(), &e.Nonce, &e.SealedKey, &e.Ciphertext)...); err != nil {
		return nil, fmt.Errorf("store: vault entry: %w", err)
	}
	return &e, nil
}

// Vault lists what a member keeps, by key and without the values.
func (rx *Rx) Vault(memberID string) ([]*VaultEntry, error) {
	var all []*VaultEntry
	err := rx.each(listVault, []any{memberID}, func(r row) error {
		e := new(VaultEntry)
		all = append(all, e)
		return r.scan(e.columns()...)
	})
	return all, err
}

// DeleteVaultEntry deletes what a member keeps under a key: ErrNotFound if that
// is nothing.
func (tx *Tx) DeleteVaultEntry(memberID, key string) error {
	return tx.change("vault entry", deleteVault, memberID, key)
}

// DeleteVault deletes all that a member keeps.
func (tx *Tx) DeleteVault(memberID string) error {
	_, err := tx.exec(clearVault, memberID)
	return err
}
