//go:build linux || darwin

package peer

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// RuntimeDir returns the directory of the sockets and locks of running
// sessions and makes it: $XDG_RUNTIME_DIR/claudemesh, else claudemesh-<uid> in
// the directory of temporary files. It belongs to this user and nobody else
// can enter it, or there is an error.
func RuntimeDir() (string, error) {
	dir := filepath.Join(os.TempDir(), "claudemesh-"+strconv.Itoa(os.Getuid()))
	if base := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(base) {
		dir = filepath.Join(base, "claudemesh")
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return "", fmt.Errorf("%s is no directory: remove it", dir)
	case !ok || int(stat.Uid) != os.Getuid():
		return "", fmt.Errorf("%s belongs to another user: set XDG_RUNTIME_DIR to a directory of yours", dir)
	case info.Mode().Perm() != 0o700:
		return "", fmt.Errorf("%s can be entered by others (mode %04o): run `chmod 700 %s`", dir, info.Mode().Perm(), dir)
	}
	return dir, nil
}

// sameUser reports an error unless the process at the other end of a unix
// socket runs as this user.
func sameUser(conn net.Conn) error {
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return errors.New("not a unix socket")
	}
	raw, err := unixConn.SyscallConn()
	if err != nil {
		return err
	}
	uid := -1
	var failed error
	if err := raw.Control(func(fd uintptr) { uid, failed = peerUID(int(fd)) }); err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("who is at the other end of the socket cannot be known: %w", failed)
	}
	if uid != os.Getuid() {
		return fmt.Errorf("the process at the other end of the socket runs as user %d", uid)
	}
	return nil
}
