package broker

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"claudemesh/store"
	"claudemesh/wire"
)

// send accepts a message. It does not hold the reader: the answer comes after
// the commit, so that one connection can have many sends under way.
func (m *mesh) send(c *call, req wire.Send) error {
	target, err := checkSend(&req)
	if err != nil {
		return err
	}
	return m.db.Append(context.Background(),
		func(tx *store.Tx) error { return m.accept(tx, c, &req, target) },
		func(err error) {
			if err != nil {
				c.failSend(req.ID, err)
			}
		})
}

// checkSend checks a send and fills in what may be absent.
func checkSend(req *wire.Send) (wire.Target, error) {
	if req.Priority == "" {
		req.Priority = wire.Next
	}
	switch {
	case req.Priority.Rank() < 0:
		return wire.Target{}, wire.Errorf(wire.BadRequest, "priority must be now, next or low")
	case utf8.RuneCountInString(req.ID) > wire.MaxSendID:
		return wire.Target{}, wire.Errorf(wire.BadRequest, "id is longer than %d characters", wire.MaxSendID)
	case len(req.Exclude) > wire.MaxExclude:
		return wire.Target{}, wire.Errorf(wire.BadRequest, "exclude has more than %d keys", wire.MaxExclude)
	case len(req.ReplyTo) > wire.MaxSendID:
		return wire.Target{}, wire.Errorf(wire.BadRequest, "replyTo is longer than %d characters", wire.MaxSendID)
	case req.Receipt != "" && req.Receipt != wire.StateDelivered && req.Receipt != wire.StateSeen:
		return wire.Target{}, wire.Errorf(wire.BadRequest, "receipt must be delivered or seen")
	}
	return wire.ParseTarget(req.TargetSpec)
}

// accept stores a message with a delivery for each recipient, or finds that
// it was accepted before.
func (m *mesh) accept(tx *store.Tx, c *call, req *wire.Send, target wire.Target) error {
	if c.session.member.leaving {
		return refused(wire.Unauthorized)
	}
	digest := digestOf(req)
	if req.ID != "" {
		old, ok, err := tx.Sent(c.session.addr, req.ID)
		if err != nil {
			return err
		}
		if ok {
			return m.repeat(tx, c, req, old, digest)
		}
	}
	plan, err := m.resolve(tx, origin{addr: c.session.addr, member: c.session.member}, target, req.Exclude)
	if err != nil {
		return err
	}
	now := time.Now()
	msg := &store.Message{
		Sender: c.session.addr, SenderMember: c.session.member.id, SenderName: c.session.name, Target: plan.target,
		Priority: store.Priority(req.Priority.Rank()), ReplyTo: req.ReplyTo, ClientID: req.ID, Digest: digest,
		Receipt: receiptLevel(req.Receipt), Created: now, Expires: now.Add(m.ttl()), Nonce: req.Nonce, Ciphertext: req.Ciphertext,
	}
	if err := m.addMessage(tx, msg, plan.addrs); err != nil {
		return err
	}
	tx.AfterCommit(func() { m.deliver(c, msg, plan) })
	return nil
}

// ttl is how long messages of the mesh wait for their recipients.
func (m *mesh) ttl() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.info.MessageTTL
}

// repeat answers a send that was accepted before as it was then.
func (m *mesh) repeat(tx *store.Tx, c *call, req *wire.Send, old *store.Message, digest [32]byte) error {
	if old.Digest != digest {
		return &wire.Error{Code: wire.Conflict, ID: req.ID,
			Message: fmt.Sprintf("id %q was used for another message: take a new one", wire.Shorten(req.ID, 40))}
	}
	_, steps, err := tx.Trail(old.ID)
	if err != nil {
		return err
	}
	ack := wire.Ack{ID: req.ID, MessageID: old.ID, Queued: true, Duplicate: true}
	counts := &wire.OutcomeCounts{}
	for _, st := range steps {
		m.countStep(counts, st, old)
	}
	setOutcome(&ack, counts, len(steps))
	tx.AfterCommit(func() { c.acknowledge(&ack) })
	return nil
}

// deliver answers the sender and pushes the message to whom it may be pushed
// now. It runs after the commit, in the order of the commits.
func (m *mesh) deliver(c *call, msg *store.Message, plan *plan) {
	m.distribute(msg, c.session.key, plan, func(counts *wire.OutcomeCounts) {
		ack := wire.Ack{ID: msg.ClientID, MessageID: msg.ID, Queued: true, Unknown: plan.unknown}
		setOutcome(&ack, counts, plan.recipients())
		c.acknowledge(&ack)
	})
}

