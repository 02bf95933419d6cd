package broker

import (
	"context"
	"slices"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

// A mark is deliveries of one mailbox that have come a step further.
type mark struct {
	box    *mailbox
	seqs   []int64
	pushed time.Time
	asked  []int64 // of seqs, those whose senders asked for receipts
}

// clientAck notes what a peer says of the messages it was pushed. Like send it does
// not hold the reader.
func (m *mesh) clientAck(c *call, req wire.ClientAck) error {
	switch {
	case len(req.MessageIDs) > wire.MaxAckIDs:
		return wire.Errorf(wire.BadRequest, "messageIds has more than %d ids", wire.MaxAckIDs)
	case req.State != wire.StateDelivered && req.State != wire.StateSeen:
		return wire.Errorf(wire.BadRequest, "state must be delivered or seen")
	}
	marks, ok := m.marksOf(c.session, req.MessageIDs, req.State)
	if !ok {
		return wire.Errorf(wire.RateLimited, "%d acknowledgements of yours wait to be stored: repeat this one in a moment", maxMarkings)
	}
	answer := func(err error) {
		switch {
		case err != nil:
			c.fail(c.head, nil, c.srv.report(c.head, err))
		case c.head.ReqID != "":
			c.acknowledge(&wire.Ack{ID: c.head.ReqID})
		}
	}
	if len(marks) == 0 {
		answer(nil)
		return nil
	}
	m.mark(marking{c.session, marks, req.State, answer})
	return nil
}

// maxMarkings is how many acknowledgements of one session wait to be stored.
const maxMarkings = 64

// marksOf finds the deliveries of s that ids name. Ids of others, and of
// deliveries that have come as far as st before, are left out. ok is false
// where too many acknowledgements of s wait.
func (m *mesh) marksOf(s *session, ids []string, st wire.DeliveryState) (marks []mark, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.markings >= maxMarkings {
		return nil, false
	}
	for _, b := range s.boxes() {
		for _, id := range ids {
			if seq, ok := store.MessageSeq(id); ok {
				it := b.find(seq)
				if it == nil && st == wire.StateSeen {
					it = b.seenLate(seq)
				}
				if it != nil && (st == wire.StateSeen || it.state != delivered) {
					marks = addMark(marks, b, it)
				}
			}
		}
	}
	return marks, true
}

// addMark adds it to the mark of what was pushed with it.
func addMark(marks []mark, b *mailbox, it *item) []mark {
	for i := range marks {
		if k := &marks[i]; k.box == b && k.pushed.Equal(it.pushed) {
			k.add(it)
			return marks
		}
	}
	k := mark{box: b, pushed: it.pushed}
	k.add(it)
	return append(marks, k)
}

func (k *mark) add(it *item) {
	k.seqs = append(k.seqs, it.seq)
	if it.receipt > 0 {
		k.asked = append(k.asked, it.seq)
	}
}

// A marking is what one session said of its deliveries.
type marking struct {
	s     *session
	marks []mark
	state wire.DeliveryState
	done  func(error) // called with the result, on the writer's goroutine
}

// mark stores what a session says of its deliveries, then tells the senders
// who asked. Nobody waits for that as they do for a send: what all sessions
// say meanwhile is stored at once, with the next send if one comes soon.
func (m *mesh) mark(k marking) {
	m.mu.Lock()
	m.markings = append(m.markings, k)
	k.s.markings++
	first := len(m.markings) == 1
	m.mu.Unlock()
	if !first {
		return
	}
	var all []marking
	finish := func(err error) {
		if all == nil {
			all = m.takeMarkings() // the write was not even tried
		}
		for _, k := range all {
			k.done(err)
		}
	}
	err := m.db.Defer(context.Background(), func(tx *store.Tx) error {
		all = m.takeMarkings()
		return m.storeMarkings(tx, all)
	}, finish)
	if err != nil {
		finish(err)
	}
}

func (m *mesh) takeMarkings() []marking {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.markings
	m.markings = nil
	for _, k := range all {
		k.s.markings--
	}
	return all
}

func (m *mesh) storeMarkings(tx *store.Tx, all []marking) error {
	now := time.Now()
	for _, k := range all {
		for _, one := range k.marks {
			news, err := m.markOne(tx, one, k.state, now)
			if err != nil {
				return err
			}
			news = slices.DeleteFunc(news, func(seq int64) bool { return !slices.Contains(one.asked, seq) })
			if err := m.addReceipts(tx, k.s, news, k.state, now); err != nil {
				return err
			}
		}
	}
	tx.AfterCommit(func() {
		for _, k := range all {
			m.marked(k.s, k.marks, k.state)
		}
	})
	return nil
}

// taken is the state of what was written to a peer that acknowledges nothing:
// all that will ever be known.
const taken wire.DeliveryState = "taken"

func (m *mesh) markOne(tx *store.Tx, k mark, st wire.DeliveryState, now time.Time) ([]int64, error) {
	if st == wire.StateSeen {
		return tx.MarkSeen(k.box.addr, k.seqs, now)
	}
	return tx.MarkDelivered(k.box.addr, k.seqs, k.pushed, now, st == taken)
}

// marked brings the mailboxes up to date and goes on with what waits.
func (m *mesh) marked(s *session, marks []mark, st wire.DeliveryState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	here := m.sessions[s.addr] == s || m.transients[s]
	for _, k := range marks {
		if st != wire.StateDelivered {
			k.box.remove(k.seqs)
			continue
		}
		for _, seq := range k.seqs {
			if it := k.box.find(seq); it != nil && here {
				it.deliver(s)
			}
		}
	}
	if s.conn != nil && s.inflight == 0 {
		s.behind = s.behind || s.hello.Drain && !s.drained
	}
	m.pump(s)
}

// written takes note of durable frames that the socket took. A peer that
// acknowledges nothing has them delivered by that.
func (m *mesh) written(c *conn, frames []frame) {
	s := c.session
	var notices []int64
	for i := range frames {
		if n := frames[i].notice; n != 0 {
			notices = append(notices, n)
		}
	}
	if len(notices) > 0 {
		m.dropNotices(notices)
	}
	if s.hello.Proto >= wire.Proto {
		return
	}
	if marks := m.takenBy(s, frames); len(marks) > 0 {
		m.mark(marking{s, marks, taken, func(err error) { m.logFailed("note deliveries", err) }})
	}
}

// takenBy finds what frames have delivered to s, unless it was leased to
// somebody else since.
func (m *mesh) takenBy(s *session, frames []frame) (marks []mark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range frames {
		if f := &frames[i]; f.item != nil && f.item.holder == s {
			marks = addMark(marks, f.box, f.item)
		}
	}
	return marks
}

// logFailed logs an error that has nobody else to go to.
func (m *mesh) logFailed(what string, err error) {
	if err != nil {
		m.log.Error(what, "err", err)
	}
}
