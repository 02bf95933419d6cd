//go:build !linux && !darwin

package store

import "io/fs"

// errQuota is nothing that this system answers.
var errQuota = fs.ErrInvalid

// freeSpace says that this system does not tell.
func freeSpace(string) (int64, bool) { return 0, false }
