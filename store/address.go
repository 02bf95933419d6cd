package store

import (
	"errors"
	"fmt"
	"time"
)

const (
	addressColumns        = `id, key, kind, member_id, created, used`
	insertAddress         = `INSERT INTO address (key, kind, member_id, created, used) VALUES (?, ?, ?, ?, ?)`
	selectAddress         = `SELECT ` + addressColumns + ` FROM address WHERE key = ?`
	selectAddressID       = `SELECT ` + addressColumns + ` FROM address WHERE id = ?`
	selectAddressesPrefix = `SELECT ` + addressColumns + ` FROM address WHERE key >= ? AND key < ? ORDER BY key LIMIT ?`
	selectRejoined        = `SELECT 1 FROM member o JOIN member n ON n.pubkey = o.pubkey WHERE o.id = ? AND n.id = ? AND o.revoked IS NOT NULL`
	updateAddress         = `UPDATE address SET kind = ?, member_id = ? WHERE id = ?`
	updateAddressUsed     = `UPDATE address SET used = max(used, ?) WHERE id = ?`
)

// Kinds of an address.
const (
	KindMember  = "member"  // the key of a member
	KindSession = "session" // the key of a session
	KindUnknown = "unknown" // somebody wrote to it, nobody has shown that it is his
)

// Address is a public key that the mesh has seen as a routing address, and
// the number that mailboxes go by.
type Address struct {
	ID       int64  // never given out again
	Key      string // hex64, lower case
	Kind     string
	MemberID string // "" while the kind is KindUnknown
	Created  time.Time
	Used     time.Time
}

func (a *Address) columns() []any {
	return []any{&a.ID, &a.Key, &a.Kind, &a.MemberID, &a.Created, &a.Used}
}

// Address returns the address with that key: ErrNotFound if the mesh has
// never seen it.
func (rx *Rx) Address(key string) (Address, error) {
	var a Address
	if err := rx.one(selectAddress, []any{key}, a.columns()...); err != nil {
		return Address{}, fmt.Errorf("store: address %.16s: %w", key, err)
	}
	return a, nil
}

// AddressByID returns the address with that number: ErrNotFound if there is none.
func (rx *Rx) AddressByID(id int64) (Address, error) {
	var a Address
	if err := rx.one(selectAddressID, []any{id}, a.columns()...); err != nil {
		return Address{}, fmt.Errorf("store: address %d: %w", id, err)
	}
	return a, nil
}

// AddressesByPrefix lists, by key, at most limit addresses whose keys begin
// with prefix.
func (rx *Rx) AddressesByPrefix(prefix string, limit int) ([]Address, error) {
	var all []Address
	err := rx.each(selectAddressesPrefix, []any{prefix, prefix + "\x7f", limit}, func(r row) error {
		var a Address
		err := r.scan(a.columns()...)
		all = append(all, a)
		return err
	})
	return all, err
}

// EnsureAddress returns the address with that key, which it makes if need be.
// With KindUnknown, and member "", it takes whatever is there. Otherwise an
// unknown key becomes the member's, and ErrConflict says that it is already
// another member's; a revoked one who was enrolled again with the same key
// gets its addresses back.
func (tx *Tx) EnsureAddress(key, kind, member string, now time.Time) (Address, error) {
	a, err := tx.knownAddress(key)
	if errors.Is(err, ErrNotFound) {
		if _, err := tx.insert(insertAddress, key, kind, null(member), now, now); err != nil {
			return Address{}, err
		}
		return tx.Address(key)
	}
	if err != nil || kind == KindUnknown {
		return a, err
	}
	if err := tx.mayTake(a, member); err != nil {
		return Address{}, err
	}
	if a.Kind == KindMember {
		kind = KindMember
	}
	if a.Kind == kind && a.MemberID == member {
		return a, nil
	}
	a.Kind, a.MemberID = kind, member
	delete(tx.db.known, key)
	_, err = tx.exec(updateAddress, kind, member, a.ID)
	return a, err
}

// maxKnown is how many addresses are kept in memory.
const maxKnown = 4096

// knownAddress is Address for one that is wanted again soon, as those are that
// messages go to. When it was last used is not to be relied on.
func (tx *Tx) knownAddress(key string) (Address, error) {
	if a, ok := tx.db.known[key]; ok {
		return a, nil
	}
	a, err := tx.Address(key)
	if err != nil {
		return Address{}, err
	}
	if len(tx.db.known) >= maxKnown {
		clear(tx.db.known)
	}
	tx.db.known[a.Key] = a
	return a, nil
}

// mayTake returns ErrConflict if a belongs to somebody else than member.
func (tx *Tx) mayTake(a Address, member string) error {
	if a.Kind == KindUnknown || a.MemberID == member {
		return nil
	}
	var same bool
	err := tx.one(selectRejoined, []any{a.MemberID, member}, &same)
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("store: address %.16s belongs to another member: %w", a.Key, ErrConflict)
	}
	return err
}

// UseAddress notes that the address was in use at that time, which keeps it
// from SweepAddresses.
func (tx *Tx) UseAddress(id int64, at time.Time) error {
	return tx.change(fmt.Sprintf("address %d", id), updateAddressUsed, at, id)
}
