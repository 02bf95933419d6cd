package store

import (
	"encoding/json"
	"testing"
	"time"
)

func entry(key, value string, at time.Time) *StateEntry {
	return &StateEntry{Key: key, Value: json.RawMessage(value), Author: "ann", Updated: at, Size: len(key) + len(value)}
}

func TestStateIsSetReadAndDeleted(t *testing.T) {
	db := open(t)
	mustWrite(t, db, func(tx *Tx) error {
		for _, e := range []*StateEntry{entry("b", `"first"`, epoch), entry("a", `null`, epoch), entry("b", `{"n":2}`, epoch)} {
			if err := tx.SetState(e); err != nil {
				return err
			}
		}
		return nil
	})
	b := entry("b", `{"n":2}`, epoch.Add(time.Millisecond)) // later than the value it replaced, at the same moment
	mustRead(t, db, func(rx *Rx) error {
		all, err := rx.StateEntries()
		equal(t, all, []*StateEntry{entry("a", `null`, epoch), b})
		keys, _ := rx.StateKeys()
		equal(t, keys, []string{"a", "b"})
		_, missing := rx.StateEntry("c")
		wants(t, "a key that is not set", missing, ErrNotFound)
		return err
	})
	use := func() (u StateUse) {
		mustRead(t, db, func(rx *Rx) (err error) { u, err = rx.StateUse(); return err })
		return u
	}
	equal(t, use(), StateUse{2, 5 + 8})
	mustWrite(t, db, func(tx *Tx) error {
		wants(t, "no such key", tx.DeleteState("c"), ErrNotFound)
		return tx.DeleteState("b")
	})
	equal(t, use(), StateUse{1, 5})
	mustWrite(t, db, func(tx *Tx) error {
		if tx.SetState(entry("x", `{`, epoch)) == nil {
			t.Error("what is no JSON was taken")
		}
		return nil
	})
}
