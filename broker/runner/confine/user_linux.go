package confine

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// user returns the user id of a cell's directory: the one that owns it, or one
// that nobody else has. What a directory has it keeps, for it is on disk.
func (c *Confiner) user(dir string) (int, error) {
	fi, err := os.Stat(dir)
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	uid := int(fi.Sys().(*syscall.Stat_t).Uid)
	if uid >= c.opts.FirstUser && uid < c.opts.FirstUser+c.opts.Users && (c.users[uid] == "" || c.users[uid] == dir) {
		c.users[uid] = dir
		return uid, nil
	}
	c.forgetUsers()
	for range 100 {
		var b [8]byte
		rand.Read(b[:])
		uid := c.opts.FirstUser + int(binary.BigEndian.Uint64(b[:])%uint64(c.opts.Users))
		if c.users[uid] == "" {
			c.users[uid] = dir
			return uid, nil
		}
	}
	return 0, fmt.Errorf("no user id is left for another service out of %d: give the broker a larger range", c.opts.Users)
}

// keptUsers is how many directories may be on record before those that are gone
// are looked for.
const keptUsers = 64

// forgetUsers strikes the directories off the record that are gone, or
// another's: whoever undeploys is not heard of here. It is called with c.mu held.
func (c *Confiner) forgetUsers() {
	if len(c.users) < max(keptUsers, 2*c.lived) {
		return
	}
	for uid, dir := range c.users {
		fi, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) || err == nil && int(fi.Sys().(*syscall.Stat_t).Uid) != uid {
			delete(c.users, uid)
		}
	}
	c.lived = len(c.users)
}

// maxNesting is how deep directories are given away: what programs make below is
// theirs, and would take time with the square of its depth.
const maxNesting = 1000

// giveTo makes a directory and all in it a user's. What is in it may be changing
// under the hands of a program of that user, so no link is followed.
func giveTo(dir string, uid int) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && strings.Count(path, "/") > maxNesting {
			return fs.SkipDir
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		fi, err := root.Lstat(path)
		if err != nil {
			return nil // it has gone
		}
		st := fi.Sys().(*syscall.Stat_t)
		if int(st.Uid) == uid && int(st.Gid) == uid || !fi.IsDir() && st.Nlink > 1 {
			return nil // its own, or perhaps somebody else's too
		}
		if err := root.Lchown(path, uid, uid); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}
