package bench

import (
	"os"
	"syscall"
)

// flushData puts what was written to f on disk, without what a reader does not
// need, as SQLite does.
func flushData(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); err != syscall.EINTR {
			return err
		}
	}
}
