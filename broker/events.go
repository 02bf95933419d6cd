package broker

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"claudemesh/wire"
)

// broadcast tells every connected session but from of an event. It is called
// with m.mu held.
func (m *mesh) broadcast(from *session, event string, data any) {
	m.tell(event, data, func(s *session) bool { return s != from })
}

// tell sends an event to the connected sessions that to picks, never to
// commands. It is called with m.mu held.
func (m *mesh) tell(event string, data any, to func(*session) bool) {
	body, err := json.Marshal(data)
	if err != nil {
		m.log.Error("encode event", "event", event, "err", err)
		return
	}
	p := m.eventFrame(event, body)
	for _, s := range m.sessions {
		if s.conn != nil && to(s) {
			s.conn.out.push(frame{kind: ephemeral, data: p})
		}
	}
}

// eventFrame encodes a system push.
func (m *mesh) eventFrame(event string, data json.RawMessage) []byte {
	return wire.AppendPush(nil, &wire.Push{
		MessageID: newUUID(), MeshID: m.id, SenderPubkey: wire.SystemSender, Priority: wire.Low,
		CreatedAt: wire.Time(time.Now()), Subtype: wire.SubtypeSystem, Event: event, EventData: data,
	})
}

// newUUID returns a random UUID (version 4, RFC 9562) in lower case.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
