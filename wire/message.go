package wire

import "encoding/json"

// Send asks the broker to deliver a message. It is answered by an Ack once
// the message is on disk, or by an Error, either with the id given here.
type Send struct {
	// ID is the sender's own id of the message, at most MaxSendID characters.
	// A repetition with the same content gets the first answer again, with
	// other content it is a Conflict.
	ID         string   `json:"id,omitempty"`
	TargetSpec string   `json:"targetSpec"`
	Priority   Priority `json:"priority"`
	Nonce      string   `json:"nonce"`      // opaque to the broker
	Ciphertext string   `json:"ciphertext"` // opaque to the broker
	// Exclude are addresses that a multicast leaves out, because another
	// target of the same message covers them.
	Exclude []string `json:"exclude,omitempty"`
	// ReplyTo is the id of the message that this one answers.
	ReplyTo string `json:"replyTo,omitempty"`
	// Receipt asks for receipt frames: "delivered", or "seen" for both steps.
	Receipt DeliveryState `json:"receipt,omitempty"`
}

// Ack acknowledges a Send, or any other request that has no answer of its own.
type Ack struct {
	ID        string `json:"id"`        // Send.ID, else the _reqId
	MessageID string `json:"messageId"` // empty where no message was sent
	Queued    bool   `json:"queued"`    // true for a Send
	// Outcome says what became of a Send at once.
	Outcome Outcome `json:"outcome,omitempty"`
	// Recipients counts the recipients by outcome.
	Recipients *OutcomeCounts `json:"recipients,omitempty"`
	// Unknown is set where the mesh has never seen the key it was sent to.
	Unknown bool `json:"unknown,omitempty"`
	// Duplicate is set where the message had been accepted before.
	Duplicate bool `json:"duplicate,omitempty"`
	// Seq is the number of the entry that a Publish has added to its stream.
	Seq int64 `json:"seq,omitempty"`
}

// Outcome says where an accepted message is.
type Outcome string

// The outcomes, the best first; a multicast has the best of its recipients'.
const (
	Sent     Outcome = "sent"   // handed to a live session
	Held     Outcome = "held"   // the recipient is busy; a status change releases it
	Queued   Outcome = "queued" // the recipient is offline
	ToNobody Outcome = "nobody" // a multicast that nobody matches
)

// OutcomeCounts counts recipients.
type OutcomeCounts struct {
	Sent   int `json:"sent"`
	Held   int `json:"held"`
	Queued int `json:"queued"`
	// Full counts recipients whose mailbox has no room; they do not get it.
	Full int `json:"full,omitempty"`
}

// Push is a message or an event that the broker hands to a peer.
type Push struct {
	MessageID    string          `json:"messageId"`
	MeshID       string          `json:"meshId"`
	SenderPubkey string          `json:"senderPubkey"` // address, "system" or "webhook:<name>"
	Priority     Priority        `json:"priority"`
	Nonce        string          `json:"nonce"`
	Ciphertext   string          `json:"ciphertext"`
	CreatedAt    Time            `json:"createdAt"`
	Subtype      string          `json:"subtype,omitempty"` // reminder, system or webhook
	Event        string          `json:"event,omitempty"`
	EventData    json.RawMessage `json:"eventData,omitempty"`
	TargetSpec   string          `json:"targetSpec,omitempty"`
	SenderName   string          `json:"senderName,omitempty"`
	// SenderMember is the member key behind a session's address.
	SenderMember string `json:"senderMemberPubkey,omitempty"`
	ReplyTo      string `json:"replyTo,omitempty"`
	// Text is what the template of a webhook makes of its eventData.
	Text string `json:"text,omitempty"`
	// ScheduleID is the entry that sent a scheduled message.
	ScheduleID string `json:"scheduleId,omitempty"`
	// ScheduledFor is when that was due; CreatedAt may be later.
	ScheduledFor *Time `json:"scheduledFor,omitempty"`
	// Seq orders the messages of a mesh: every recipient sees them ascending,
	// but for what was held or is offered again.
	Seq int64 `json:"seq,omitempty"`
}

