//go:build !linux && !darwin

package peer

import (
	"fmt"
	"net"
	"runtime"
)

// RuntimeDir is an error here: this system has no sockets whose other end can
// be known.
func RuntimeDir() (string, error) {
	return "", fmt.Errorf("%w: local sockets are not offered on %s", ErrNoSession, runtime.GOOS)
}

func sameUser(net.Conn) error { return ErrNoSession }
