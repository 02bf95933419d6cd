package broker

import (
	"cmp"
	"sync"
	"time"

	"claudemesh/wire"
)

const (
	maxRelaysFrom = 8  // requests of one connection that wait for peers
	maxRelaysTo   = 32 // requests that wait for one connection
)

// A relay is a request that waits for the answer of another peer.
type relay struct {
	id      string    // a random UUID: its name towards the target
	from    *conn     // who asked
	reqID   string    // its own _reqId
	to      *conn     // who must answer; nil for a service of the broker
	service string    // its name then
	answers wire.Type // with what; empty for a service
	// fail makes the answer that gives a reason instead of a result.
	fail   func(why string) wire.Frame
	within time.Duration // the target must answer; 0 is RelayDeadline
	late   string        // what the requester is told if it does not
	gone   string        // and if its connection ends
	timer  *time.Timer   // of the deadline
	// end is called, if it is not nil, when the deadline or the connection of the
	// requester ends the request, with the outcome.
	end func(outcome string)
}

// answer gives the requester f, unless f is too large for a frame, or there is
// so much waiting for the requester that the size of f would cost it the
// connection.
func (r *relay) answer(f wire.Frame) {
	data, err := wire.Append(nil, r.reqID, f)
	if err == nil && len(data) > wire.MaxFrameBytes {
		r.from.reply(r.reqID, r.fail(relayTooLarge))
		return
	}
	if err != nil || r.from.out.waiting()+len(data) > r.from.srv.cfg.QueueBytes/2 {
		r.from.reply(r.reqID, r.fail(relayBehind))
		return
	}
	r.from.out.push(frame{kind: answer, data: data})
}

func (r *relay) over(outcome string) {
	if r.end != nil {
		r.end(outcome)
	}
}

// relays are the requests that wait, of one mesh. Nothing of them is kept once
// they are answered.
type relays struct {
	mu sync.Mutex
	by map[string]*relay // by id
}

// add takes a relay in, gives it its id and its deadline. It refuses one too
// many of one requester, and for one peer.
func (t *relays) add(r *relay) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	from, to := 0, 0
	for _, o := range t.by {
		if o.from == r.from {
			from++
		}
		if o.to == r.to && o.service == r.service {
			to++
		}
	}
	switch {
	case from >= maxRelaysFrom:
		return wire.Errorf(wire.Limit, "%d requests of yours wait for peers: wait for one of them", maxRelaysFrom)
	case to >= maxRelaysTo && r.to == nil:
		return wire.Errorf(wire.Limit, "%d calls wait for that service: call again in a moment", maxRelaysTo)
	case to >= maxRelaysTo:
		return wire.Errorf(wire.Limit, "%d requests wait for that peer: ask again in a moment", maxRelaysTo)
	}
	if t.by == nil {
		t.by = make(map[string]*relay)
	}
	r.id = newUUID()
	t.by[r.id] = r
	r.timer = time.AfterFunc(cmp.Or(r.within, wire.RelayDeadline), func() {
		if t.take(r.id, r.to, r.answers) != nil {
			r.over(callLate)
			r.answer(r.fail(cmp.Or(r.late, relayTimeout)))
		}
	})
	return nil
}

// take takes the relay out that an answer of that type from a connection is
// for; nil if there is none.
func (t *relays) take(id string, by *conn, typ wire.Type) *relay {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.by[id]
	if r == nil || r.to != by || r.answers != typ {
		return nil
	}
	t.drop(r)
	return r
}

// drop is called with mu held.
func (t *relays) drop(r *relay) {
	r.timer.Stop()
	delete(t.by, r.id)
}

// disconnected forgets what c asked, and tells those who asked c.
func (t *relays) disconnected(c *conn) {
	for _, r := range t.of(c) {
		if r.from == c {
			r.over(callAbandoned)
		} else {
			r.answer(r.fail(cmp.Or(r.gone, relayGone)))
		}
	}
}

// of takes out all that c asked or was asked.
func (t *relays) of(c *conn) (gone []*relay) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.by {
		if r.from == c || r.to == c {
			t.drop(r)
			gone = append(gone, r)
		}
	}
	return gone
}
