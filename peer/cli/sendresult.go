package cli

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"claudemesh/peer"
	"claudemesh/wire"
)

// sentJSON is what became of a message to one target.
type sentJSON struct {
	Target string `json:"target"`         // as it was given
	To     string `json:"to,omitempty"`   // what it means: a key, @group or *
	Name   string `json:"name,omitempty"` // of the session or member with that key
	// OK is false if the message did not go out, reaches nobody, or was not in
	// the state of --wait in time.
	OK        bool         `json:"ok"`
	MessageID string       `json:"messageId,omitempty"`
	Outcome   wire.Outcome `json:"outcome,omitempty"` // sent, held, queued or nobody: the best of all recipients
	// Recipients counts the recipients by what became of the message at once.
	Recipients *wire.OutcomeCounts `json:"recipients,omitempty"`
	Unknown    bool                `json:"unknown,omitempty"`   // nobody in the mesh has ever used that key
	Duplicate  bool                `json:"duplicate,omitempty"` // it had been accepted before, under the same --id
	CoveredBy  string              `json:"coveredBy,omitempty"` // the target that reaches this one too
	// State is, with --wait, how far the slowest recipient has come: queued,
	// leased, delivered, seen or expired.
	State wire.DeliveryState `json:"state,omitempty"`
	Error *wire.Error        `json:"error,omitempty"` // why it did not go out
}

func newSent(r peer.Resolved) *sentJSON {
	s := &sentJSON{Target: r.Text, Name: r.Name, CoveredBy: r.CoveredBy, OK: r.CoveredBy != ""}
	if r.Err != nil {
		s.fail(r.Err)
		return s
	}
	s.To = r.Target.String()
	return s
}

// codeFailed is the code of a failure that is no refusal by the broker.
const codeFailed wire.Code = "failed"

func (s *sentJSON) fail(err error) {
	s.OK = false
	if e, ok := errors.AsType[*wire.Error](err); ok {
		s.Error = &wire.Error{Code: e.Code, Message: plainError(err), Candidates: e.Candidates}
		return
	}
	s.Error = &wire.Error{Code: codeFailed, Message: err.Error()}
}

func (s *sentJSON) accept(ack *wire.Ack) {
	s.OK = ack.Outcome != wire.ToNobody
	s.MessageID, s.Outcome, s.Recipients = ack.MessageID, ack.Outcome, ack.Recipients
	s.Unknown, s.Duplicate = ack.Unknown, ack.Duplicate
	if c := ack.Recipients; c != nil && c.Full > 0 && c.Sent+c.Held+c.Queued == 0 {
		s.OK = false
	}
}

// multicast reports whether the target may be several.
func (s *sentJSON) multicast() bool { return s.To == "*" || strings.HasPrefix(s.To, "@") }

// print says in a line what became of the message.
func (s *sentJSON) print(env *Env) {
	sign, style := "✓", Green
	if !s.OK {
		sign, style = "✗", Red
	}
	out := env.Out()
	line := s.describe()
	if s.MessageID != "" {
		line += ", id " + s.MessageID
	}
	out.Printf("%s %s\n", Styled{style, sign}, line)
	if s.Unknown {
		env.Err().Printf("%s nobody in this mesh has ever used the key %s…; it gets the message if it comes\n", Styled{Yellow, "warning:"}, shortKey(s.To))
	}
}

func (s *sentJSON) describe() string {
	who := cmp.Or(s.Name, s.Target)
	switch {
	case s.Error != nil:
		return fmt.Sprintf("not sent to %s: %s", s.Target, s.Error.Message)
	case s.CoveredBy != "":
		return fmt.Sprintf("%s is reached through %s", s.Target, s.CoveredBy)
	case s.Outcome == wire.ToNobody && s.To == "*":
		return "nobody else is in this mesh now"
	case s.Outcome == wire.ToNobody:
		return fmt.Sprintf("nobody is in %s now", s.To)
	case s.State != "":
		return s.describeState(who)
	case s.Duplicate:
		return "accepted before under this --id: " + s.describeOutcome(who)
	}
	return s.describeOutcome(who)
}

func (s *sentJSON) describeOutcome(who string) string {
	if s.multicast() {
		return s.describeMany()
	}
	text := map[wire.Outcome]string{
		wire.Sent:   "sent to " + who,
		wire.Held:   "held: " + who + " is busy and gets it when idle",
		wire.Queued: "queued: " + who + " is offline and gets it on its return",
	}[s.Outcome]
	return cmp.Or(text, "accepted for "+who)
}

func (s *sentJSON) describeMany() string {
	c := s.Recipients
	if c == nil {
		return "accepted for " + s.To
	}
	var parts []string
	for _, p := range []struct {
		n         int
		one, more string
	}{
		{c.Sent, "sent to 1", "sent to %d"}, {c.Held, "held for 1 who is busy", "held for %d who are busy"},
		{c.Queued, "queued for 1 who is offline", "queued for %d who are offline"},
		{c.Full, "not for 1 whose mailbox is full", "not for %d whose mailboxes are full"},
	} {
		switch {
		case p.n == 1:
			parts = append(parts, p.one)
		case p.n > 1:
			parts = append(parts, fmt.Sprintf(p.more, p.n))
		}
	}
	return s.To + ": " + strings.Join(parts, ", ")
}

// describeState says how far the message has come after --wait.
func (s *sentJSON) describeState(who string) string {
	whom := who
	if s.multicast() {
		whom = "everyone in " + s.To
	}
	if s.OK {
		return fmt.Sprintf("%s by %s", map[wire.DeliveryState]string{wire.StateSeen: "seen", wire.StateDelivered: "received"}[s.State], whom)
	}
	text := map[wire.DeliveryState]string{
		wire.StateQueued:    "it waits for " + who,
		wire.StateLeased:    "it was handed to " + who + ", who has not confirmed it",
		wire.StateDelivered: who + " has it but has not seen it",
		wire.StateExpired:   "it was given up: " + who + " did not come for it",
	}[s.State]
	if s.State != wire.StateExpired {
		text += "; it stays on its way"
	}
	return "not yet: " + text
}
