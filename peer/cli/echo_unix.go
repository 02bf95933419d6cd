//go:build linux || darwin

package cli

import "golang.org/x/sys/unix"

// hideTyping has a terminal no longer show what is typed.
func hideTyping(fd int) error {
	t, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return err
	}
	t.Lflag &^= unix.ECHO
	return unix.IoctlSetTermios(fd, setTermios, t)
}
