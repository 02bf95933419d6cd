package broker

import (
	"context"
	"errors"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

// messageStatus tells the sending member, and nobody else, how a message fares.
func (m *mesh) messageStatus(c *call, req wire.GetMessageStatus) (wire.MessageStatus, error) {
	var res wire.MessageStatus
	missing := wire.Errorf(wire.NotFound, "no message %q of yours: it may have been pruned, or was sent by somebody else", wire.Shorten(req.MessageID, 40))
	err := m.db.Read(context.Background(), func(rx *store.Rx) error {
		msg, steps, err := rx.Trail(req.MessageID)
		if errors.Is(err, store.ErrNotFound) || err == nil && msg.SenderMember != c.session.member.id {
			return missing
		}
		if err != nil {
			return err
		}
		res = m.describe(msg, steps)
		return nil
	})
	return res, err
}

func (m *mesh) describe(msg *store.Message, steps []store.Step) wire.MessageStatus {
	res := wire.MessageStatus{
		MessageID: msg.ID, TargetSpec: msg.Target, Priority: wire.Priorities[msg.Priority],
		AcceptedAt: when(msg.Created), ExpiresAt: when(msg.Expires), Recipients: make([]wire.RecipientStatus, 0, len(steps)),
	}
	for _, st := range steps {
		r := m.describeStep(msg, st)
		res.Recipients = append(res.Recipients, r)
		if r.DeliveredAt != nil && (res.DeliveredAt == nil || r.DeliveredAt.Std().Before(res.DeliveredAt.Std())) {
			res.Delivered, res.DeliveredAt = true, r.DeliveredAt
		}
	}
	return res
}

func (m *mesh) describeStep(msg *store.Message, st store.Step) wire.RecipientStatus {
	r := wire.RecipientStatus{
		Name: m.nameOf(st.Recipient), Pubkey: wireKey(st.Recipient.Key), State: stateOf(st), Attempts: st.Attempts,
		PushedAt: when(st.Pushed), DeliveredAt: when(st.Delivered), SeenAt: when(st.Seen), ExpiredAt: when(st.Expired),
	}
	if r.Name == "" {
		r.Name = "unknown"
	}
	online, it := m.look(st.Recipient.ID, msg.Seq)
	if r.State == wire.StateQueued && it.state == leased {
		r.State, r.PushedAt, r.Attempts = wire.StateLeased, when(it.pushed), r.Attempts+1
	}
	switch {
	case r.DeliveredAt != nil:
		r.Status = "delivered"
	case online:
		r.Status = "held"
	default:
		r.Status = "disconnected"
	}
	return r
}

// look returns whether somebody who drains the mailbox of addr is here, and
// how far the delivery is in memory.
func (m *mesh) look(addr, seq int64) (online bool, it item) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.boxes[addr]
	if b == nil {
		return false, it
	}
	if p := b.find(seq); p != nil {
		it = *p
	}
	for range m.drainers(b) {
		return true, it
	}
	return false, it
}

// stateOf names the state of a step as it is stored.
func stateOf(st store.Step) wire.DeliveryState {
	switch {
	case st.State == store.StateExpired:
		return wire.StateExpired
	case !st.Seen.IsZero():
		return wire.StateSeen
	case st.State == store.StateDelivered || st.State == store.StateDone:
		return wire.StateDelivered
	}
	return wire.StateQueued
}

// countStep adds a step of a message that was accepted before to counts.
func (m *mesh) countStep(counts *wire.OutcomeCounts, st store.Step, msg *store.Message) {
	online, it := m.look(st.Recipient.ID, msg.Seq)
	switch {
	case st.State != store.StatePending || it.state != queued:
		counts.Sent++
	case online:
		counts.Held++
	default:
		counts.Queued++
	}
}

func when(t time.Time) *wire.Time {
	if t.IsZero() {
		return nil
	}
	w := wire.Time(t)
	return &w
}
