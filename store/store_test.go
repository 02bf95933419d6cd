package store

import (
	"path/filepath"
	"testing"
	"time"
)

// epoch is when the tests begin.
var epoch = time.UnixMilli(1_700_000_000_123).UTC()

func open(tb testing.TB) *DB { return openAt(tb, filepath.Join(tb.TempDir(), "mesh.db")) }

func openAt(tb testing.TB, path string) *DB {
	tb.Helper()
	db, err := Open(tb.Context(), path, Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return db
}

func mustWrite(tb testing.TB, db *DB, fn func(*Tx) error) {
	tb.Helper()
	if err := db.Write(tb.Context(), fn); err != nil {
		tb.Fatal(err)
	}
}

func mustRead(tb testing.TB, db *DB, fn func(*Rx) error) {
	tb.Helper()
	if err := db.Read(tb.Context(), fn); err != nil {
		tb.Fatal(err)
	}
}

func TestOpenWriteRead(t *testing.T) {
	db := open(t)
	mustWrite(t, db, func(tx *Tx) error {
		if err := tx.CreateMesh(Mesh{ID: "m", Slug: "s", Name: "n", Owner: "o", Created: epoch}); err != nil {
			return err
		}
		return tx.AddMessage(&Message{Target: "*", Created: epoch, Expires: epoch.Add(time.Hour)}, []int64{1, 2})
	})
	mustRead(t, db, func(rx *Rx) error { m, err := rx.Mesh(); t.Logf("%+v", m); return err })
	if db.QueueDepth() != 2 {
		t.Error(db.QueueDepth())
	}
}
