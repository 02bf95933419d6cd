package broker

import (
	"cmp"
	"slices"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

// itemState is how far a pending delivery has come since the broker started.
type itemState uint8

const (
	queued    itemState = iota // waits to be pushed
	leased                     // pushed, not yet acknowledged
	delivered                  // acknowledged by the process that holds it, not yet seen
)

// An item is one pending delivery.
type item struct {
	seq      int64
	priority int8 // rank
	receipt  int8 // level the sender asked for
	state    itemState
	holder   *session  // who has it leased or delivered
	pushed   time.Time // when it was last pushed
}

// A mailbox holds what waits for one address, a session's or a member's, in
// the order of seq. It mirrors the rows of the store while somebody is
// interested in them, and is guarded by the mutex of its mesh.
type mailbox struct {
	addr  int64
	items []*item
	used  time.Time // when it was last wanted, while nobody drains it
	late  []*item   // given up while a process had them, which may yet say that it was seen; the newest
}

// maxGivenUp is how many deliveries that were given up a mailbox remembers.
const maxGivenUp = 256

func newMailbox(addr int64, rows []store.Pending) *mailbox {
	b := &mailbox{addr: addr, items: make([]*item, 0, len(rows)), used: time.Now()}
	for _, r := range rows {
		b.items = append(b.items, &item{seq: r.Seq, priority: int8(r.Priority), receipt: int8(r.Receipt)})
	}
	return b
}

// add adds a delivery, unless loading the mailbox found it already.
func (b *mailbox) add(seq int64, priority, receipt int8) *item {
	i, found := b.index(seq)
	if found {
		return b.items[i]
	}
	it := &item{seq: seq, priority: priority, receipt: receipt}
	b.items = slices.Insert(b.items, i, it)
	return it
}

func (b *mailbox) index(seq int64) (int, bool) {
	if n := len(b.items); n == 0 || b.items[n-1].seq < seq {
		return n, false
	}
	return slices.BinarySearchFunc(b.items, seq, func(it *item, seq int64) int { return cmp.Compare(it.seq, seq) })
}

// find returns the pending delivery of seq, or nil.
func (b *mailbox) find(seq int64) *item {
	if i, ok := b.index(seq); ok {
		return b.items[i]
	}
	return nil
}

// remove forgets deliveries that are over, and takes them off their holders' counts.
func (b *mailbox) remove(seqs []int64) {
	for _, seq := range seqs {
		if i, ok := b.index(seq); ok {
			b.items[i].release()
			b.items = slices.Delete(b.items, i, i+1)
		}
	}
}

// giveUp forgets deliveries that are over before they were seen.
func (b *mailbox) giveUp(seqs []int64) {
	for _, seq := range seqs {
		if it := b.find(seq); it != nil && it.state != queued {
			b.late = append(b.late, it)
		}
	}
	b.late = b.late[max(0, len(b.late)-maxGivenUp):]
	b.remove(seqs)
}

// seenLate takes the delivery of seq that was given up, nil if none is remembered.
func (b *mailbox) seenLate(seq int64) *item {
	i := slices.IndexFunc(b.late, func(it *item) bool { return it.seq == seq })
	if i < 0 {
		return nil
	}
	it := b.late[i]
	b.late = slices.Delete(b.late, i, i+1)
	return it
}

// release makes the item wait again.
func (it *item) release() {
	if it.state == leased {
		it.holder.inflight--
	}
	it.state, it.holder = queued, nil
}

// lease gives the item to s.
func (it *item) lease(s *session, now time.Time) {
	it.state, it.holder, it.pushed = leased, s, now
	s.inflight++
}

// deliver notes that the process that holds the item has it.
func (it *item) deliver(s *session) {
	it.release()
	it.state, it.holder = delivered, s
}

// offered appends to page, up to n in all, the items that may be pushed to a
// session in status st.
func (b *mailbox) offered(page []parcel, n int, st wire.Status) []parcel {
	for _, it := range b.items {
		if len(page) == n {
			break
		}
		if it.state == queued && st.Allows(wire.Priorities[it.priority]) {
			page = append(page, parcel{b, it})
		}
	}
	return page
}

// A parcel is an item and the mailbox it lies in.
type parcel struct {
	box  *mailbox
	item *item
}
