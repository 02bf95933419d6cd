package peer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"claudemesh/wire"
)

// maxEntries is how many entries of a stream wait for whoever reads them. What
// comes beyond is fetched from what the broker keeps.
const maxEntries = 256

// fetchAgain is when a fetch is tried again that was refused for the moment.
const fetchAgain = time.Second

// Subscription is a client's view of one stream: its entries in their order,
// each once, over lost connections and restarts of the broker. It is read by
// one goroutine.
type Subscription struct {
	c      *Client
	stream string

	// Owned by the reader.
	next    int64 // number of the entry to be returned next, once it is known
	last    time.Time
	fetched []wire.StreamEntry

	mu      sync.Mutex
	live    []wire.StreamData // as they came, at most maxEntries
	behind  bool              // the broker must be asked for what is not in live
	closed  bool              // Close was called
	changed signal
}

// An Entry is what was published to a stream.
type Entry struct {
	Stream      string
	Seq         int64 // 0 from an older broker, which does not number
	Data        []byte
	PublishedBy string
	PublishedAt time.Time // zero from an older broker
	// Missed is how many entries before it are lost: the client did not read
	// them in time, and the broker no longer keeps them.
	Missed int64
}

// Subscribe asks for the entries of a stream: from that number on those that
// the broker keeps, then those to come. With from 0 it is those to come only,
// with -n the last n too. A client has one Subscription for a stream, which is
// returned again until it is closed.
func (c *Client) Subscribe(ctx context.Context, stream string, from int64) (*Subscription, error) {
	s := &Subscription{c: c, stream: stream}
	c.mu.Lock()
	if have := c.streams[stream]; have != nil {
		c.mu.Unlock()
		return have, nil
	}
	c.streams[stream] = s
	c.mu.Unlock()
	res, err := Call(ctx, c, wire.Subscribe{Stream: stream})
	if err != nil {
		s.forget()
		return nil, err
	}
	s.next = res.Last + 1
	switch {
	case from > 0:
		s.next = from
	case from < 0:
		s.next = max(s.next+from, res.First, 1)
	}
	if s.next <= res.Last {
		s.lag()
	}
	return s, nil
}

// Stream returns the name of the stream.
func (s *Subscription) Stream() string { return s.stream }

// Next returns the next entry, and waits for it. Its error is that of ctx, a
// refusal by the broker, ErrClosed after Close, or why the client has ended; a
// lost connection is none.
func (s *Subscription) Next(ctx context.Context) (Entry, error) {
	for {
		changed, connected := s.wait(), s.c.Changed()
		if s.isClosed() {
			return Entry{}, ErrClosed
		}
		e, ok, err := s.take(ctx)
		switch {
		case ok || err != nil:
			return e, err
		case s.c.State() == StateClosed:
			return Entry{}, s.c.Status().Err
		}
		var again <-chan time.Time
		if s.isBehind() {
			again = time.After(fetchAgain)
		}
		select {
		case <-changed:
		case <-connected:
		case <-again:
		case <-ctx.Done():
			return Entry{}, ctx.Err()
		}
	}
}

// Close ends the subscription, at the broker too where it can be told. A call of
// Next that waits returns.
func (s *Subscription) Close(ctx context.Context) error {
	s.forget()
	s.mu.Lock()
	s.closed = true
	s.changed.fire()
	s.mu.Unlock()
	_, err := Call(ctx, s.c, wire.Unsubscribe{Stream: s.stream})
	return err
}

func (s *Subscription) forget() {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.c.streams[s.stream] == s {
		delete(s.c.streams, s.stream)
	}
}

// wait returns a channel that is closed when something comes, or is to be asked for.
func (s *Subscription) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed.wait()
}

// lag has the broker be asked for what the client may not have.
func (s *Subscription) lag() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behind = true
	s.changed.fire()
}

// put takes an entry that the broker sent. It never waits.
func (s *Subscription) put(d *wire.StreamData) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.live) < maxEntries {
		s.live = append(s.live, *d)
	} else {
		s.behind = true // asked for when those that wait have been read
	}
	s.changed.fire()
}

