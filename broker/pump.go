package broker

import (
	"cmp"
	"context"
	"slices"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

const (
	pageSize   = 64        // messages read from the store at a time
	window     = 256       // messages leased to one session at a time
	windowSize = 512 << 10 // bytes waiting in an outbox beyond which no more is pushed
)

// hasRoom reports whether another message may be pushed to s now.
func (s *session) hasRoom() bool {
	return s.inflight < window && s.conn.out.waiting() < windowSize
}

// pump has what waits for s pushed by a goroutine, unless one is at it. It is
// called with m.mu held.
func (m *mesh) pump(s *session) {
	if s.pumping || !s.behind || !s.takesMail() || m.closed {
		return
	}
	s.pumping = true
	m.wg.Go(func() { m.drain(s) })
}

// drain pushes page after page until nothing may be pushed any more. While it
// runs nobody else pushes to s, so that one order holds.
func (m *mesh) drain(s *session) {
	for {
		page := m.nextPage(s)
		if len(page) == 0 {
			return
		}
		if err := m.pushPage(s, page); err != nil {
			m.log.Error("drain", "session", s.presence, "err", err)
			m.giveBack(s, page)
			return
		}
	}
}

// nextPage leases to s what it is offered next, in the order of seq. It
// returns nothing when the drain has ended.
func (m *mesh) nextPage(s *session) []parcel {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !s.takesMail() || m.closed {
		s.pumping = false
		return nil
	}
	if !s.hasRoom() {
		s.conn.starved.Store(true) // goes on when something was written, or acknowledged
		if !s.hasRoom() {
			s.pumping = false
			return nil
		}
	}
	var page []parcel
	for _, b := range s.boxes() {
		page = b.offered(page, len(page)+pageSize, s.status.status)
	}
	if len(page) == 0 {
		s.pumping, s.behind = false, false
		m.reportDrained(s)
		return nil
	}
	slices.SortFunc(page, func(a, b parcel) int { return cmp.Compare(a.item.seq, b.item.seq) })
	page = page[:min(len(page), pageSize)]
	now := time.Now()
	for _, p := range page {
		p.item.lease(s, now)
	}
	return page
}

// reportDrained tells a command once that it has all that waited for it. It
// is called with m.mu held.
func (m *mesh) reportDrained(s *session) {
	if !s.hello.Drain || s.drained || s.inflight > 0 {
		return
	}
	s.drained = true
	rest := 0
	for _, b := range s.boxes() {
		for _, it := range b.items {
			if it.state == queued {
				rest++
			}
		}
	}
	s.conn.reply("", wire.Drained{Pushed: s.pushed, Remaining: rest})
}

// pushPage reads the messages of a page and pushes them.
func (m *mesh) pushPage(s *session, page []parcel) error {
	seqs := make([]int64, len(page))
	for i, p := range page {
		seqs[i] = p.item.seq
	}
	bodies := make(map[int64][]byte, len(page))
	err := m.db.Read(context.Background(), func(rx *store.Rx) error {
		keys := make(map[int64]string)
		return rx.MessagesBySeq(seqs, func(msg *store.Message) error {
			key, ok := keys[msg.Sender]
			if !ok && msg.Sender != 0 {
				a, err := rx.AddressByID(msg.Sender)
				if err != nil {
					return err
				}
				key = wireKey(a.Key)
				keys[msg.Sender] = key
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			bodies[msg.Seq] = m.encode(msg, key)
			return nil
		})
	})
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range page {
		switch data, ok := bodies[p.item.seq]; {
		case !ok:
			p.box.remove([]int64{p.item.seq}) // pruned
		case p.item.holder == s && p.item.state == leased:
			m.handTo(s, p, data)
		}
	}
	return nil
}

// handTo puts a leased message into s's outbox. It is called with m.mu held.
func (m *mesh) handTo(s *session, p parcel, data []byte) {
	if s.conn == nil || !s.conn.out.push(frame{kind: durable, data: data, mesh: m, item: p.item, box: p.box}) {
		p.item.release()
		return
	}
	s.pushed++
	m.srv.metrics.routed[p.item.priority].Inc()
}

// resume goes on with what found no room in s's outbox, which has been written.
func (m *mesh) resume(s *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pump(s)
	if s.unnoticed {
		s.unnoticed = false
		m.background(func() { m.pageNotices(s) })
	}
}

// giveBack makes a page wait again that could not be read.
func (m *mesh) giveBack(s *session, page []parcel) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.pumping = false
	for _, p := range page {
		if p.item.holder == s && p.item.state == leased {
			p.item.release()
		}
	}
}

// encode builds the frame of a message, once for all its recipients. It is
// called with m.mu held.
func (m *mesh) encode(msg *store.Message, senderKey string) []byte {
	p := wire.Push{
		MessageID: msg.ID, MeshID: m.id, SenderPubkey: senderKey, Priority: wire.Priorities[msg.Priority],
		Nonce: msg.Nonce, Ciphertext: msg.Ciphertext, CreatedAt: wire.Time(msg.Created), Subtype: msg.Subtype,
		TargetSpec: msg.Target, SenderName: msg.SenderName, ReplyTo: msg.ReplyTo, Seq: msg.Seq,
	}
	if msg.Schedule != "" {
		p.ScheduleID, p.ScheduledFor = msg.Schedule, when(msg.Due)
	}
	if mb := m.members[msg.SenderMember]; mb != nil {
		p.SenderMember = mb.key
	}
	if msg.Subtype == wire.SubtypeWebhook || msg.Subtype == wire.SubtypeSystem {
		m.encodeNotification(&p, msg)
	}
	return wire.AppendPush(make([]byte, 0, 512+len(msg.Ciphertext)), &p)
}
