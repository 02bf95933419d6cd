package launch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func appendLine(data []byte) ([]byte, error) { return append(data, "x\n"...), nil }

func TestEditKeepsTheModeAndLeavesNothingBehind(t *testing.T) {
	for _, mode := range []fs.FileMode{0o600, 0o644, 0o640} {
		path := filepath.Join(t.TempDir(), "settings.json")
		if err := os.WriteFile(path, []byte("a\n"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if err := editFile(t.Context(), path, appendLine); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("mode %v, %v, want %v", info.Mode(), err, mode)
		}
		if got := read(t, path); got != "a\nx\n" {
			t.Errorf("got %q", got)
		}
		if left := names(t, filepath.Dir(path)); left != "settings.json" {
			t.Errorf("left behind: %s", left)
		}
	}
}

func TestEditMakesAPrivateFileAndFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "new", "settings.json"), filepath.Join(dir, "link")
	if err := editFile(t.Context(), path, appendLine); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Symlink(path, link); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	if err := editFile(t.Context(), link, appendLine); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is none any more: %v, %v", info.Mode(), err)
	}
	if got := read(t, path); got != "x\nx\n" {
		t.Errorf("got %q", got)
	}
}

func TestFailedEditChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.json")
	write(t, path, "{broken")
	fault := errors.New("line 1: broken")
	err := editFile(t.Context(), path, func([]byte) ([]byte, error) { return nil, fault })
	if !errors.Is(err, fault) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "left as it is") {
		t.Errorf("the error is %v", err)
	}
	if got := read(t, path); got != "{broken" {
		t.Errorf("got %q", got)
	}
	err = editFile(t.Context(), path, func(data []byte) ([]byte, error) {
		write(t, path, "of another program")
		return append(data, 'x'), nil
	})
	if !errors.Is(err, errChanged) || read(t, path) != "of another program" {
		t.Errorf("a change beside ours: %v, %q", err, read(t, path))
	}
}

func TestEditsAtTheSameTimeAreAllKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.json")
	// A lock that a dead process left behind is in the way of all of them.
	if err := os.Mkdir(path+".lock", 0o700); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Minute)
	if err := os.Chtimes(path+".lock", old, old); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := editFile(t.Context(), path, appendLine); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := strings.Count(read(t, path), "x"); got != 8 {
		t.Errorf("%d of 8 edits are there", got)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// names lists what a directory has.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

func TestLinkThatLeadsNowhereIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink("nowhere", link); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	if err := editFile(t.Context(), link, appendLine); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Error(err)
	}
	if to, err := os.Readlink(link); err != nil || to != "nowhere" {
		t.Errorf("the link leads to %q: %v", to, err)
	}
}
