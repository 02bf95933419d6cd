package broker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

// A notification is the body of a message that no peer wrote: of a webhook, or
// an event that is kept for who it is for.
type notification struct {
	Event string          `json:"event,omitempty"` // of an event
	Text  string          `json:"text,omitempty"`
	Data  json.RawMessage `json:"data"`
}

// takePost sends what was posted to a webhook, and returns when it is on disk.
// What the sender has posted before, by its own id, is not sent again.
func (m *mesh) takePost(q *hookRequest) (res wire.HookDelivery, err error) {
	msg, err := hookMessage(q)
	if err != nil {
		return res, err
	}
	res.OK = true
	err = m.db.Write(context.Background(), func(tx *store.Tx) error {
		if msg.ClientID != "" {
			old, sent, err := tx.Sent(0, msg.ClientID)
			if err != nil {
				return err
			}
			if sent {
				res.MessageID, res.Duplicate = old.ID, true
				return nil
			}
		}
		if err := tx.WebhookReceived(q.hook.ID, msg.Created); err != nil {
			return err
		}
		return m.sendHook(tx, q.hook.ID, msg, &res)
	})
	return res, err
}

// hookMessage makes the message of a request. No address sends it.
func hookMessage(q *hookRequest) (*store.Message, error) {
	t, err := parseTemplate(q.hook.Template)
	if err != nil {
		return nil, err
	}
	var data bytes.Buffer
	if err := json.Compact(&data, q.body); err != nil {
		return nil, err
	}
	text := t.fill(q.posted, map[string]string{"@event": eventOf(q.header), "@name": q.hook.Name})
	body, err := encodeJSON(notification{Text: text, Data: data.Bytes()})
	if err != nil {
		return nil, err
	}
	msg := &store.Message{
		SenderMember: q.hook.MemberID, SenderName: q.hook.Name, Target: q.hook.Target, Priority: store.PriorityNext,
		Subtype: wire.SubtypeWebhook, Digest: sha256.Sum256(q.body), Created: time.Now(), Ciphertext: string(body),
		Source: hookSource + q.hook.ID,
	}
	if id := deliveryID(wire.HookSignature(q.hook.Style), q.header, q.posted); id != "" {
		msg.ClientID = q.hook.ID + " " + id
	}
	return msg, nil
}

// sendHook stores the message of the webhook with that id, for hidden sessions too.
func (m *mesh) sendHook(tx *store.Tx, id string, msg *store.Message, res *wire.HookDelivery) error {
	t, err := wire.ParseTarget(msg.Target)
	if err != nil {
		return err
	}
	plan, err := m.resolve(tx, origin{hidden: true, source: msg.Source}, t, nil)
	if err != nil {
		return err
	}
	if plan.full > 0 && len(plan.boxes) == 0 {
		return wire.Errorf(wire.Limit, "no recipient of the webhook has room")
	}
	if plan.over > 0 {
		if err := tx.WebhookGivenUp(id, plan.over); err != nil {
			return err
		}
	}
	msg.Target, msg.Expires = plan.target, msg.Created.Add(min(m.ttl(), wire.HookEventKept))
	if err := m.addMessage(tx, msg, plan.addrs); err != nil {
		return err
	}
	tx.AfterCommit(func() {
		m.distribute(msg, "", plan, func(c *wire.OutcomeCounts) {
			res.MessageID, res.Delivered, res.Queued = msg.ID, c.Sent, c.Held+c.Queued
		})
	})
	return nil
}

// encodeNotification fills in the frame of a message that no peer wrote.
func (m *mesh) encodeNotification(p *wire.Push, msg *store.Message) {
	var n notification
	if err := json.Unmarshal([]byte(msg.Ciphertext), &n); err != nil {
		m.logFailed("read a notification", errors.Join(errors.New(msg.ID), err))
		n.Data = json.RawMessage("null")
	}
	p.Ciphertext, p.SenderMember, p.EventData, p.Text, p.Event = "", "", n.Data, n.Text, n.Event
	if msg.Subtype == wire.SubtypeWebhook {
		p.SenderPubkey, p.Event = wire.WebhookSender+msg.SenderName, msg.SenderName
		return
	}
	p.SenderPubkey = wire.SystemSender
}
