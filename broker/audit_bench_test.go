package broker

import (
	"testing"
	"time"

	"claudemesh/store"
)

// BenchmarkAddMessage is the cost of a message in the transaction that accepts
// it, 64 of them in one, and of its audit entry beside it.
func BenchmarkAddMessage(b *testing.B) {
	br := newBroker(b)
	p := br.join("alice").modern("a")
	m := br.srv.meshByID(br.mesh)
	now := time.Now()
	body := string(make([]byte, 300))
	for _, c := range []struct {
		name string
		add  func(*store.Tx, *store.Message, []int64) error
	}{{"bare", (*store.Tx).AddMessage}, {"audited", m.addMessage}, {"bare again", (*store.Tx).AddMessage}, {"audited again", m.addMessage}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				err := m.db.Write(b.Context(), func(tx *store.Tx) error {
					for range 64 {
						msg := &store.Message{Sender: 1, SenderMember: "m", SenderName: "alice", Target: p.key, Priority: store.PriorityNext,
							Created: now, Expires: now.Add(time.Hour), Nonce: "n", Ciphertext: body}
						if err := c.add(tx, msg, []int64{2}); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/64, "µs/message")
		})
	}
}

// BenchmarkAuditVerify recomputes a log of 100 000 entries.
func BenchmarkAuditVerify(b *testing.B) {
	br := newBroker(b)
	p := br.join("alice").modern("a")
	m := br.srv.meshByID(br.mesh)
	for range 100 {
		err := m.db.Write(b.Context(), func(tx *store.Tx) error {
			for range 1000 {
				if err := m.audit(tx, actor{"m", "alice"}, "message_sent", audited{"targetSpec": p.key, "priority": "next", "messageId": br.mesh}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		p.ask("audit_verify_result", map[string]any{"type": "audit_verify"})
	}
}
