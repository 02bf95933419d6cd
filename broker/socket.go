package broker

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	writeTimeout = 10 * time.Second // without a byte that the socket takes, at least
	deadlineStep = 5 * time.Second  // between two changes of a socket's deadline
	readBuffer   = 1024             // takes most frames in one system call
	writeBuffer  = 256              // takes any control frame; the others bypass it
)

// errTimeout is what a socket that takes no bytes is closed for.
var errTimeout = errors.New("socket takes no bytes")

// A socket is a connection that bounds how long its peer may take no bytes.
type socket struct {
	net.Conn

	mu  sync.Mutex // held while something is written
	set time.Time  // when its write deadline was set
}

// Write implements net.Conn. What it is given leaves as a whole, whoever writes
// meanwhile.
func (s *socket) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for written := 0; ; {
		if now := time.Now(); now.Sub(s.set) > deadlineStep {
			if err := s.SetWriteDeadline(now.Add(writeTimeout + deadlineStep)); err != nil {
				return written, err
			}
			s.set = now
		}
		n, err := s.Conn.Write(p[written:])
		written += n
		if ne, ok := err.(net.Error); !ok || !ne.Timeout() {
			return written, err
		}
		if n == 0 {
			return written, errTimeout
		}
	}
}

// A smallHijacker hands its connection over as a socket and with small buffers:
// the ones of net/http would cost every idle connection 8 KiB.
type smallHijacker struct {
	http.ResponseWriter
	conn *socket // set once hijacked
}

// Hijack implements http.Hijacker.
func (h *smallHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, brw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if err := brw.Flush(); err != nil {
		nc.Close()
		return nil, nil, err
	}
	early, err := brw.Reader.Peek(brw.Reader.Buffered())
	if err != nil || len(early) > readBuffer {
		nc.Close()
		return nil, nil, errors.New("too much sent before the handshake was answered")
	}
	h.conn = &socket{Conn: nc}
	r := bufio.NewReaderSize(&preceded{early, nc}, readBuffer)
	if _, err := r.Peek(len(early)); err != nil {
		nc.Close()
		return nil, nil, err
	}
	return h.conn, bufio.NewReadWriter(r, bufio.NewWriterSize(h.conn, writeBuffer)), nil
}

// A preceded reader gives what was read early before it reads on.
type preceded struct {
	early []byte
	net.Conn
}

func (p *preceded) Read(b []byte) (int, error) {
	if len(p.early) > 0 {
		n := copy(b, p.early)
		p.early = p.early[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}
