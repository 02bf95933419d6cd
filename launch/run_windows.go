package launch

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// runHost runs the host program, which shares our console and gets its
// interrupts, and returns its exit code as Ended.
func runHost(program string, args, env []string) error {
	cmd := &exec.Cmd{Path: program, Args: args, Env: env, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	signal.Ignore(os.Interrupt)
	err := cmd.Run()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		return Ended(ended.ExitCode())
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", program, err)
	}
	return Ended(0)
}

// detach lets a process outlive this one and its console.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
