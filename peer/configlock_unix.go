//go:build !windows

package peer

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// tryLock takes the exclusive lock of f without waiting and reports whether it
// got it. Closing f releases it.
func tryLock(f *os.File) (bool, error) {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR) {
		return false, nil
	}
	return err == nil, err
}

// syncDir makes a rename in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	// Some file systems cannot sync a directory; their renames are as durable
	// as they get.
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) {
		d.Close()
		return err
	}
	return d.Close()
}

// exposed reports whether a file of that mode can be used by others than its owner.
func exposed(mode fs.FileMode) bool { return mode&0o077 != 0 }
