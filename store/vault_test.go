package store

import (
	"testing"
	"time"
)

func TestTheVaultKeepsMembersApart(t *testing.T) {
	db := open(t)
	e := &VaultEntry{Key: "k", Type: "env", MountPath: "p", Description: "d", Updated: epoch, Nonce: []byte{1}, SealedKey: []byte{2}, Ciphertext: []byte("abc"), Size: 3}
	put := func(member string, e *VaultEntry, entries, bytes int) error {
		return db.Write(t.Context(), func(tx *Tx) error { return tx.PutVault(member, e, entries, bytes) })
	}
	wants(t, "the first", put("m", e, 1, 3), nil)
	wants(t, "the same again", put("m", e, 1, 3), nil)
	wants(t, "another's of that key", put("n", &VaultEntry{Key: "k", Type: "file", Updated: epoch, Nonce: []byte{}, SealedKey: []byte{}, Ciphertext: []byte{}}, 1, 3), nil)
	wants(t, "one too many", put("m", &VaultEntry{Key: "l", Type: "env", Updated: epoch, Nonce: []byte{}, SealedKey: []byte{}, Ciphertext: []byte{}}, 1, 9), ErrLimit)
	wants(t, "too many bytes", put("m", &VaultEntry{Key: "k", Type: "env", Updated: epoch, Nonce: []byte{}, SealedKey: []byte{}, Ciphertext: []byte("abcd"), Size: 4}, 1, 3), ErrLimit)
	mustRead(t, db, func(rx *Rx) error {
		got, err := rx.VaultEntry("m", "k")
		equal(t, got, e)
		_, notErr := rx.VaultEntry("m", "l")
		wants(t, "no such entry", notErr, ErrNotFound)
		list, listErr := rx.Vault("m")
		equal(t, list, []*VaultEntry{{Key: "k", Type: "env", MountPath: "p", Description: "d", Updated: epoch, Size: 3}})
		wants(t, "list", listErr, nil)
		return err
	})
	later := *e
	later.Updated, later.Ciphertext, later.Description = epoch.Add(time.Hour), []byte("de"), ""
	wants(t, "replaced", put("m", &later, 1, 3), nil)
	mustWrite(t, db, func(tx *Tx) error {
		got, err := tx.VaultEntry("m", "k")
		equal(t, got, &later)
		wants(t, "what is not there", tx.DeleteVaultEntry("m", "l"), ErrNotFound)
		wants(t, "delete", tx.DeleteVaultEntry("m", "k"), nil)
		wants(t, "delete all", tx.DeleteVault("m"), nil)
		_, notErr := tx.VaultEntry("m", "k")
		wants(t, "deleted", notErr, ErrNotFound)
		if _, err := tx.VaultEntry("n", "k"); err != nil {
			t.Error("the other's is gone too:", err)
		}
		wants(t, "delete another's", tx.DeleteVault("n"), nil)
		_, notErr = tx.VaultEntry("n", "k")
		wants(t, "deleted", notErr, ErrNotFound)
		return err
	})
}
