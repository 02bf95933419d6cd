//go:build !windows

package launch

import (
	"fmt"
	"os/exec"
	"syscall"
)

// runHost makes this process the host program: terminal, signals and exit code
// are its own.
func runHost(program string, args, env []string) error {
	return fmt.Errorf("start %s: %w", program, syscall.Exec(program, args, env))
}

// detach lets a process outlive this one and its terminal.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }
