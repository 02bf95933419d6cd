//go:build unix

package toolserver

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// signalOf returns the name of the signal that a process was ended by, empty if
// by none.
func signalOf(s *os.ProcessState) string {
	if ws, ok := s.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return unix.SignalName(ws.Signal())
	}
	return ""
}
