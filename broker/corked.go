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
	writeTimeout = 10 * time.Second // of one write to a socket, at least
	corkLimit    = 64 << 10         // bytes gathered before they are written anyway
	deadlineStep = 5 * time.Second  // between two changes of a socket's deadline
	readBuffer   = 1024             // takes most frames in one system call
	writeBuffer  = 512              // what is larger bypasses it
)

// errTimeout is what a socket that takes no bytes is closed for.
var errTimeout = errors.New("socket takes no bytes")

// corkBuffers are the buffers of corked connections.
var corkBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// A corkedConn is a socket whose writes can be gathered, so that several
// frames leave in one system call.
type corkedConn struct {
	net.Conn

	mu     sync.Mutex
	corked bool
	buf    []byte
	set    time.Time // when its write deadline was set
}

func (c *corkedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.corked {
		return c.write(p)
	}
	c.buf = append(c.buf, p...)
	if len(c.buf) < corkLimit {
		return len(p), nil
	}
	return len(p), c.flush()
}

// cork holds back what is written until uncork.
func (c *corkedConn) cork() {
	c.mu.Lock()
	c.corked = true
	c.buf = *corkBuffers.Get().(*[]byte)
	c.mu.Unlock()
}

// uncork writes what was held back.
func (c *corkedConn) uncork() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.corked = false
	err := c.flush()
	buf := c.buf
	c.buf = nil // an idle connection keeps no buffer
	if cap(buf) <= 2*corkLimit {
		corkBuffers.Put(&buf)
	}
	return err
}

// flush is called with mu held.
func (c *corkedConn) flush() error {
	if len(c.buf) == 0 {
		return nil
	}
	_, err := c.write(c.buf)
	c.buf = c.buf[:0]
	return err
}

func (c *corkedConn) write(p []byte) (int, error) {
	if now := time.Now(); now.Sub(c.set) > deadlineStep {
		if err := c.SetWriteDeadline(now.Add(writeTimeout + deadlineStep)); err != nil {
			return 0, err
		}
		c.set = now
	}
	n, err := c.Conn.Write(p)
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		err = errTimeout
	}
	return n, err
}

// A smallHijacker hands its connection over corked and with small buffers:
// the ones of net/http would cost every idle connection 8 KiB.
type smallHijacker struct {
	http.ResponseWriter
	conn *corkedConn // set once hijacked
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
	h.conn = &corkedConn{Conn: nc}
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
