package confine

import (
	"errors"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// minLandlock is the version with which files may be moved between directories,
// without which nothing can be installed.
const minLandlock = 2

// landlockVersion returns the version that the system has; 0: none that serves.
func landlockVersion() int {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 || int(v) < minLandlock {
		return 0
	}
	return int(v)
}

const (
	readFile  = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE
	readTree  = readFile | unix.LANDLOCK_ACCESS_FS_READ_DIR
	useDevice = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE
)

// handled are the kinds of access to files that a version knows.
func handled(version int) uint64 {
	all := uint64(1<<13 - 1) // EXECUTE to MAKE_SYM
	for _, added := range []struct {
		since int
		bit   uint64
	}{{2, unix.LANDLOCK_ACCESS_FS_REFER}, {3, unix.LANDLOCK_ACCESS_FS_TRUNCATE}, {5, unix.LANDLOCK_ACCESS_FS_IOCTL_DEV}} {
		if version >= added.since {
			all |= added.bit
		}
	}
	return all
}

// landlock makes the rules of the cell's files: it reads the system's programs and
// its own directory, changes what it may, and nothing else is there for it.
// It does not signal or connect to what is outside either, where the version has it.
func (s *spec) landlock() (fd int, err error) {
	attr := unix.LandlockRulesetAttr{Handled_access_fs: handled(s.Landlock)}
	size := unsafe.Sizeof(attr.Handled_access_fs)
	if s.Landlock >= 6 {
		attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
		size = unsafe.Offsetof(attr.Quiet_access_fs)
	}
	r, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if errno != 0 {
		return -1, errno
	}
	fd = int(r)
	unix.CloseOnExec(fd)
	write := attr.Handled_access_fs &^ (unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK)
	var own []string // of the cell's root directory
	if s.Spaces {
		own = []string{"/dev/shm"}
	}
	for _, rule := range []struct {
		paths  []string
		access uint64
		needed bool
	}{
		{s.Read, readTree, false},
		{[]string{"/proc"}, unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR, false},
		{devices(), useDevice | attr.Handled_access_fs&unix.LANDLOCK_ACCESS_FS_IOCTL_DEV, false},
		{[]string{s.Dir}, readTree, true},
		{slices.Concat(s.Write, []string{s.Home, s.Tmp}), write, true},
		{own, write, true},
		{[]string{"/etc/passwd", "/etc/group"}, readFile, false},
	} {
		for _, path := range rule.paths {
			err := allowBeneath(fd, path, rule.access)
			if err != nil && (rule.needed || !missing(err)) {
				return -1, &os.PathError{Op: "allow", Path: path, Err: err}
			}
		}
	}
	return fd, nil
}

// missing reports whether a path is not there, or out of reach anyway.
func missing(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOTDIR)
}

// allowBeneath adds a rule for a file, or a directory with all that is in it.
func allowBeneath(rules int, path string, access uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		access &= readFile | useDevice | unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	// The kernel's structure has no room between its fields.
	attr := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(rules), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&attr)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
