package broker

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

// tellMissed sends whoever is about to drain b, the mailbox of key, how many events
// gave way there before they were known to have come. It is a message like any other, so it is
// told once.
func (m *mesh) tellMissed(tx *store.Tx, b *mailbox, key string) error {
	all, err := tx.TakeMissed(b.addr)
	if err != nil || len(all) == 0 {
		return err
	}
	note := wire.EventsMissed{Sources: []wire.MissedSource{}}
	for i, k := range all {
		note.Total += k.N
		if i >= wire.MaxMissedSources {
			continue
		}
		src, err := m.missedSource(tx, k)
		if err != nil {
			return err
		}
		note.Sources = append(note.Sources, src)
	}
	data, err := json.Marshal(note)
	if err != nil {
		return err
	}
	body, err := json.Marshal(notification{Event: wire.EventEventsMissed, Data: data})
	if err != nil {
		return err
	}
	now := time.Now()
	msg := &store.Message{
		Target: key, Priority: store.PriorityNext, Subtype: wire.SubtypeSystem, Digest: sha256.Sum256(data),
		Created: now, Expires: now.Add(m.ttl()), Ciphertext: string(body), Source: store.SourceMissed,
	}
	p := &plan{target: key, addrs: []int64{b.addr}, boxes: []*mailbox{b}}
	if err := m.addMessage(tx, msg, p.addrs); err != nil {
		return err
	}
	tx.AfterCommit(func() { m.distribute(msg, "", p, func(*wire.OutcomeCounts) {}) })
	return nil
}

// missedSource describes what made events, as far as it is still there.
func (m *mesh) missedSource(tx *store.Tx, k store.Missed) (wire.MissedSource, error) {
	src := wire.MissedSource{Count: k.N}
	if id, ok := strings.CutPrefix(k.Source, hookSource); ok {
		src.Kind = wire.MissedWebhook
		hook, err := optional(tx.WebhookByID(id))
		if hook != nil {
			src.Name = hook.Name
		}
		return src, err
	}
	if id, ok := strings.CutPrefix(k.Source, watchSource); ok {
		src.Kind = wire.MissedWatch
		m.mu.Lock()
		defer m.mu.Unlock()
		if w := m.watches[id]; w != nil {
			src.Name = cmp.Or(w.row.Label, w.row.URL)
		}
	}
	return src, nil
}
