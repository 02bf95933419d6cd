package confine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	maxOpenFiles = 16384   // of a process
	maxFileSize  = 4 << 30 // bytes of a file
)

// enter gives up all that the program is not to have, and becomes the program. It
// is on the one thread that lives on in it.
func enter() error {
	unix.CloseOnExec(enterSpecFD)
	s, err := readSpec(enterSpecFD)
	if err != nil {
		return fmt.Errorf("reading what the cell is: %w", err)
	}
	if err := s.limit(); err != nil {
		return err
	}
	rules := -1
	if s.Landlock > 0 {
		if rules, err = s.landlock(); err != nil {
			return fmt.Errorf("confining the files: %w", err)
		}
	}
	if err := s.dropRights(); err != nil {
		return err
	}
	// Who started it may have ended before it asked to be told.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("asking to end with the supervisor: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("giving up new privileges: %w", err)
	}
	if rules >= 0 {
		if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(rules), 0, 0); errno != 0 {
			return fmt.Errorf("confining the files: %w", errno)
		}
	}
	if err := unix.Chdir(s.Work); err != nil {
		return fmt.Errorf("working directory %s: %w", s.Work, err)
	}
	path, err := s.lookPath()
	if err != nil {
		return err
	}
	if s.Filter {
		if err := filterCalls(s.Spaces); err != nil {
			return fmt.Errorf("confining the system calls: %w", err)
		}
	}
	return fmt.Errorf("%s: %w", path, unix.Exec(path, s.Args, s.Env))
}

// limit sets what the system limits of a process, or of a user.
func (s *spec) limit() error {
	limits := []struct {
		what  string
		which int
		value uint64
	}{
		{"open files", unix.RLIMIT_NOFILE, maxOpenFiles},
		{"core files", unix.RLIMIT_CORE, 0},
		{"size of files", unix.RLIMIT_FSIZE, maxFileSize},
		{"memory", unix.RLIMIT_DATA, uint64(s.Data1)},
		{"processes", unix.RLIMIT_NPROC, uint64(s.NProc)},
	}
	for _, l := range limits {
		if l.value == 0 && l.which != unix.RLIMIT_CORE {
			continue
		}
		// syscall's, for that of package unix does not keep the runtime from
		// putting back its own idea of the open files.
		var now syscall.Rlimit
		if err := syscall.Getrlimit(l.which, &now); err != nil {
			return fmt.Errorf("limit of %s: %w", l.what, err)
		}
		want := min(l.value, now.Max)
		if err := syscall.Setrlimit(l.which, &syscall.Rlimit{Cur: want, Max: want}); err != nil {
			return fmt.Errorf("limit of %s: %w", l.what, err)
		}
	}
	unix.Umask(0o077)
	if s.Nice != 0 {
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, s.Nice); err != nil && !errors.Is(err, unix.EACCES) {
			return fmt.Errorf("lowering the priority: %w", err)
		}
	}
	return nil
}

// dropRights takes on the cell's user and leaves all capabilities behind.
func (s *spec) dropRights() error {
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("giving up capabilities: %w", err)
	}
	for c := range 64 {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil {
			break // beyond the last one, or there were none to give up
		}
	}
	if s.UID >= 0 {
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(s.UID), syscall.Setuid(s.UID)); err != nil {
			return fmt.Errorf("becoming user %d: %w", s.UID, err)
		}
	}
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&head, &none[0]); err != nil {
		return fmt.Errorf("giving up capabilities: %w", err)
	}
	return nil
}

// lookPath finds the program in the PATH that it will have.
func (s *spec) lookPath() (string, error) {
	name := s.Args[0]
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, kv := range s.Env {
		list, ok := strings.CutPrefix(kv, "PATH=")
		if !ok {
			continue
		}
		for _, dir := range filepath.SplitList(list) {
			path := filepath.Join(dir, name)
			if fi, err := os.Stat(path); err == nil && fi.Mode().IsRegular() && unix.Access(path, unix.X_OK) == nil {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("there is no program %s in the cell's PATH", name)
}
