package broker

import (
	"context"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

const (
	tidyEvery     = time.Hour           // between two looks for what is over
	forgetAddress = 30 * 24 * time.Hour // an address without mail is forgotten
	forgetInvite  = 30 * 24 * time.Hour // an invite that nobody can use is forgotten
	keepBox       = 10 * time.Minute    // a mailbox nobody drains stays in memory
)

// startSweep sweeps in the background, so that a slow disk does not keep the
// clock from its pings, unless the last sweep is still at it.
func (m *mesh) startSweep(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sweeping {
		return
	}
	m.sweeping = true
	m.background(func() {
		m.sweep(now)
		m.mu.Lock()
		m.sweeping = false
		m.mu.Unlock()
	})
}

// sweep ends what has run out of time.
func (m *mesh) sweep(now time.Time) {
	m.evict(now)
	m.expireEvents(now)
	for m.expire(now) {
	}
	m.sweepFeatures(now)
	m.mu.Lock()
	due := now.Sub(m.tidied) >= tidyEvery
	if due {
		m.tidied = now
	}
	m.mu.Unlock()
	if due {
		m.tidy(now)
	}
}

// tidy forgets what is over, step by step so that no write waits for it.
func (m *mesh) tidy(now time.Time) {
	for more := true; more; {
		more = false
		err := m.db.Write(context.Background(), func(tx *store.Tx) error {
			_, rest, err := tx.Prune(now.Add(-m.srv.cfg.Retention), batch)
			more = rest
			return err
		})
		m.logFailed("prune messages", err)
		more = more && err == nil
	}
	err := m.db.Write(context.Background(), func(tx *store.Tx) error {
		if _, err := tx.SweepAddresses(now.Add(-forgetAddress), 10*batch); err != nil {
			return err
		}
		if err := m.forgetClock(tx, now); err != nil {
			return err
		}
		if err := tx.PruneScheduleRequests(now.Add(-keepRequest)); err != nil {
			return err
		}
		return tx.PruneInvites(now.Add(-forgetInvite))
	})
	m.logFailed("tidy", err)
	m.logFailed("hand on mail", m.adopt(now))
	m.sweepBlobs(context.Background())
}

// evict forgets mailboxes that nobody has drained or written to for a while.
func (m *mesh) evict(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	inUse := make(map[*mailbox]bool)
	for _, s := range m.sessions {
		inUse[s.own], inUse[s.shared] = true, true
	}
	for s := range m.transients {
		inUse[s.own], inUse[s.shared] = true, true
	}
	for addr, b := range m.boxes {
		if !inUse[b] && now.Sub(b.used) >= keepBox {
			delete(m.boxes, addr)
		}
	}
}

// expire gives up some messages whose time has run out, and tells their
// senders. It reports whether there may be more.
func (m *mesh) expire(now time.Time) (more bool) {
	err := m.db.Write(context.Background(), func(tx *store.Tx) error {
		expired, rest, err := tx.Expire(now, batch)
		if err != nil {
			return err
		}
		for _, e := range expired {
			if err := m.expireOne(tx, e); err != nil {
				return err
			}
		}
		tx.AfterCommit(func() { m.forgetExpired(expired) })
		more = rest
		return nil
	})
	m.logFailed("expire messages", err)
	return more && err == nil
}

func (m *mesh) expireOne(tx *store.Tx, e store.Expired) error {
	note := wire.MessageExpired{MessageID: e.Message.ID, ID: e.Message.ClientID, TargetSpec: e.Message.Target, SentAt: wire.Time(e.Message.Created)}
	for _, r := range e.Recipients {
		a, err := tx.AddressByID(r.Address)
		if err != nil {
			return err
		}
		note.Recipients = append(note.Recipients, wire.ExpiredRecipient{Pubkey: wireKey(a.Key), Name: m.nameOf(a), Delivered: r.Delivered})
	}
	return m.addNotice(tx, e.Message, noticeExpired, note)
}

func (m *mesh) forgetExpired(expired []store.Expired) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.srv.metrics.expired.Add(float64(len(expired)))
	for _, e := range expired {
		for _, r := range e.Recipients {
			if b := m.boxes[r.Address]; b != nil {
				b.giveUp([]int64{e.Message.Seq})
			}
		}
	}
}

// adopt gives members the mail of sessions of theirs that have been gone for
// long, one after the other: who of them comes next gets it.
func (m *mesh) adopt(now time.Time) error {
	var gone []*store.Session
	err := m.db.Read(context.Background(), func(rx *store.Rx) (err error) {
		gone, err = rx.GoneSessions(now.Add(-m.srv.cfg.AdoptAfter), batch)
		return err
	})
	for _, r := range gone {
		if err != nil {
			break
		}
		err = m.db.Write(context.Background(), func(tx *store.Tx) error { return m.adoptOne(tx, r.Address, r.MemberID, now) })
	}
	return err
}

func (m *mesh) adoptOne(tx *store.Tx, from int64, memberID string, now time.Time) error {
	m.mu.Lock()
	mb := m.members[memberID]
	here := m.sessions[from] != nil || m.arriving[from] != nil
	m.mu.Unlock()
	if mb == nil || here || mb.addr == from {
		return nil
	}
	moved, err := tx.MoveDeliveries(from, mb.addr, now)
	if err != nil || len(moved) == 0 {
		return err
	}
	rows, err := tx.Pending(mb.addr)
	if err != nil {
		return err
	}
	tx.AfterCommit(func() { m.adopted(from, mb.addr, rows) })
	return nil
}

// adopted brings the mailboxes up to date after a move.
func (m *mesh) adopted(from, to int64, rows []store.Pending) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.boxes, from)
	b := m.boxes[to]
	if b == nil {
		return // is read when it is wanted
	}
	for _, r := range rows {
		b.add(r.Seq, int8(r.Priority), int8(r.Receipt))
	}
	m.offer(b)
}
