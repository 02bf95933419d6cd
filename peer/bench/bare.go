package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"net"
	"sync"

	"claudemesh/peer/cli"
)

// A connection to the bare server says with its first byte what it is for.
const (
	bareEcho   = 'e' // what comes is sent back
	bareSink   = 's' // gets what triggers send
	bareSource = 't' // sends a length, 4 bytes in big-endian order, and so many bytes for all sinks
)

// echoCommand is the server that the limits are measured with: TCP and nothing
// else, in a process of its own as a broker is.
func echoCommand() cli.Command {
	var listen string
	return cli.Command{
		Name: "echo", Hidden: true, Short: "Serve bare TCP connections, to measure what the machine can do",
		NoJSON:   "it prints the address and nothing else",
		Examples: []string{"claudemesh bench echo"},
		Flags:    func(fs *flag.FlagSet) { fs.StringVar(&listen, "listen", "127.0.0.1:0", "listen on `host:port`") },
		Run: func(ctx context.Context, env *cli.Env, _ []string) error {
			ln, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
			if err != nil {
				return err
			}
			env.Out().Printf("%s\n", ln.Addr())
			stop := context.AfterFunc(ctx, func() { ln.Close() })
			defer stop()
			return serveBare(ctx, ln)
		},
	}
}

// sinks are the connections that a source writes to.
type sinks struct {
	mu  sync.Mutex
	all []net.Conn
}

// serveBare serves until the listener is closed.
func serveBare(ctx context.Context, ln net.Listener) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	subscribed := new(sinks)
	for {
		conn, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		wg.Go(func() {
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			defer stop()
			defer conn.Close()
			subscribed.serve(conn)
		})
	}
}

// serve serves a connection until it ends.
func (s *sinks) serve(conn net.Conn) {
	var kind [1]byte
	if _, err := io.ReadFull(conn, kind[:]); err != nil {
		return
	}
	switch kind[0] {
	case bareEcho:
		echo(conn)
	case bareSink:
		s.mu.Lock()
		s.all = append(s.all, conn)
		s.mu.Unlock()
		if _, err := conn.Write(kind[:]); err != nil { // it is subscribed
			return
		}
		_, _ = conn.Read(kind[:]) // until the client closes it
	case bareSource:
		s.relay(bufio.NewReader(conn))
	}
}

// echo is apart from serve so that its buffer is not on an idle sink's stack.
func echo(conn net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		if _, err := conn.Write(buf[:n]); err != nil {
			return
		}
	}
}

// relay writes what a source sends to all sinks. One that is gone is passed over.
func (s *sinks) relay(r *bufio.Reader) {
	for {
		var size [4]byte
		if _, err := io.ReadFull(r, size[:]); err != nil {
			return
		}
		n := binary.BigEndian.Uint32(size[:])
		if n > maxReceived {
			return
		}
		p := make([]byte, n)
		if _, err := io.ReadFull(r, p); err != nil {
			return
		}
		s.mu.Lock()
		all := s.all
		s.mu.Unlock()
		for _, c := range all {
			_, _ = c.Write(p)
		}
	}
}