// Subtypes of a Push; an ordinary message has none.
const (
	SubtypeSystem   = "system"
	SubtypeReminder = "reminder"
	SubtypeWebhook  = "webhook"
)

// SystemSender is the senderPubkey of events.
const SystemSender = "system"

// WebhookSender is what the senderPubkey of a webhook's message begins with; the
// name of the webhook follows.
const WebhookSender = "webhook:"

// DeliveryState is how far a message has come with one recipient.
type DeliveryState string

// The delivery states.
const (
	StateQueued    DeliveryState = "queued"    // waits: offline, busy or not yet pushed
	StateLeased    DeliveryState = "leased"    // pushed, not yet acknowledged
	StateDelivered DeliveryState = "delivered" // the recipient's process has it
	StateSeen      DeliveryState = "seen"      // its text was put before the reader
	StateExpired   DeliveryState = "expired"   // given up after the mesh's time limit
)

// ClientAck reports what became of pushed messages in the peer. It is
// answered by an Ack where it has a _reqId.
type ClientAck struct {
	MessageIDs []string      `json:"messageIds"` // at most MaxAckIDs
	State      DeliveryState `json:"state"`      // delivered or seen
}

// Receipt tells a sender that asked for it that a recipient has come further.
type Receipt struct {
	MessageID string        `json:"messageId"`
	ID        string        `json:"id,omitempty"` // Send.ID
	State     DeliveryState `json:"state"`        // delivered or seen
	Pubkey    string        `json:"pubkey"`       // address of the recipient
	Name      string        `json:"name,omitempty"`
	At        Time          `json:"at"`
}

// GetMessageStatus asks how a message fares. Only the member who sent it gets
// an answer; the id may be its first 8 characters or more.
type GetMessageStatus struct {
	MessageID string `json:"messageId"`
}

// MessageStatus answers GetMessageStatus.
type MessageStatus struct {
	MessageID   string            `json:"messageId"`
	TargetSpec  string            `json:"targetSpec"`
	Delivered   bool              `json:"delivered"`
	DeliveredAt *Time             `json:"deliveredAt"`
	Recipients  []RecipientStatus `json:"recipients"`
	Priority    Priority          `json:"priority,omitempty"`
	AcceptedAt  *Time             `json:"acceptedAt,omitempty"`
	ExpiresAt   *Time             `json:"expiresAt,omitempty"`
}

// RecipientStatus is one recipient's part of a MessageStatus.
type RecipientStatus struct {
	Name   string `json:"name"`
	Pubkey string `json:"pubkey"`
	// Status is delivered, held or disconnected, as old peers know it.
	Status string `json:"status"`
	// State is the exact step; the times are those of the steps taken.
	State       DeliveryState `json:"state,omitempty"`
	Attempts    int           `json:"attempts,omitempty"` // pushes so far
	PushedAt    *Time         `json:"pushedAt,omitempty"`
	DeliveredAt *Time         `json:"deliveredAt,omitempty"`
	SeenAt      *Time         `json:"seenAt,omitempty"`
	ExpiredAt   *Time         `json:"expiredAt,omitempty"`
}

func (Send) FrameType() Type             { return "send" }
func (Ack) FrameType() Type              { return "ack" }
func (Push) FrameType() Type             { return "push" }
func (ClientAck) FrameType() Type        { return "client_ack" }
func (Receipt) FrameType() Type          { return "receipt" }
func (GetMessageStatus) FrameType() Type { return "message_status" }
func (MessageStatus) FrameType() Type    { return "message_status_result" }

func (Send) answer() (r Ack)                       { return }
func (ClientAck) answer() (r Ack)                  { return }
func (GetMessageStatus) answer() (r MessageStatus) { return }