// take returns the next entry if there is one.
func (s *Subscription) take(ctx context.Context) (e Entry, ok bool, err error) {
	for {
		if len(s.fetched) > 0 {
			f := s.fetched[0]
			s.fetched = s.fetched[1:]
			if f.Seq >= s.next {
				return s.deliver(wire.StreamData{Data: f.Data, PublishedBy: f.PublishedBy, Seq: f.Seq, PublishedAt: &f.PublishedAt}), true, nil
			}
			continue
		}
		d, waits := s.peek()
		switch {
		case waits && s.ready(&d):
			s.pop()
			return s.deliver(d), true, nil
		case waits && d.Seq < s.next:
			s.pop() // it was fetched before
			continue
		case waits || s.isBehind():
			if err := s.fetch(ctx); err != nil {
				return Entry{}, false, ignoreLost(err)
			}
			if d.Seq > s.next && len(s.fetched) == 0 {
				s.pop()
				return s.deliver(d), true, nil // what was before it is not kept
			}
			continue
		}
		return Entry{}, false, nil
	}
}

// ready reports whether d comes next: in its order, or because its stream does
// not number, or began anew.
func (s *Subscription) ready(d *wire.StreamData) bool {
	return d.Seq == s.next || d.Seq == 0 ||
		d.Seq < s.next && d.PublishedAt != nil && d.PublishedAt.Std().After(s.last) && !s.last.IsZero()
}

func (s *Subscription) deliver(d wire.StreamData) Entry {
	e := Entry{Stream: s.stream, Seq: d.Seq, Data: d.Data, PublishedBy: d.PublishedBy}
	if d.PublishedAt != nil {
		e.PublishedAt = d.PublishedAt.Std()
		s.last = e.PublishedAt
	}
	if d.Seq > s.next {
		e.Missed = d.Seq - s.next
	}
	if d.Seq > 0 {
		s.next = d.Seq + 1
	}
	return e
}

func (s *Subscription) peek() (d wire.StreamData, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.live) == 0 {
		return d, false
	}
	return s.live[0], true
}

func (s *Subscription) pop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live = s.live[1:]
}

func (s *Subscription) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *Subscription) isBehind() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.behind
}

// fetch subscribes again and takes what the broker keeps from the next entry on.
func (s *Subscription) fetch(ctx context.Context) error {
	s.mu.Lock()
	s.behind = false
	s.mu.Unlock()
	res, err := Call(ctx, s.c, wire.Subscribe{Stream: s.stream, From: &s.next})
	if err != nil {
		s.mu.Lock()
		s.behind = true
		s.mu.Unlock()
		return err
	}
	if res.Last < s.next-1 { // it began anew while the client was away
		s.next = max(res.First, 1)
		s.lag()
		return nil
	}
	s.fetched = res.Entries
	if res.More {
		s.lag()
	}
	return nil
}

// ignoreLost makes nothing of an error that another connection mends.
func ignoreLost(err error) error {
	if errors.Is(err, ErrNotConnected) || errors.Is(err, ErrLost) || errors.Is(err, ErrTimeout) || errors.Is(err, ErrBusy) {
		return nil
	}
	if e, refused := errors.AsType[*wire.Error](err); refused && (e.Code == wire.RateLimited || e.Code == wire.Unavailable) {
		return nil
	}
	return err
}

// streamData gives an entry to its subscription.
func (c *Client) streamData(d *wire.StreamData) {
	c.mu.Lock()
	s := c.streams[d.Stream]
	c.mu.Unlock()
	if s == nil {
		c.log.Debug("entry dropped: the stream is not subscribed to", "stream", wire.Shorten(d.Stream, 60))
		return
	}
	s.put(d)
}

// Publish adds an entry, any JSON, to a stream and returns its number, 0 from
// an older broker, and how many subscribers it was handed to.
func (c *Client) Publish(ctx context.Context, stream string, data []byte) (seq int64, reached int, err error) {
	ack, err := Call(ctx, c, wire.Publish{Stream: stream, Data: data})
	if err != nil {
		return 0, 0, fmt.Errorf("publish to %s: %w", wire.Shorten(stream, 60), err)
	}
	if ack.Recipients != nil {
		reached = ack.Recipients.Sent
	}
	return ack.Seq, reached, nil
}
