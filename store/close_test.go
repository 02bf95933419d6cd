package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Whoever copies the file of a mesh that was closed has all of it.
func TestAClosedFileHasEverything(t *testing.T) {
	t.Parallel()
	for range 50 {
		path := filepath.Join(t.TempDir(), "mesh.db")
		db := openAt(t, path)
		addresses(t, db, 1)
		mustRead(t, db, func(rx *Rx) error { _, err := rx.Members(); return err })
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
			t.Fatal("its log is still beside it: ", err)
		}
	}
}
