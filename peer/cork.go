package peer

import (
	"net"
	"sync"
)

// corkLimit is how many bytes are gathered before they are written anyway.
const corkLimit = 64 << 10

// A corkedConn is a socket whose writes can be gathered, so that many small
// frames leave in one system call.
type corkedConn struct {
	net.Conn

	mu     sync.Mutex
	corked bool
	buf    []byte
}

// Write implements net.Conn. While corked, an error may concern earlier writes.
func (c *corkedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.corked {
		return c.Conn.Write(p)
	}
	c.buf = append(c.buf, p...)
	if len(c.buf) < corkLimit {
		return len(p), nil
	}
	return len(p), c.flush()
}

func (c *corkedConn) cork() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.corked = true
}

// uncork writes what was held back.
func (c *corkedConn) uncork() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.corked = false
	return c.flush()
}

// flush is called with mu held.
func (c *corkedConn) flush() error {
	if len(c.buf) == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.buf)
	c.buf = c.buf[:0]
	return err
}
