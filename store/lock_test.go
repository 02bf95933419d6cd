package store

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

func TestADirectoryHasOneHolder(t *testing.T) {
	dir := t.TempDir()
	first, err := LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.SetAddress("127.0.0.1:7900"); err != nil {
		t.Fatal(err)
	}
	_, err = LockDir(dir)
	if !errors.Is(err, ErrConflict) {
		t.Fatal("second lock:", err)
	}
	for _, s := range []string{strconv.Itoa(os.Getpid()), "since", "127.0.0.1:7900", dir} {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%q does not say %q", err, s)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "lock")); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	if err := first.Unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := LockDir(dir)
	if err != nil {
		t.Fatal("after it was released:", err)
	}
	if err := again.Unlock(); err != nil {
		t.Error(err)
	}
}

func TestALockFileFromTheDeadIsNoLock(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "lock"), []byte(`{"pid":1,"since":"2020-01-01T00:00:00Z"}`+strings.Repeat(" ", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Unlock()
	if s := holderOf(filepath.Join(dir, "lock")); !strings.Contains(s, strconv.Itoa(os.Getpid())) {
		t.Error(s)
	}
}
