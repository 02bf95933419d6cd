package broker

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"claudemesh/wire"
)

const (
	stallAfter  = time.Minute // a transfer without progress is ended
	copyBuffer  = 256 << 10   // bytes
	extendEvery = time.Second // between two changes of a deadline
)

// errStopped ends a transfer when the broker stops.
var errStopped = wire.Errorf(wire.Unavailable, "the broker is shutting down: go on when it is back")

// transfers are the uploads and downloads of a broker that are under way, so
// that a shutdown need not wait for them.
type transfers struct {
	mu      sync.Mutex
	stopped bool
	open    map[*transfer]struct{}
}

// A transfer is the connection of an upload or download. A server's own time-outs
// are for requests that are over in a moment; this one lasts while it moves.
type transfer struct {
	all  *transfers
	ctl  *http.ResponseController
	next time.Time // when the deadline is extended
}

// begin takes the connection of w over from the server's time-outs.
func (t *transfers) begin(w http.ResponseWriter) (*transfer, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return nil, errStopped
	}
	if t.open == nil {
		t.open = make(map[*transfer]struct{})
	}
	c := &transfer{all: t, ctl: http.NewResponseController(w)}
	t.open[c] = struct{}{}
	return c, c.extend(time.Now())
}

// stop ends all transfers, and those to come.
func (t *transfers) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
	for c := range t.open {
		c.deadline(time.Unix(1, 0))
	}
}

// end is called when the transfer is over.
func (c *transfer) end() {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	delete(c.all.open, c)
}

// moved notes progress. The error says that the broker stops.
func (c *transfer) moved() error {
	now := time.Now()
	if now.Before(c.next) {
		return nil
	}
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	if c.all.stopped {
		return errStopped
	}
	return c.extend(now)
}

// refresh gives the peer all of its time again, unless the broker stops.
func (c *transfer) refresh() {
	c.next = time.Time{}
	c.moved()
}

// extend is called with the mutex of all held.
func (c *transfer) extend(now time.Time) error {
	c.next = now.Add(extendEvery)
	return c.deadline(now.Add(stallAfter))
}

func (c *transfer) deadline(at time.Time) error {
	return errors.Join(c.ctl.SetReadDeadline(at), c.ctl.SetWriteDeadline(at))
}

// A moving reader notes the progress of what is read through it.
type moving struct {
	io.ReadSeeker
	transfer *transfer
}

// Read implements io.Reader.
func (r moving) Read(p []byte) (int, error) {
	if err := r.transfer.moved(); err != nil {
		return 0, err
	}
	return r.ReadSeeker.Read(p)
}
