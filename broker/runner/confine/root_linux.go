package confine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// devices are those that a cell has.
func devices() []string {
	return []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}
}

// aside is where the machine's own files are while the cell's are put together.
const aside = "/.machine"

// buildRoot replaces the files that this process and its children see by the cell's:
// a root directory in memory with what the cell may read, its own directory, and a
// /proc, a /dev and a /tmp of its own. The machine's are gone afterwards.
func buildRoot(s *spec) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	// Any directory serves as the place; this one is there.
	if err := unix.Mount("tmpfs", s.Dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,size=4m"); err != nil {
		return fmt.Errorf("a root directory in memory: %w", err)
	}
	if err := os.Mkdir(s.Dir+aside, 0o700); err != nil {
		return err
	}
	if err := unix.PivotRoot(s.Dir, s.Dir+aside); err != nil {
		return fmt.Errorf("changing the root directory: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	if err := errors.Join(bindAll(s), ownDevices(), ownProc(s), ownEtc(s)); err != nil {
		return err
	}
	if err := unix.Unmount(aside, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leaving the machine's files: %w", err)
	}
	if err := os.Remove(aside); err != nil {
		return err
	}
	return unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, "")
}

// bindAll shows what the cell may read, and above that its own.
func bindAll(s *spec) error {
	var shown []string
	for _, path := range slices.Sorted(slices.Values(s.Read)) {
		if slices.ContainsFunc(shown, func(p string) bool { return below(path, p) }) {
			continue
		}
		link, err := bind(path, path, true)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
			continue // there is nothing to show to anybody
		} else if err != nil {
			return err
		}
		if !link {
			shown = append(shown, path)
		}
	}
	if _, err := bind(s.Dir, s.Dir, true); err != nil {
		return err
	}
	for _, path := range slices.Concat(s.Write, []string{s.Home, s.Tmp}) {
		if _, err := bind(path, path, false); err != nil {
			return err
		}
	}
	if below(s.Dir, "/tmp") {
		return nil // a cell of a test
	}
	_, err := bind(s.Tmp, "/tmp", false)
	return err
}

// bind shows a file or directory of the machine at a place in the cell. A
// symbolic link is made anew, and reported.
func bind(from, to string, readOnly bool) (link bool, err error) {
	source := aside + from
	fi, err := os.Lstat(source)
	if err != nil {
		return false, err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return false, err
	}
	switch {
	case fi.Mode()&os.ModeSymlink != 0:
		target, err := os.Readlink(source)
		if err != nil {
			return false, err
		}
		if err := os.Symlink(target, to); err != nil && !errors.Is(err, os.ErrExist) {
			return false, err
		}
		return true, nil
	case fi.IsDir():
		err = os.MkdirAll(to, 0o755)
	default:
		var f *os.File
		if f, err = os.OpenFile(to, os.O_CREATE|os.O_RDONLY, 0o644); err == nil {
			err = f.Close()
		}
	}
	if err != nil {
		return false, err
	}
	// With what is mounted below, for a user namespace may not uncover what that covers.
	if err := unix.Mount(source, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return false, fmt.Errorf("showing %s: %w", from, err)
	}
	if err := restrict(to, readOnly); err != nil {
		return false, fmt.Errorf("protecting %s: %w", from, err)
	}
	return false, nil
}

// restrict takes from a mount that programs on it give rights, and writing.
func restrict(path string, readOnly bool) error {
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NOSUID}
	flags := uintptr(unix.MS_NOSUID)
	if readOnly {
		attr.Attr_set |= unix.MOUNT_ATTR_RDONLY
		flags |= unix.MS_RDONLY
	}
	err := unix.MountSetattr(unix.AT_FDCWD, path, unix.AT_RECURSIVE, &attr)
	if !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EPERM) {
		return err
	}
	// Before Linux 5.12, where mounts below keep what they have. A user namespace
	// must repeat the restrictions that there are.
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return err
	}
	flags |= uintptr(st.Flags) & (unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME | unix.MS_NODIRATIME | unix.MS_RELATIME)
	return unix.Mount("", path, "", unix.MS_REMOUNT|unix.MS_BIND|flags, "")
}

// ownDevices makes a /dev.
func ownDevices() error {
	for _, path := range devices() {
		if _, err := bind(path, path, false); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	for name, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"} {
		if err := os.Symlink(target, "/dev/"+name); err != nil {
			return err
		}
	}
	if err := os.Mkdir("/dev/shm", 0o755); err != nil {
		return err
	}
	// What is there is the cell's memory, but counts for no process of it.
	size := fmt.Sprintf("mode=1777,size=%d,nr_inodes=4096", maxShared)
	if err := unix.Mount("tmpfs", "/dev/shm", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, size); err != nil {
		return fmt.Errorf("/dev/shm: %w", err)
	}
	return nil
}

// maxShared is how much a cell may have in /dev/shm: bytes.
const maxShared = 16 << 20

// ownProc makes a /proc that shows the cell alone, where the system lets it. Where it
// does not, that of the machine is there: user and namespaces keep the cell out of
// what matters in it.
func ownProc(s *spec) error {
	if err := os.MkdirAll("/proc", 0o555); err != nil {
		return err
	}
	if s.Proc {
		if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
			return fmt.Errorf("/proc: %w", err)
		}
		return nil
	}
	if err := unix.Mount(aside+"/proc", "/proc", "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("/proc: %w", err)
	}
	return nil
}

// ownEtc names the users that there are for the cell: its own, and root.
func ownEtc(s *spec) error {
	uid, gid := unix.Getuid(), unix.Getgid()
	if s.UID >= 0 {
		uid, gid = s.UID, s.UID
	}
	passwd, group := "root:x:0:0:root:/:/bin/false\n", "root:x:0:\n"
	if uid != 0 {
		passwd += fmt.Sprintf("service:x:%d:%d:service:%s:/bin/false\n", uid, gid, s.Home)
	}
	if gid != 0 {
		group += fmt.Sprintf("service:x:%d:\n", gid)
	}
	if err := os.MkdirAll("/etc", 0o755); err != nil {
		return err
	}
	return errors.Join(os.WriteFile("/etc/passwd", []byte(passwd), 0o644), os.WriteFile("/etc/group", []byte(group), 0o644))
}

// below reports whether path is dir or in it. Both are clean and absolute.
func below(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}
