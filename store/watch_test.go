package store

import (
	"crypto/sha256"
	"errors"
	"testing"
)

func watchOf(id, member string) *Watch {
	return &Watch{ID: id, MemberID: member, URL: "https://example.com/" + id, Mode: "hash", Interval: 30, NotifyOn: "change", Created: epoch}
}

func TestWatches(t *testing.T) {
	db := open(t)
	a, b, c := watchOf("w_a", "ann"), watchOf("w_b", "bob"), watchOf("w_c", "ann")
	b.Mode, b.Extract, b.Headers, b.Label = "json", "$.x", []byte{1}, "label"
	mustWrite(t, db, func(tx *Tx) error { return errors.Join(tx.AddWatch(a, 1, 2), tx.AddWatch(b, 1, 2)) })
	for _, limits := range [][2]int{{1, 9}, {9, 2}} {
		wants(t, "one too many", db.Write(t.Context(), func(tx *Tx) error { return tx.AddWatch(c, limits[0], limits[1]) }), ErrLimit)
	}
	mustWrite(t, db, func(tx *Tx) error {
		b.WatchState = WatchState{Known: true, Sum: sha256.Sum256([]byte("v")), Value: "v", ETag: `"e"`, Modified: "m", Failures: 2, Error: "no", Told: true, Checked: epoch}
		return tx.SaveWatch(b.ID, &b.WatchState)
	})
	mustRead(t, db, func(rx *Rx) error {
		all, err := rx.Watches()
		equal(t, all, []*Watch{a, b})
		return err
	})
	mustWrite(t, db, func(tx *Tx) error { return errors.Join(tx.DeleteWatch(a.ID), tx.DeleteWatches("bob")) })
	mustWrite(t, db, func(tx *Tx) error {
		all, err := tx.Watches()
		equal(t, len(all), 0)
		wants(t, "deleted before", tx.DeleteWatch(a.ID), ErrNotFound)
		wants(t, "saved after it was deleted", tx.SaveWatch(a.ID, &a.WatchState), ErrNotFound)
		return err
	})
}
