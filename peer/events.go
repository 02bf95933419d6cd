package peer

import (
	"sync/atomic"
	"time"

	"claudemesh/wire"
)

// maxEvents is how many events wait for whoever reads them.
const maxEvents = 256

// An Event is a frame that the broker sent of its own accord and that is no
// mail: a wire.Push with the subtype system, a wire.Receipt, or
// a wire.StateChange.
type Event struct {
	Frame      wire.Frame
	ReceivedAt time.Time
}

// events keeps events for their reader and drops the oldest if it is slow.
// Only the client's run loop adds and closes.
type events struct {
	ch      chan Event
	dropped atomic.Int64
}

func newEvents() *events { return &events{ch: make(chan Event, maxEvents)} }

func (e *events) add(ev Event) {
	for {
		select {
		case e.ch <- ev:
			return
		default:
		}
		select {
		case <-e.ch:
			e.dropped.Add(1)
		default:
		}
	}
}

func (e *events) close() { close(e.ch) }

// Events returns the channel of system events, receipts and changes of state,
// which is closed when the client has ended. If nobody reads it, the oldest of
// 256 is dropped for each new one.
func (c *Client) Events() <-chan Event { return c.events.ch }

// DroppedEvents returns how many events were dropped.
func (c *Client) DroppedEvents() int64 { return c.events.dropped.Load() }
