package broker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"claudemesh/seal"
	"claudemesh/store"
	"claudemesh/wire"
)

// An actor is who did what an audit entry tells of; the zero actor is nobody of
// the mesh.
type actor struct {
	id   string // of the member
	name string // shown
}

func (s *session) actor() actor { return actor{s.member.id, s.author()} }

// actorOf returns who an HTTP request comes from.
func (m *mesh) actorOf(c *caller) actor {
	if c.member == nil {
		return actor{name: "owner"}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return actor{c.member.id, c.member.name}
}

// audited are the fields of an audit entry's payload: names, ids and hashes. No
// contents and no secrets, for every member reads them, and they stay.
type audited map[string]any

// audit appends to the audit log, in the transaction of what the entry tells of.
// It keeps and changes payload, nil for nothing.
func (m *mesh) audit(tx *store.Tx, by actor, event string, payload audited) error {
	if by.name != "" {
		if payload == nil {
			payload = audited{}
		}
		payload["actorDisplayName"] = by.name
	}
	text, err := seal.AppendCanonical(make([]byte, 0, 256), map[string]any(payload))
	if err != nil {
		return err
	}
	r := seal.AuditRecord{Event: event, Actor: by.id, Payload: text, Created: time.Now()}
	r.Follow(seal.AuditLink(tx.AuditHead()), m.id)
	return tx.AddAudit(&store.AuditEntry{ID: r.ID, Event: r.Event, Actor: r.Actor, Payload: string(text), Created: r.Created, Hash: r.Hash})
}

// beginAudit makes the first entry of a mesh's log, before anybody can do anything.
func (m *mesh) beginAudit(tx *store.Tx) error {
	if tx.AuditHead().ID > 0 {
		return nil
	}
	return m.audit(tx, actor{}, wire.AuditMeshCreated, audited{
		"slug": m.info.Slug, "ownerPubkey": m.info.Owner, "createdAt": wire.Time(m.info.Created).String(),
	})
}

// addMessage stores a message with its deliveries and its audit entry.
func (m *mesh) addMessage(tx *store.Tx, msg *store.Message, recipients []int64) error {
	if err := tx.AddMessage(msg, recipients); err != nil {
		return err
	}
	payload := audited{"messageId": msg.ID, "priority": string(wire.Priorities[msg.Priority]), "targetSpec": msg.Target}
	if msg.Schedule != "" {
		payload["scheduledId"] = msg.Schedule
	}
	by := actor{msg.SenderMember, msg.SenderName}
	switch msg.Subtype {
	case wire.SubtypeWebhook:
		by.name = wire.WebhookSender + by.name
	case wire.SubtypeSystem:
		by.name = wire.SystemSender
	}
	return m.audit(tx, by, wire.AuditMessageSent, payload)
}

func groupNames(groups []wire.Group) []string {
	names := make([]string, 0, len(groups))
	for _, g := range groups {
		names = append(names, g.Name)
	}
	return names
}

func sumOf(p []byte) string {
	sum := sha256.Sum256(p)
	return hex.EncodeToString(sum[:])
}

func (m *mesh) auditQuery(_ *call, req wire.AuditQuery) (wire.AuditResult, error) {
	limit := 50
	if req.Limit != nil {
		limit = min(max(*req.Limit, 1), wire.MaxAuditPage)
	}
	offset := min(max(req.Offset, 0), 1<<40)
	res := wire.AuditResult{Entries: []wire.AuditEntry{}}
	err := m.db.Read(context.Background(), func(rx *store.Rx) error {
		head, err := rx.LastAudit()
		if err != nil {
			return err
		}
		base, err := rx.AuditBase()
		if err != nil {
			return err
		}
		res.Head, res.HeadID, res.Total = seal.AuditLink(head).String(), head.ID, int(head.ID-base.ID)
		res.Base = wireBase(m.id, base)
		var page []*store.AuditEntry
		switch {
		case req.After != nil:
			page, err = rx.AuditAfter(*req.After, limit)
		case req.EventType != "":
			page, res.Total, err = rx.AuditEvents(req.EventType, offset, limit)
		default:
			page, err = rx.AuditUpTo(head.ID-int64(offset), limit)
		}
		if err == nil {
			res.Entries, err = auditPage(rx, base, page)
		}
		return err
	})
	return res, err
}

// auditPage describes entries, as many as one answer holds.
func auditPage(rx *store.Rx, base store.AuditBase, page []*store.AuditEntry) ([]wire.AuditEntry, error) {
	list, size := make([]wire.AuditEntry, 0, len(page)), 0
	known := map[int64]string{0: seal.AuditLink{}.String()}
	if base.ID > 0 {
		known[base.ID] = hex.EncodeToString(base.Hash[:])
	}
	for _, e := range page {
		known[e.ID] = hex.EncodeToString(e.Hash[:])
	}
	for _, e := range page {
		if size += len(e.Payload) + 400; size > pageBytes && len(list) > 0 {
			break
		}
		if _, ok := known[e.ID-1]; !ok {
			hash, err := rx.AuditHash(e.ID - 1)
			if err == nil {
				known[e.ID-1] = hex.EncodeToString(hash[:])
			} else if !errors.Is(err, store.ErrNotFound) {
				return nil, err
			}
		}
		list = append(list, wireAudit(e, known[e.ID-1]))
	}
	return list, nil
}

// wireAudit describes an entry, which follows one with that hash.
func wireAudit(e *store.AuditEntry, prev string) wire.AuditEntry {
	w := wire.AuditEntry{
		ID: e.ID, EventType: e.Event, Actor: "system", Hash: hex.EncodeToString(e.Hash[:]), CreatedAt: wire.Time(e.Created), PrevHash: prev,
	}
	var name struct {
		Actor string `json:"actorDisplayName"`
	}
	if w.Payload.UnmarshalJSON([]byte(e.Payload)) != nil { // it was tampered with
		w.Payload = nil
	} else if wire.Decode(w.Payload, &name) == nil && name.Actor != "" {
		w.ActorDisplayName = &name.Actor
	}
	if e.Actor != "" {
		w.ActorMemberID, w.Actor = &e.Actor, e.Actor
	}
	if w.ActorDisplayName != nil {
		w.Actor = *w.ActorDisplayName
	}
	return w
}

// wireBase describes where a log begins, nil for its beginning.
func wireBase(meshID string, b store.AuditBase) *wire.AuditCheckpoint {
	if b.ID == 0 {
		return nil
	}
	return &wire.AuditCheckpoint{
		MeshID: meshID, ID: b.ID, Hash: hex.EncodeToString(b.Hash[:]), CreatedAt: wire.Time(b.Created), Signer: b.Signer, Signature: b.Signature,
	}
}
