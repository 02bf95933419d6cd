package cli

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

// mail prints messages in one of the forms that commands have for them.
type mail struct {
	env   *Env
	c     *peer.Client // nil while the mail comes from the session's process
	print func(*peer.Record) error
	// keep leaves the messages unacknowledged, to be shown again.
	keep    bool
	printed int
}

// show prints a message and then, and only then, tells the broker that it was
// seen. What cannot be read was not seen: another machine of the member
// may have the key.
func (m *mail) show(r *peer.Record) error {
	if err := m.write(r); err != nil {
		return err
	}
	if !m.keep && r.Failure == "" {
		m.c.MarkSeen(r.MessageID)
	}
	return nil
}

func (m *mail) write(r *peer.Record) error {
	if err := m.print(r); err != nil {
		return err
	}
	if err := m.env.out.err; err != nil {
		return fmt.Errorf("cannot write the output, so the message stays unread: %w", err)
	}
	m.printed++
	return nil
}

// printLetter prints a message with all its lines, which are indented so that
// none of them passes for the head of another.
func printLetter(env *Env, r *peer.Record) error {
	out := env.Out()
	out.Printf("%s%s %s %s  %s\n", Styled{Bold, senderOf(r)}, addressOf(r), standing(r), r.CreatedAt, Styled{Dim, "id " + r.MessageID + answering(r)})
	for line := range strings.SplitSeq(strings.TrimSuffix(Clean(bodyOf(r)), "\n"), "\n") {
		out.raw("  " + line + "\n")
	}
	return nil
}

// printLine prints a message on one line, for a log or a background command.
func printLine(env *Env, r *peer.Record) error {
	at := r.CreatedAt.String()
	if env.Out().Terminal() {
		at = r.CreatedAt.Std().In(env.Now().Location()).Format(time.TimeOnly)
	}
	env.Out().Printf("%s %s%s %s: %s\n", at, Styled{Bold, senderOf(r)}, addressOf(r), standing(r), bodyOf(r))
	return nil
}

// senderOf names the sender. Names are not unique and are what the broker says;
// the digits are those of the key.
func senderOf(r *peer.Record) string {
	if !wire.IsHex(r.SenderPubkey) {
		return r.SenderPubkey // a webhook
	}
	return cmp.Or(r.SenderName, "?") + " (" + shortKey(r.SenderPubkey) + ")"
}

func addressOf(r *peer.Record) string {
	if strings.HasPrefix(r.TargetSpec, "@") || r.TargetSpec == "*" {
		return " to " + r.TargetSpec
	}
	return ""
}

// standing says whether the sender is proven, and how urgent the message is.
func standing(r *peer.Record) string {
	words := "[verified"
	if !r.Authenticated {
		words = "[NOT verified"
	}
	if r.Subtype != "" {
		words += ", " + r.Subtype
	}
	if r.ScheduleID != "" {
		words += ", scheduled"
	}
	if r.Priority != wire.Next {
		words += ", " + string(r.Priority)
	}
	return words + "]"
}

func answering(r *peer.Record) string {
	if r.ReplyTo == "" {
		return ""
	}
	return ", answers " + r.ReplyTo
}

func bodyOf(r *peer.Record) string {
	switch {
	case r.Failure != "":
		return "(cannot be read: " + r.Failure + ")"
	case r.Plaintext == nil:
		return strings.TrimSpace(r.Event + " " + string(r.EventData))
	}
	return r.Text()
}
