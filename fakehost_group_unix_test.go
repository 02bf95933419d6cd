//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// whole has the end of cmd's context end all that it started, and not the shell
// alone: a waiter left behind still writes when its test is over.
func whole(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
