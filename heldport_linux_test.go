package main

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// holdPort returns an address of this machine at which a broker can be started
// over and over. A socket is bound to it and does not listen: until release the
// system gives the port to nobody who asks for any, also while the broker is
// away, and to each who asks for it by its number.
func holdPort() (address string, release func(), err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", nil, err
	}
	release = func() { unix.Close(fd) }
	var held unix.Sockaddr
	if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err == nil {
		held, err = unix.Getsockname(fd)
	}
	if err != nil {
		release()
		return "", nil, err
	}
	address = fmt.Sprintf("127.0.0.1:%d", held.(*unix.SockaddrInet4).Port)
	ln, err := net.Listen("tcp", address)
	if err != nil { // a Linux that is none: any port will do
		release()
		return "127.0.0.1:0", func() {}, nil
	}
	return address, release, ln.Close()
}

func TestAHeldPortIsForWhoNamesIt(t *testing.T) {
	address, release, err := holdPort()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if strings.HasSuffix(address, ":0") {
		t.Skip("this system gives a port that is bound to nobody")
	}
	for range 2 {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			t.Fatalf("somebody listens at %s", address)
		}
		ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
	}
}
