package bench

import (
	"errors"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

// A receiver takes messages, checks and acknowledges them, as a peer does: one
// client_ack is under way at a time, and takes along all that came meanwhile.
type receiver struct {
	*client
	env *envelope

	// owing counts the messages that the broker has yet to be told of.
	owing atomic.Int64

	// Owned by run.
	ledger
	pushes []arrival
	last   time.Duration // when the last message came
	ids    []string      // to acknowledge
	asked  int           // messages in the client_ack under way; 0 for none
	calls  int
	answer string // _reqId of the client_ack under way
	boxes  map[string]*seal.Box
}

// An arrival is a message that came, and after which time.
type arrival struct {
	sender, seq uint32
	after       time.Duration
}

// begin forgets what was counted before.
func (r *receiver) begin() {
	r.pushes, r.last = r.pushes[:0], 0
	r.Unique, r.Twice, r.Disordered, r.Broken = 0, 0, 0, 0
}

// run takes messages until the read deadline of the connection passes, which
// is how it is told to end.
func (r *receiver) run(c *count) error {
	for {
		p, err := r.next()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return err
		}
		switch frameType(p) {
		case wire.Push{}.FrameType():
			r.pushed(c, p)
		case wire.Ack{}.FrameType(), (*wire.Error)(nil).FrameType():
			if err := r.answered(c, p); err != nil {
				return err
			}
		}
		if r.asked == 0 && len(r.ids) > 0 && !r.buffered() {
			if err := r.acknowledge(); err != nil {
				return err
			}
		}
	}
}

func (r *receiver) pushed(c *count, p []byte) {
	if field(p, `"subtype"`) != nil {
		return // an event
	}
	at := c.now()
	r.owing.Add(1)
	r.ids = append(r.ids, string(field(p, `"messageId"`)))
	n, ok := r.env.open(p, r.box)
	if !ok {
		r.Broken++
		return
	}
	if !r.enter(n) {
		return
	}
	r.pushes = append(r.pushes, arrival{n.sender, n.seq, at - time.Duration(n.at)})
	r.last = at
	c.arrived.Add(1)
}

// acknowledge tells the broker of as many messages as one frame may name.
func (r *receiver) acknowledge() error {
	r.asked = min(len(r.ids), wire.MaxAckIDs)
	r.calls++
	r.answer = strconv.Itoa(r.calls)
	frame, err := acknowledgement(r.answer, r.ids[:r.asked])
	if err != nil {
		return err
	}
	r.add(frame)
	return r.flush()
}

// answered ends the client_ack under way, or begins it again.
func (r *receiver) answered(c *count, p []byte) error {
	if r.asked == 0 || string(field(p, `"_reqId"`)) != r.answer {
		return refusal(p)
	}
	n := r.asked
	r.asked = 0
	if frameType(p) != (wire.Ack{}).FrameType() {
		e := refusal(p)
		if !errors.Is(e, &wire.Error{Code: wire.RateLimited}) && !errors.Is(e, &wire.Error{Code: wire.Unavailable}) {
			return e
		}
		c.refused.Add(1)
		time.Sleep(pauseRefused)
		return r.acknowledge()
	}
	r.ids = append(r.ids[:0], r.ids[n:]...)
	r.owing.Add(int64(-n))
	c.settle(n)
	return nil
}

// box returns the box of this session and the sender of that key, nil if the
// key is none.
func (r *receiver) box(sender []byte) *seal.Box {
	if b := r.boxes[string(sender)]; b != nil {
		return b
	}
	key, err := seal.ParsePublicKey(string(sender))
	if err != nil {
		return nil
	}
	b, err := seal.NewBox(r.key, key)
	if err != nil {
		return nil
	}
	if r.boxes == nil {
		r.boxes = make(map[string]*seal.Box)
	}
	r.boxes[string(sender)] = b
	return b
}
