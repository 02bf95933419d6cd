package broker

import (
	"context"
	"encoding/json"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

// Kinds of notices: what is kept for a sender until one of its member's
// sessions is there to take it.
const (
	noticeReceipt = "receipt" // wire.Receipt
	noticeExpired = "expired" // wire.MessageExpired
)

// maxNotices is how many notices are pushed to a session that comes.
const maxNotices = 1000

// addReceipts keeps a receipt for each of the senders of seqs who asked for one,
// and pushes it after the commit where the sender is here.
func (m *mesh) addReceipts(tx *store.Tx, s *session, seqs []int64, st wire.DeliveryState, now time.Time) error {
	if len(seqs) == 0 {
		return nil
	}
	if st == taken {
		st = wire.StateDelivered
	}
	return tx.MessagesBySeq(seqs, func(msg *store.Message) error {
		if msg.Receipt == 0 || st == wire.StateSeen && msg.Receipt < receiptSeen {
			return nil
		}
		r := wire.Receipt{MessageID: msg.ID, ID: msg.ClientID, State: st, Pubkey: s.key, Name: s.name, At: wire.Time(now)}
		return m.addNotice(tx, msg, noticeReceipt, r)
	})
}

// addNotice keeps a notice for the sender of msg and pushes it after the commit.
func (m *mesh) addNotice(tx *store.Tx, msg *store.Message, kind string, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	to := msg.Sender
	m.mu.Lock()
	if mb := m.members[msg.SenderMember]; mb != nil {
		to = mb.addr
	}
	m.mu.Unlock()
	if to == 0 {
		return nil // nobody sent it who could be told
	}
	n := store.Notice{Recipient: to, Kind: kind, Body: data, Created: time.Now()}
	dropped, err := tx.AddNotice(&n)
	if err != nil {
		return err
	}
	tx.AfterCommit(func() {
		m.srv.metrics.dropped(dropNotices, dropped)
		m.mu.Lock()
		defer m.mu.Unlock()
		if s := m.listener(msg); s != nil {
			m.pushNotices(s, []store.Notice{n})
		}
	})
	return nil
}

// listener returns the session to tell about msg: the one that sent it, else
// one of the same member. It is called with m.mu held.
func (m *mesh) listener(msg *store.Message) *session {
	for s := range m.transients {
		if s.addr == msg.Sender && s.conn != nil {
			return s
		}
	}
	if s := m.sessions[msg.Sender]; s != nil && s.conn != nil {
		return s
	}
	if mb := m.members[msg.SenderMember]; mb != nil {
		for _, s := range mb.live {
			if s.conn != nil {
				return s
			}
		}
	}
	return nil
}

// pushNotices pushes notices to s, as far as there is room; they are forgotten
// once they are written. It is called with m.mu held.
func (m *mesh) pushNotices(s *session, notices []store.Notice) {
	for _, n := range notices {
		if s.conn == nil || n.ID <= s.noticed {
			continue
		}
		if s.conn.out.waiting() >= windowSize {
			s.unnoticed = true
			s.conn.starved.Store(true)
			return
		}
		if data := m.noticeFrame(n); data != nil {
			s.noticed = n.ID
			s.conn.out.push(frame{kind: durable, data: data, mesh: m, notice: n.ID})
		}
	}
}

// pageNotices pushes what is kept for s and was not pushed yet.
func (m *mesh) pageNotices(s *session) {
	var notices []store.Notice
	err := m.db.Read(context.Background(), func(rx *store.Rx) (err error) {
		notices, err = rx.Notices(s.member.addr, maxNotices)
		return err
	})
	m.logFailed("read notices", err)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pushNotices(s, notices)
}

// noticeFrame encodes a notice as what it is on the wire.
func (m *mesh) noticeFrame(n store.Notice) []byte {
	if n.Kind == noticeExpired {
		return m.eventFrame(wire.EventMessageExpired, n.Body)
	}
	var r wire.Receipt
	if err := json.Unmarshal(n.Body, &r); err != nil {
		m.log.Error("stored notice", "id", n.ID, "err", err)
		return nil
	}
	data, err := wire.Append(nil, "", r)
	if err != nil {
		m.log.Error("encode receipt", "err", err)
		return nil
	}
	return data
}

// dropNotices forgets notices that were written to a socket.
func (m *mesh) dropNotices(ids []int64) {
	err := m.db.Enqueue(context.Background(), func(tx *store.Tx) error { return tx.DeleteNotices(ids) },
		func(err error) { m.logFailed("drop notices", err) })
	m.logFailed("drop notices", err)
}
