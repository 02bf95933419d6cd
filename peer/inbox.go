package peer

import (
	"context"
	"slices"
	"sync"

	"claudemesh/wire"
)

const (
	maxRecords = 500  // kept, seen or not
	maxKnown   = 4096 // message ids and nonces remembered
	maxUnacked = 4096 // acknowledgements that wait; no mail is taken beyond
)

// An inbox keeps received mail until it has been seen. Mail that has not been
// seen is never dropped: a full inbox takes no more, and what it does not take
// is not acknowledged, so the broker offers it again.
type inbox struct {
	policy AckPolicy
	wake   chan struct{} // holds a token while there is something to acknowledge

	mu      sync.Mutex
	records []*item // oldest first
	known   *recent[wire.DeliveryState]
	nonces  *recent[string] // of opened messages, with what envelopeOf says
	mine    *recent[bool]   // nonces of messages this client sealed
	acks    ackQueue
	refused int // pushes that were not taken for want of room
	changed signal
}

type item struct {
	Record
	taken bool // returned by Next
	seen  bool
}

func newInbox(policy AckPolicy) *inbox {
	return &inbox{
		policy: policy,
		wake:   make(chan struct{}, 1),
		known:  newRecent[wire.DeliveryState](maxKnown),
		nonces: newRecent[string](maxKnown),
		mine:   newRecent[bool](maxKnown),
		acks:   ackQueue{state: make(map[string]wire.DeliveryState)},
	}
}

// duplicate reports whether a message was received before. If so it is
// acknowledged again as what it is by now. A record that nobody has seen is
// known however many have come and gone since.
func (b *inbox) duplicate(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	state, ok := b.known.get(id)
	if !ok && slices.ContainsFunc(b.records, func(r *item) bool { return !r.seen && r.MessageID == id }) {
		state, ok = wire.StateDelivered, true
	}
	if ok && (state == wire.StateSeen || b.policy == AckOnReceipt) {
		b.ack(id, state)
	}
	return ok
}

// add appends a record and reports whether there was room.
func (b *inbox) add(r Record) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.makeRoom() {
		b.refused++
		return false
	}
	b.records = append(b.records, &item{Record: r})
	b.known.put(r.MessageID, wire.StateDelivered)
	if b.policy == AckOnReceipt {
		b.ack(r.MessageID, wire.StateDelivered)
	}
	b.changed.fire()
	return true
}

// makeRoom drops the oldest record that has been seen if there are too many,
// and reports whether there is room. It is called with mu held.
func (b *inbox) makeRoom() bool {
	if len(b.acks.order) >= maxUnacked {
		return false
	}
	if len(b.records) < maxRecords {
		return true
	}
	i := slices.IndexFunc(b.records, func(r *item) bool { return r.seen })
	if i < 0 {
		return false
	}
	b.records = slices.Delete(b.records, i, i+1)
	return true
}

// ack queues an acknowledgement. It is called with mu held.
func (b *inbox) ack(id string, state wire.DeliveryState) {
	b.acks.put(id, state)
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// sealed remembers the nonce of a message of one's own, by which it is
// recognised if somebody sends it back as another's.
func (b *inbox) sealed(nonce string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mine.put(nonce, true)
}

// twice says what is wrong with a nonce that was used before, by this client or
// in another envelope, and remembers it otherwise. A nonce is random, so only
// somebody who copied the message can use it again.
func (b *inbox) twice(nonce, envelope string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.mine.get(nonce); ok {
		return "it is a copy of a message that this session sent itself"
	}
	if id, ok := b.nonces.get(nonce); ok && id != envelope {
		return "it is a copy of the message " + id
	}
	b.nonces.put(nonce, envelope)
	return ""
}

// Next returns the oldest record that neither was returned by Next nor has been
// seen, and waits for one. The caller shows it, then calls MarkSeen. It fails
// when ctx ends, or when the client is closed for good and no record is left.
func (c *Client) Next(ctx context.Context) (Record, error) {
	for {
		r, ok, changed := c.inbox.take()
		if ok {
			return r, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Record{}, ctx.Err()
		case <-c.done:
			if r, ok, _ := c.inbox.take(); ok {
				return r, nil // it came with the end
			}
			return Record{}, c.Status().Err
		}
	}
}

// take returns the oldest record for Next, and otherwise what the next change
// closes.
func (b *inbox) take() (r Record, ok bool, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.records, func(r *item) bool { return !r.taken && !r.seen })
	if i < 0 {
		return r, false, b.changed.wait()
	}
	b.records[i].taken = true
	return b.records[i].Record, true, nil
}

// Unseen returns the records that have not been marked as seen, oldest first.
func (c *Client) Unseen() []Record {
	return c.inbox.list(func(r *item) bool { return !r.seen })
}

// Records returns all records that are kept, oldest first: the unseen ones and
// as many of the seen ones as there is room for, 500 in all.
func (c *Client) Records() []Record {
	return c.inbox.list(func(*item) bool { return true })
}

func (b *inbox) list(want func(*item) bool) []Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []Record
	for _, r := range b.records {
		if want(r) {
			out = append(out, r.Record)
		}
	}
	return out
}

// MarkSeen says that the text of these messages was put before the reader. The
// broker is told until it acknowledges that. Ids of no received message are
// passed over.
func (c *Client) MarkSeen(ids ...string) {
	b := c.inbox
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		state, ok := b.known.get(id)
		i := slices.IndexFunc(b.records, func(r *item) bool { return r.MessageID == id })
		if i >= 0 {
			b.records[i].seen = true
		}
		if (ok && state != wire.StateSeen) || (!ok && i >= 0) {
			b.known.put(id, wire.StateSeen)
			b.ack(id, wire.StateSeen)
		}
	}
	b.changed.fire()
}

// Forget drops records that the caller has kept elsewhere but that nobody has
// seen yet, to make room. They stay delivered for the broker, which offers them
// to the next process of the session.
func (c *Client) Forget(ids ...string) {
	b := c.inbox
	b.mu.Lock()
	defer b.mu.Unlock()
	b.records = slices.DeleteFunc(b.records, func(r *item) bool { return slices.Contains(ids, r.MessageID) })
}

// Refused returns how many pushes found no room in the inbox. The broker keeps
// them and offers them again; one of an older version does not.
func (c *Client) Refused() int {
	c.inbox.mu.Lock()
	defer c.inbox.mu.Unlock()
	return c.inbox.refused
}
