package store

import (
	"errors"
	"io/fs"
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
	for _, s := range []string{"store:", "conflict"} {
		if strings.Contains(err.Error(), s) {
			t.Errorf("%q says %q, which is for programs", err, s)
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

func TestADirectoryThatCannotBeUsedIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		_, err := LockDir(dir)
		if err == nil || !strings.Contains(err.Error(), "the data directory "+dir) || strings.Contains(err.Error(), "store:") {
			t.Errorf("%s: %v", dir, err)
		}
		if _, ok := errors.AsType[*fs.PathError](err); !ok {
			t.Errorf("%s: the cause is lost: %v", dir, err)
		}
	}
}
