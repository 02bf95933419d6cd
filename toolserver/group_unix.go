//go:build unix && !linux

package toolserver

import (
	"os/exec"
	"syscall"
)

// Apart gives a command that is not started yet a process group of its own.
func Apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// killGroup ends a process and those that it has started.
func killGroup(cmd *exec.Cmd) { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

// askGroup asks a process and those that it has started to end.
func askGroup(cmd *exec.Cmd) { syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }

// awaitEnd waits for nothing: this system has no way to that leaves the id of a
// process to it.
func awaitEnd(*exec.Cmd) bool { return false }
