package confine

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// hold is the first process of a cell where there are no pid namespaces. There the end
// of a supervisor would end nobody else, so it is kept out of reach of whoever ends what
// the broker has started: it is a process below this one, and when this one is killed it
// ends the rest; when it is killed, this one does. The result is the exit status of the
// supervisor.
func hold() (int, error) {
	// Taken and not ignored, which the program would inherit.
	signal.Notify(make(chan os.Signal, 1), unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	if err := errors.Join(unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)); err != nil {
		return 126, fmt.Errorf("protecting the supervisor: %w", err)
	}
	files := []uintptr{0, 1, 2, controlFD, specFD, groupFD}
	for _, fd := range files[3:] {
		unix.CloseOnExec(int(fd))
	}
	pid, err := syscall.ForkExec("/proc/self/exe", []string{arg0, "supervise"}, &syscall.ProcAttr{
		Env: []string{"GOMAXPROCS=1"}, Files: files, Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM},
	})
	if err != nil {
		return 126, fmt.Errorf("starting the supervisor: %w", err)
	}
	for _, fd := range files[3:] {
		unix.Close(int(fd))
	}
	if err := letGo(0, 1, 2); err != nil {
		return 126, err
	}
	for {
		var ws syscall.WaitStatus
		switch _, err := syscall.Wait4(pid, &ws, 0, nil); {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return 126, err
		case ws.Signaled():
			empty := make(chan struct{})
			go func() { // ends with the last process of the cell, or with this one
				for {
					if _, err := syscall.Wait4(-1, nil, 0, nil); err != nil && !errors.Is(err, syscall.EINTR) {
						break
					}
				}
				close(empty)
			}()
			endDescendants(empty, false)
			return 128 + int(ws.Signal()), nil
		}
		return ws.ExitStatus(), nil
	}
}

// letGo closes standard descriptors, which are to end with the program.
func letGo(fds ...int) error {
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("/dev/null: %w", err)
	}
	defer unix.Close(null)
	for _, fd := range fds {
		if err := unix.Dup3(null, fd, 0); err != nil {
			return fmt.Errorf("letting go of the program's pipes: %w", err)
		}
	}
	return nil
}
