package runner

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"claudemesh/broker/runner/source"
)

// nest makes directories in each other, as a program does that changes into each.
func nest(t *testing.T, dir string, levels int) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	for range levels {
		if err != nil {
			break
		}
		var next *os.Root
		if err = root.Mkdir("d", 0o700); err == nil {
			next, err = root.OpenRoot("d")
		}
		root.Close()
		root = next
	}
	if err != nil {
		t.Fatal(err)
	}
	root.Close()
}

func TestDeepDirectoriesAreDeletedWithFewFilesOpen(t *testing.T) { // not in parallel: the limit is the process's
	top := t.TempDir()
	dir := filepath.Join(top, "service")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(top, "other"), nil, 0o600), os.Symlink(top, filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	nest(t, dir, 3000)
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 500, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	err := removeAll(dir)
	if back := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); back != nil {
		t.Fatal(back)
	}
	if err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(top); err != nil || len(entries) != 1 || entries[0].Name() != "other" {
		t.Errorf("left are %v, %v", entries, err)
	}
}

func TestDirectoriesThatAreTooDeepAreTooMuch(t *testing.T) {
	t.Parallel()
	for levels, want := range map[int]bool{source.MaxNesting: true, source.MaxNesting + 5: false, 20 * source.MaxNesting: false} {
		dir := t.TempDir()
		t.Cleanup(func() { removeAll(filepath.Join(dir, "d")) })
		nest(t, dir, levels)
		var use diskUse
		use.add(dir)
		if err := use.check(); (err == nil) != want || err != nil && !strings.Contains(err.Error(), "nested") {
			t.Errorf("%d levels: %v", levels, err)
		}
	}
}
