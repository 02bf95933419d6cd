package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const (
	stateColumns       = `key, value, author, updated, size`
	selectStateEntry   = `SELECT ` + stateColumns + ` FROM state WHERE key = ?`
	selectStateEntries = `SELECT ` + stateColumns + ` FROM state ORDER BY key`
	selectStateKeys    = `SELECT key FROM state ORDER BY key`
	upsertStateEntry   = `INSERT INTO state (` + stateColumns + `) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value, author = excluded.author, updated = excluded.updated, size = excluded.size`
	deleteStateEntry = `DELETE FROM state WHERE key = ?`

	tallyStateKeys  = "state keys"
	tallyStateBytes = "state bytes"
)

// StateEntry is one key of the state that the members of a mesh share.
type StateEntry struct {
	Key     string
	Value   json.RawMessage
	Author  string // display name
	Updated time.Time
	Size    int // what it counts against the bytes of a StateUse
}

func (e *StateEntry) columns() []any {
	return []any{&e.Key, fromJSON{&e.Value}, &e.Author, &e.Updated, &e.Size}
}

// StateUse is how much state there is.
type StateUse struct{ Keys, Bytes int }

// StateEntry returns the entry of a key: ErrNotFound if it is not set.
func (rx *Rx) StateEntry(key string) (*StateEntry, error) {
	var e StateEntry
	if err := rx.one(selectStateEntry, []any{key}, e.columns()...); err != nil {
		return nil, fmt.Errorf("store: state %q: %w", key, err)
	}
	return &e, nil
}

// StateEntries lists all entries by key.
func (rx *Rx) StateEntries() ([]*StateEntry, error) {
	var all []*StateEntry
	err := rx.each(selectStateEntries, nil, func(r row) error {
		var e StateEntry
		all = append(all, &e)
		return r.scan(e.columns()...)
	})
	return all, err
}

// StateKeys lists the keys that are set, ascending.
func (rx *Rx) StateKeys() ([]string, error) {
	var all []string
	err := rx.each(selectStateKeys, nil, func(r row) error {
		var key string
		err := r.scan(&key)
		all = append(all, key)
		return err
	})
	return all, err
}

// StateUse returns how much state there is.
func (rx *Rx) StateUse() (u StateUse, err error) {
	if u.Keys, err = rx.tally(tallyStateKeys); err != nil {
		return u, err
	}
	u.Bytes, err = rx.tally(tallyStateBytes)
	return u, err
}

// SetState sets a key. Updated becomes later than that of the entry it
// replaces, whatever the clock says, so that no two values of a key have the
// same.
func (tx *Tx) SetState(e *StateEntry) error {
	old, err := tx.StateEntry(e.Key)
	keys, bytes := 0, e.Size
	switch {
	case errors.Is(err, ErrNotFound):
		keys = 1
	case err != nil:
		return err
	default:
		bytes -= old.Size
		if !e.Updated.Truncate(time.Millisecond).After(old.Updated) {
			e.Updated = old.Updated.Add(time.Millisecond)
		}
	}
	value, err := rawText(e.Value)
	if err != nil {
		return err
	}
	if _, err := tx.exec(upsertStateEntry, e.Key, value, e.Author, e.Updated, e.Size); err != nil {
		return err
	}
	return tx.countState(keys, bytes)
}

// DeleteState removes a key: ErrNotFound if it is not set.
func (tx *Tx) DeleteState(key string) error {
	e, err := tx.StateEntry(key)
	if err != nil {
		return err
	}
	if _, err := tx.exec(deleteStateEntry, key); err != nil {
		return err
	}
	return tx.countState(-1, -e.Size)
}

func (tx *Tx) countState(keys, bytes int) error {
	if err := tx.addTally(tallyStateKeys, keys); err != nil {
		return err
	}
	return tx.addTally(tallyStateBytes, bytes)
}
