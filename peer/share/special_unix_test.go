//go:build unix

package share

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"
)

// special puts what is no file into dir.
func special(t testing.TB, dir string) {
	must(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644))
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Log("no socket:", err) // its path is too long here
		return
	}
	t.Cleanup(func() { l.Close() })
}
