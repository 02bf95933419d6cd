//go:build !unix

package toolserver

import (
	"os"
	"os/exec"
)

// Apart does nothing: this system has no process groups.
func Apart(*exec.Cmd) {}

// killGroup ends a process; those that it has started see their input end.
func killGroup(cmd *exec.Cmd) { cmd.Process.Kill() }

// askGroup does nothing: that its input has ended is all that a process is told.
func askGroup(*exec.Cmd) {}

// awaitEnd waits for nothing: this system has no way to that leaves the id of a
// process to it.
func awaitEnd(*exec.Cmd) bool { return false }

// signalOf returns nothing: this system has no signals.
func signalOf(*os.ProcessState) string { return "" }
