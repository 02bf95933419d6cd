package confine

import "golang.org/x/sys/unix"

// Room returns how many bytes a user who is not root may still write to the disk of
// a directory, and false where the system does not say.
func Room(dir string) (bytes int64, known bool) {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return 0, false
	}
	return int64(s.Bavail) * s.Bsize, true
}
