package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"claudemesh/wire"
)

// A conn is one WebSocket. Two goroutines serve it: the reader, which handles
// one frame after the other, and a writer that lives while there is something
// to write.
type conn struct {
	// Static.
	srv    *Server
	ws     *websocket.Conn
	socket *socket
	addr   netip.Addr
	host   string // that the peer reaches the broker by, with the port

	out     outbox
	alive   atomic.Int64 // Unix nanoseconds of the last sign of life
	closing atomic.Bool  // the broker has decided to close it
	over    atomic.Bool  // it has ended
	starved atomic.Bool  // something waits for room in out

	pinged time.Time // by the clock, which owns it

	// Owned by the reader.
	calm    bool // the newest frame came after a pause
	limiter *rate.Limiter
	badRun  int // malformed frames in a row
	strays  int // frames before hello

	// Set by hello before the first answer, constant from then on.
	mesh    *mesh
	session *session
}

// readBuffers are the buffers that frames are read into.
var readBuffers = sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, 2<<10)) }}

const (
	keepReadBuffer = 64 << 10 // a larger buffer is not kept in the pool
	maxStrays      = 100      // frames before hello that end a connection
	maxBadRun      = 10       // malformed frames in a row that end a connection

	calmAfter = 20 * time.Millisecond // a pause between frames
)

// errClosing ends the reader of a connection that the broker closes.
var errClosing = errors.New("closing")

func newConn(srv *Server, ws *websocket.Conn, socket *socket, r *http.Request) *conn {
	c := &conn{srv: srv, ws: ws, socket: socket, addr: remote(r), host: strings.Clone(r.Host)}
	c.limiter = rate.NewLimiter(rate.Limit(srv.cfg.Rate), srv.cfg.Burst)
	c.alive.Store(time.Now().UnixNano())
	c.out = outbox{
		maxBytes:  srv.cfg.QueueBytes,
		maxFrames: srv.cfg.QueueFrames,
		start:     func() { go c.writeLoop() }, // serve waits for out.ended
		drop:      srv.metrics.droppedFrames,
		ended:     make(chan struct{}),
		overflow:  func() { c.close(wire.CloseSlow, "slow consumer") },
	}
	return c
}

// serve reads frames until the connection ends.
func (c *conn) serve() {
	if err := c.readHello(); err != nil {
		c.finish(err)
		return
	}
	go c.readOn() // with a stack that the hello has not grown
}

// readOn reads frames. After one that came on its own it goes on in a fresh
// goroutine: a quiet connection, and most are, then holds a small stack, not
// the one that serving a frame takes.
func (c *conn) readOn() {
	for {
		err := c.readFrame()
		switch {
		case err != nil:
			c.finish(err)
			return
		case c.calm:
			go c.readOn()
			return
		}
	}
}

// finish ends the connection, after its writer, and then its session's hold on
// it. The server has waited for that since it accepted the connection.
func (c *conn) finish(err error) {
	defer c.srv.ended(c)
	if c.closing.Load() {
		<-c.out.ended // the writer says why, then closes
	}
	c.out.close(false)
	c.ws.CloseNow()
	<-c.out.ended
	if c.session != nil {
		c.mesh.disconnected(c, c.left(err))
	}
}

// left reports whether the peer closed the connection on purpose.
func (c *conn) left(err error) bool {
	switch websocket.CloseStatus(err) {
	case websocket.StatusNormalClosure, websocket.StatusGoingAway, websocket.StatusNoStatusRcvd:
		return !c.closing.Load()
	}
	return false
}

// readHello reads frames until one of them has made c a session's connection,
// for which there is a bound in time, and one in size: anybody can get this far.
func (c *conn) readHello() error {
	defer c.srv.sockets.leave(c.addr)
	deadline := time.AfterFunc(wire.HelloDeadline, func() {
		c.close(wire.CloseRefused, "no hello within "+wire.HelloDeadline.String())
	})
	defer deadline.Stop()
	c.ws.SetReadLimit(int64(c.srv.cfg.MaxFrame))
	for c.session == nil {
		if err := c.readFrame(); err != nil {
			return err
		}
	}
	c.ws.SetReadLimit(wire.MaxFrameBytes)
	return nil
}

// readFrame reads one frame into a buffer of the pool and serves it. No buffer
// is held while a connection is idle.
func (c *conn) readFrame() error {
	_, r, err := c.ws.Reader(context.Background())
	if err != nil {
		return err
	}
	buf := readBuffers.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= keepReadBuffer {
			readBuffers.Put(buf)
		}
	}()
	buf.Reset()
	if _, err := buf.ReadFrom(r); err != nil {
		return err
	}
	now := time.Now().UnixNano()
	c.calm = now-c.alive.Swap(now) > calmAfter.Nanoseconds()
	return c.handle(buf.Bytes())
}

// handle serves one frame. An error ends the connection, and a panic too, but
// no other.
func (c *conn) handle(p []byte) (err error) {
	if c.closing.Load() {
		return errClosing
	}
	var h wire.Head
	defer func() {
		if v := recover(); v != nil {
			c.fail(h, p, c.srv.report(h, fmt.Errorf("panic: %v\n%s", v, debug.Stack())))
			c.close(wire.CloseInternal, "internal")
			err = errClosing
		}
	}()
	h, err = wire.Peek(p)
	if err != nil && h.Type == "" {
		return c.malformed(err)
	}
	c.badRun = 0
	switch {
	case c.session != nil && !c.limiter.Allow():
		c.srv.metrics.rejectedFrame(wire.RateLimited)
		c.fail(h, p, wire.Errorf(wire.RateLimited, "more than %g frames a second: wait a moment and repeat this one", c.srv.cfg.Rate))
	case err != nil:
		c.reply("", asError(err))
	case c.session == nil:
		return c.beforeHello(h, p)
	case len(p) > c.srv.cfg.MaxFrame && !large[h.Type]:
		c.srv.metrics.rejectedFrame(wire.TooLarge)
		c.close(wire.CloseTooBig, "frame too big")
		return errClosing
	default:
		c.dispatch(h, p)
	}
	return nil
}

// malformed answers what is no frame; too many in a row end the connection.
func (c *conn) malformed(err error) error {
	c.srv.metrics.rejectedFrame(wire.Malformed)
	c.badRun++
	c.reply("", asError(err))
	if c.badRun < maxBadRun {
		return nil
	}
	c.close(wire.CloseRefused, string(wire.Malformed))
	return errClosing
}

// fail answers the frame p with an error, which names the id of a send.
func (c *conn) fail(h wire.Head, p []byte, err error) {
	e := asError(err)
	if h.Type == (wire.Send{}).FrameType() && e.ID == "" {
		e = &wire.Error{Code: e.Code, Message: e.Message, ID: sendID(p), Candidates: e.Candidates}
	}
	c.reply(h.ReqID, e)
}

// reply queues an answer.
func (c *conn) reply(reqID string, f wire.Frame) {
	data, err := wire.Append(nil, reqID, f)
	if err != nil {
		c.srv.log.Error("encode answer", "type", f.FrameType(), "err", err)
		return
	}
	c.out.push(frame{kind: answer, data: data})
}

// close closes the connection after what is queued has been written. It never waits.
func (c *conn) close(code websocket.StatusCode, reason string) {
	if c.closing.CompareAndSwap(false, true) {
		c.out.finish(code, reason)
	}
}
