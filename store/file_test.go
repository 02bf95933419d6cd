package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func aFile(id string, at time.Time) *File {
	return &File{ID: id, Name: "report.pdf", Size: 5, Type: "application/pdf", SHA256: sha256.Sum256([]byte(id)), Tags: []string{"q3", "ü"}, Encrypted: true,
		Owner: "k", Uploader: "m", UploaderName: "ann", Target: "@docs", Uploaded: at}
}

func TestFile(t *testing.T) {
	db := open(t)
	a, b := aFile("a", epoch), aFile("b", epoch.Add(time.Second))
	b.Type, b.Tags, b.Encrypted, b.Owner, b.Uploader, b.Target, b.Expires = "", []string{}, false, "", "", "", epoch.Add(time.Hour)
	mustWrite(t, db, func(tx *Tx) error {
		err := errors.Join(tx.AddFile(a), tx.AddFile(b))
		wants(t, "the same id", tx.AddFile(a), ErrConflict)
		return err
	})
	mustRead(t, db, func(rx *Rx) error {
		var all []*File
		err := rx.Files(func(f *File) (bool, error) { all = append(all, f); return true, nil })
		equal(t, all, []*File{b, a})
		all = nil
		first := rx.Files(func(f *File) (bool, error) { all = append(all, f); return false, nil })
		equal(t, all, []*File{b})
		got, one := rx.File("a")
		equal(t, got, a)
		_, none := rx.File("c")
		wants(t, "no such file", none, ErrNotFound)
		over, overErr := rx.ExpiredFiles(epoch.Add(time.Hour), 10)
		equal(t, over, []FileSize{{"b", 5}})
		early, earlyErr := rx.ExpiredFiles(epoch.Add(time.Hour-1e6), 10)
		equal(t, len(early), 0)
		return errors.Join(err, first, one, overErr, earlyErr)
	})
}

func TestKeysAndAccessesGoWithTheirFile(t *testing.T) {
	db := open(t)
	mustWrite(t, db, func(tx *Tx) error {
		err := errors.Join(tx.AddFile(aFile("a", epoch)), tx.PutFileKey("a", "k1", "s1", "", epoch), tx.PutFileKey("a", "k1", "s2", "m", epoch), tx.PutFileKey("a", "k2", "s3", "m", epoch))
		n, countErr := tx.FileKeys("a")
		equal(t, n, 2)
		sealed, keyErr := tx.FileKey("a", "k1")
		equal(t, sealed, "s2")
		_, none := tx.FileKey("a", "k3")
		wants(t, "a key nobody has", none, ErrNotFound)
		for i := range 5 {
			err = errors.Join(err, tx.AddFileAccess("a", FileAccess{"k", string(rune('a' + i)), epoch}, 3))
		}
		return errors.Join(err, countErr, keyErr)
	})
	mustRead(t, db, func(rx *Rx) error {
		all, err := rx.FileAccesses("a", 2)
		equal(t, all, []FileAccess{{"k", "e", epoch}, {"k", "d", epoch}})
		kept, keptErr := rx.FileAccesses("a", 10)
		equal(t, len(kept), 3)
		return errors.Join(err, keptErr)
	})
	mustWrite(t, db, func(tx *Tx) error {
		err := tx.DeleteFile("a")
		wants(t, "again", tx.DeleteFile("a"), ErrNotFound)
		n, countErr := tx.FileKeys("a")
		equal(t, n, 0)
		left, leftErr := tx.FileAccesses("a", 10)
		equal(t, len(left), 0)
		return errors.Join(err, countErr, leftErr)
	})
}

func TestABlobIsThereWhenItIsKept(t *testing.T) {
	blobs := OpenBlobs(filepath.Join(t.TempDir(), "mesh.db"))
	if n, err := blobs.Sweep(nil); n != 0 || err != nil {
		t.Error(n, err)
	}
	if _, known := blobs.Free(); !known {
		t.Log("this system does not say what is free")
	}
	w, err := blobs.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := blobs.Create("a"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("the same blob twice: %v", err)
	}
	content := bytes.Repeat([]byte("12345678"), blobSyncAt/8+1)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	_, err = blobs.Open("a")
	wants(t, "before it is kept", err, ErrNotFound)
	if w.Size() != int64(len(content)) || w.Sum() != sha256.Sum256(content) {
		t.Error("size or sum is wrong")
	}
	if err := w.Keep(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(blobs.Dir(), "a"))
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := errors.Join(blobs.Remove("a"), blobs.Remove("a")); err != nil {
		t.Error(err)
	}
	for _, id := range []string{"", "..", "../mesh.db", "a/b", ".new-a", `a\b`, "a\x00"} {
		if _, err := blobs.Create(id); err == nil {
			t.Errorf("a blob called %q was made", id)
		}
		if _, err := blobs.Open(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("a blob called %q: %v", id, err)
		}
		if blobs.Remove(id) == nil {
			t.Errorf("a blob called %q was removed", id)
		}
	}
}

func TestSweepRemovesWhatNobodyWants(t *testing.T) {
	blobs := OpenBlobs(filepath.Join(t.TempDir(), "mesh.db"))
	for _, id := range []string{"kept", "orphan"} {
		w, err := blobs.Create(id)
		if err == nil {
			err = w.Keep()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"cut", "busy"} { // as a crash, or an upload, leaves them
		w, err := blobs.Create(id)
		if err != nil {
			t.Fatal(err)
		}
		defer w.file.Close()
	}
	if err := os.WriteFile(filepath.Join(blobs.Dir(), "a note.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := blobs.Sweep(func() (map[string]bool, error) { return map[string]bool{"kept": true, "busy": true}, nil })
	if n != 2 || err != nil {
		t.Error(n, err)
	}
	entries, _ := os.ReadDir(blobs.Dir())
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	equal(t, names, []string{".new-busy", "a note.txt", "kept"})
}