// distribute puts a message of the sender with that key into its mailboxes,
// tells what comes of it, and then pushes it to whom it may be pushed now. It
// runs after the commit, in the order of the commits; tell runs with m.mu held.
func (m *mesh) distribute(msg *store.Message, senderKey string, plan *plan, tell func(*wire.OutcomeCounts)) {
	counts := &wire.OutcomeCounts{Full: plan.full}
	type delivery struct {
		to *session
		parcel
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	direct := make([]delivery, 0, len(plan.boxes))
	for _, staged := range plan.boxes {
		b := m.box(staged)
		it := b.add(msg.Seq, int8(msg.Priority), int8(msg.Receipt))
		to, outcome := m.takerBefore(plan.first, b, it)
		if to != nil {
			it.lease(to, now)
			direct = append(direct, delivery{to, parcel{b, it}})
		}
		count(counts, outcome)
	}
	tell(counts)
	if len(direct) == 0 {
		return
	}
	data := m.encode(msg, senderKey)
	for _, d := range direct {
		m.handTo(d.to, d.parcel, data)
	}
}

// takerBefore is taker, but for first, unless it is nil, if that drains b and may
// have it. It is called with m.mu held.
func (m *mesh) takerBefore(first *session, b *mailbox, it *item) (*session, wire.Outcome) {
	if first == nil || it.state != queued || !slices.Contains(first.boxes(), b) || !first.takesMail() ||
		!first.status.status.Allows(wire.Priorities[it.priority]) || !first.hasRoom() {
		return m.taker(b, it)
	}
	if !first.behind && !first.pumping {
		return first, wire.Sent
	}
	first.behind = true
	m.pump(first)
	return nil, wire.Sent // by the pump, in its order
}

// taker returns the session that can be handed it at once, nil if there is
// none, and says what that means. It is called with m.mu held.
func (m *mesh) taker(b *mailbox, it *item) (*session, wire.Outcome) {
	if it.state != queued {
		return nil, wire.Sent
	}
	outcome := wire.Queued
	for s := range m.drainers(b) {
		if !s.status.status.Allows(wire.Priorities[it.priority]) {
			if outcome == wire.Queued {
				outcome = wire.Held
			}
			continue
		}
		switch room := s.hasRoom(); {
		case room && !s.behind && !s.pumping:
			return s, wire.Sent
		case room:
			outcome = wire.Sent // by the pump, in its order
		case outcome == wire.Queued:
			outcome = wire.Held // the peer does not keep up
		}
		s.behind = true
		m.pump(s)
		if outcome == wire.Sent {
			break
		}
	}
	return nil, outcome
}

func (c *call) acknowledge(ack *wire.Ack) {
	c.out.push(frame{kind: answer, data: wire.AppendAck(make([]byte, 0, 192), c.head.ReqID, ack)})
}

// failSend answers a send that failed.
func (c *call) failSend(id string, err error) {
	e := *c.srv.report(c.head, err)
	e.ID = id
	c.reply(c.head.ReqID, &e)
}

// sendID returns the id of a send that may be malformed otherwise.
func sendID(p []byte) string {
	var req struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(p, &req) != nil || utf8.RuneCountInString(req.ID) > wire.MaxSendID {
		return ""
	}
	return req.ID
}

func count(c *wire.OutcomeCounts, o wire.Outcome) {
	switch o {
	case wire.Sent:
		c.Sent++
	case wire.Held:
		c.Held++
	case wire.Queued:
		c.Queued++
	}
}

// setOutcome sums up the counts: the best of the recipients' outcomes.
func setOutcome(ack *wire.Ack, c *wire.OutcomeCounts, recipients int) {
	switch {
	case recipients == 0:
		ack.Outcome = wire.ToNobody
	case c.Sent > 0:
		ack.Outcome = wire.Sent
	case c.Held > 0:
		ack.Outcome = wire.Held
	default:
		ack.Outcome = wire.Queued
	}
	ack.Recipients = c
}

// digestOf is the SHA-256 of what makes two sends the same message: each
// field with its length before it.
func digestOf(req *wire.Send) [sha256.Size]byte {
	text := make([]byte, 0, 1024) // on the stack, for most
	for _, f := range []string{req.TargetSpec, string(req.Priority), req.Nonce, req.Ciphertext, req.ReplyTo, string(req.Receipt)} {
		text = appendSized(text, f)
	}
	for _, key := range req.Exclude {
		text = appendSized(text, key)
	}
	return sha256.Sum256(text)
}

func appendSized(dst []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(s))), s...)
}

// receiptLevel is how receipts that were asked for are stored.
func receiptLevel(s wire.DeliveryState) int {
	switch s {
	case wire.StateDelivered:
		return receiptDelivered
	case wire.StateSeen:
		return receiptSeen
	}
	return 0
}

// Levels of receipts: a sender that asks for seen gets both steps.
const (
	receiptDelivered = 1
	receiptSeen      = 2
)
