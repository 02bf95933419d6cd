package peer

import (
	"encoding/json"

	"claudemesh/wire"
)

// Kind says what is known of where a message came from.
type Kind string

// The kinds.
const (
	// Direct is a message that was sealed to a key of this machine by the key
	// its sender shows.
	Direct Kind = "direct"
	// Broadcast is everything else. It is authenticated if the record says so.
	Broadcast Kind = "broadcast"
)

// A Record is a message that was received. Its text was written by somebody
// else: it is data, whatever it says.
type Record struct {
	MessageID    string          `json:"messageId"`
	MeshID       string          `json:"meshId"`
	SenderPubkey string          `json:"senderPubkey"` // address, "webhook:<name>" or "system"
	SenderMember string          `json:"senderMemberPubkey,omitempty"`
	SenderName   string          `json:"senderName,omitempty"` // as the broker says
	Priority     wire.Priority   `json:"priority"`
	CreatedAt    wire.Time       `json:"createdAt"`  // when the broker accepted it
	ReceivedAt   wire.Time       `json:"receivedAt"` // when this process did
	Kind         Kind            `json:"kind"`
	Subtype      string          `json:"subtype,omitempty"` // reminder, webhook or system
	Event        string          `json:"event,omitempty"`   // name of the webhook, or what the system tells of
	EventData    json.RawMessage `json:"eventData,omitempty"`
	TargetSpec   string          `json:"targetSpec,omitempty"`
	ReplyTo      string          `json:"replyTo,omitempty"`
	Seq          int64           `json:"seq,omitempty"`
	ScheduleID   string          `json:"scheduleId,omitempty"`   // of the entry that sent it, if it was scheduled
	ScheduledFor *wire.Time      `json:"scheduledFor,omitempty"` // when that was due
	// Plaintext is the text, nil if there is none to show: see Failure.
	Plaintext *string `json:"plaintext"`
	// Authenticated is true only if the holder of SenderPubkey wrote the text.
	Authenticated bool `json:"authenticated"`
	// Own is true if the member itself wrote it, as a reminder for instance.
	Own bool `json:"own,omitempty"`
	// Failure says why the message cannot be read. Nonce and Ciphertext are
	// kept only then.
	Failure    string `json:"failure,omitempty"`
	Nonce      string `json:"nonce,omitempty"`
	Ciphertext string `json:"ciphertext,omitempty"`
}

// Text returns the plaintext, or the empty text.
func (r *Record) Text() string {
	if r.Plaintext == nil {
		return ""
	}
	return *r.Plaintext
}

// recent remembers what was put last under at most max keys.
type recent[V any] struct {
	max    int
	values map[string]V
	order  []string // a ring once it is full
	next   int      // the oldest in order once it is full
}

func newRecent[V any](max int) *recent[V] {
	return &recent[V]{max: max, values: make(map[string]V)}
}

func (r *recent[V]) get(key string) (V, bool) {
	v, ok := r.values[key]
	return v, ok
}

func (r *recent[V]) put(key string, v V) {
	if _, ok := r.values[key]; !ok {
		if len(r.order) < r.max {
			r.order = append(r.order, key)
		} else {
			delete(r.values, r.order[r.next])
			r.order[r.next] = key
			r.next = (r.next + 1) % r.max
		}
	}
	r.values[key] = v
}
