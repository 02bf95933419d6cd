package confine

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func owner(t *testing.T, path string) int {
	t.Helper()
	fi, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return int(fi.Sys().(*syscall.Stat_t).Uid)
}

func TestADirectoryIsGivenToItsUserAndNothingOutside(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	dir, outside := filepath.Join(t.TempDir(), "service"), filepath.Join(t.TempDir(), "outside")
	if err := errors.Join(
		os.MkdirAll(dir+"/a/b", 0o700), os.WriteFile(dir+"/a/b/f", nil, 0o600), os.WriteFile(outside, nil, 0o600),
		os.Symlink(outside, dir+"/a/link"), os.Symlink(filepath.Dir(outside), dir+"/dir"), os.Link(outside, dir+"/hard"),
	); err != nil {
		t.Fatal(err)
	}
	c := New(t.Context(), Options{})
	uid, err := c.user(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := giveTo(dir, uid); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, dir + "/a", dir + "/a/b", dir + "/a/b/f", dir + "/a/link"} {
		if owner(t, path) != uid {
			t.Errorf("%s is of %d", path, owner(t, path))
		}
	}
	for _, path := range []string{outside, filepath.Dir(outside), dir + "/hard"} {
		if owner(t, path) != 0 {
			t.Errorf("%s is of %d", path, owner(t, path))
		}
	}
	if again, err := New(t.Context(), Options{}).user(dir); again != uid || err != nil {
		t.Errorf("after a restart its user is %d, was %d: %v", again, uid, err)
	}
}

func TestNoTwoDirectoriesHaveOneUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	c := New(t.Context(), Options{FirstUser: FirstUser, Users: 4})
	seen := make(map[int]string)
	for _, name := range []string{"a", "b", "c"} {
		dir := filepath.Join(t.TempDir(), name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		uid, err := c.user(dir)
		if err != nil || seen[uid] != "" {
			t.Errorf("%s has %d as %s has: %v", name, uid, seen[uid], err)
		}
		seen[uid] = name
	}
	// What is copied with its owner is not the other's.
	dir := t.TempDir()
	for uid := range seen {
		if err := os.Chown(dir, uid, uid); err != nil {
			t.Fatal(err)
		}
		break
	}
	if uid, err := c.user(dir); err != nil || seen[uid] != "" {
		t.Errorf("it has %d as %s has: %v", uid, seen[uid], err)
	}
}

func TestUsersOfWhatIsGoneAreForgotten(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	c := New(t.Context(), Options{})
	stays := t.TempDir()
	first, err := c.user(stays)
	if err == nil {
		err = giveTo(stays, first)
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "service")
	for range 20 * keptUsers { // deployed and undeployed, under one name
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		uid, err := c.user(dir)
		if err := errors.Join(err, giveTo(dir, uid), os.Remove(dir)); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.users) > keptUsers || c.users[first] != stays {
		t.Errorf("%d users are on record, %d for %q", len(c.users), first, c.users[first])
	}
}
