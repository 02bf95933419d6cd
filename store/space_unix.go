//go:build linux || darwin

package store

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// errQuota is what the system answers where a user's share of the disk is used up.
const errQuota = syscall.EDQUOT

// freeSpace returns the bytes that this user may still write to the disk of dir.
func freeSpace(dir string) (int64, bool) {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}
