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
	keepBox       = 10 * time.Minute    // a mailbox nobody drains stays in memory
)

// sweep ends what has run out of time.
func (m *mesh) sweep(now time.Time) {
	m.evict(now)
	for m.expire(now) {
	}
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
			n, err := tx.Prune(now.Add(-m.srv.cfg.Retention), batch)
			more = n == batch
			return err
		})
		m.logFailed("prune messages", err)
	}
	err := m.db.Write(context.Background(), func(tx *store.Tx) error {
		if _, err := tx.SweepAddresses(now.Add(-forgetAddress), 10*batch); err != nil {
			return err
		}
		return m.adopt(tx, now)
	})
	m.logFailed("tidy", err)
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
		expired, err := tx.Expire(now, batch)
		if err != nil {
			return err
		}
		for _, e := range expired {
			if err := m.expireOne(tx, e); err != nil {
				return err
			}
		}
		tx.AfterCommit(func() { m.forgetExpired(expired) })
		more = len(expired) == batch
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
				b.remove([]int64{e.Message.Seq})
			}
		}
	}
}

// adopt gives members the mail of sessions of theirs that have been gone for
// long: who of them comes next gets it.
func (m *mesh) adopt(tx *store.Tx, now time.Time) error {
	gone, err := tx.GoneSessions(now.Add(-m.srv.cfg.AdoptAfter), batch)
	if err != nil {
		return err
	}
	for _, r := range gone {
		m.mu.Lock()
		mb := m.members[r.MemberID]
		here := m.sessions[r.Address] != nil
		m.mu.Unlock()
		if mb == nil || here || mb.addr == r.Address {
			continue
		}
		moved, err := tx.MoveDeliveries(r.Address, mb.addr, now)
		if err != nil {
			return err
		}
		if len(moved) == 0 {
			continue
		}
		rows, err := tx.Pending(mb.addr)
		if err != nil {
			return err
		}
		tx.AfterCommit(func() { m.adopted(r.Address, mb.addr, rows) })
	}
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
