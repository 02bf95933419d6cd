//go:build !unix

package lend

import "os/exec"

// apart does nothing: this system has no process groups.
func apart(*exec.Cmd) {}

// killGroup ends a process; those that it has started see their input end.
func killGroup(cmd *exec.Cmd) { cmd.Process.Kill() }
