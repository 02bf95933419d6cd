package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

func traceCommand() Command {
	return Command{
		Name:  "trace",
		Theme: Talk,
		Args:  "<id>",
		Short: "Show every step of a message you sent",
		Long: `The id, or its first 8 characters, is what ` + "`claudemesh send`" + ` printed. "received"
means that the recipient's program has the message, "seen" that its text was put
before the reader. Steps of finished messages are kept for a week.`,
		Examples: []string{"claudemesh trace cJinsNud", "claudemesh trace cJinsNud --json"},
		Mesh:     true,
		JSON:     true,
		Output:   wire.MessageStatus{},
		Run: func(ctx context.Context, env *Env, args []string) error {
			if len(args[0]) < wire.MinPrefix {
				return Usagef("give at least the first %d characters of the id", wire.MinPrefix)
			}
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				s, err := peer.Call(ctx, c, wire.GetMessageStatus{MessageID: args[0]})
				if err != nil {
					return err
				}
				if env.JSON {
					return env.Out().JSON(s)
				}
				printTrace(ctx, env, c, &s)
				return nil
			})
		},
	}
}

// A traceStep is a line of a message's history.
type traceStep struct {
	at   time.Time
	text string
	who  string
}

func printTrace(ctx context.Context, env *Env, c *peer.Client, s *wire.MessageStatus) {
	out := env.Out()
	to := s.TargetSpec
	if len(to) == 64 && wire.IsHex(to) {
		to = c.Name(ctx, to) + " (" + shortKey(to) + ")"
	}
	out.Printf("Message %s to %s, priority %s, times in UTC\n", Styled{Bold, s.MessageID}, to, cmp.Or(string(s.Priority), "next"))
	for _, step := range history(s) {
		out.Printf("  %s  %-9s %s\n", step.at.UTC().Format("2006-01-02 15:04:05.000"), step.text, step.who)
	}
	for _, r := range s.Recipients {
		if open := openStep(&r, s); open != "" {
			out.Printf("  %-23s  %-9s %s: %s\n", "now", "waits", recipientOf(&r), open)
		}
	}
	if len(s.Recipients) == 0 {
		out.Printf("  it had no recipients\n")
	}
}

// history returns the steps that were taken, in their order.
func history(s *wire.MessageStatus) []traceStep {
	var steps []traceStep
	add := func(at *wire.Time, text, who string) {
		if at != nil {
			steps = append(steps, traceStep{at.Std(), text, who})
		}
	}
	add(s.AcceptedAt, "accepted", "by the broker, for "+many(len(s.Recipients), "recipient"))
	for _, r := range s.Recipients {
		who := recipientOf(&r)
		pushed := "to " + who
		if r.Attempts > 1 {
			pushed += fmt.Sprintf(", attempt %d", r.Attempts)
		}
		add(r.PushedAt, "pushed", pushed)
		add(r.DeliveredAt, "received", "by "+who)
		add(r.SeenAt, "seen", "by "+who)
		add(r.ExpiredAt, "expired", "for "+who)
	}
	slices.SortStableFunc(steps, func(a, b traceStep) int { return a.at.Compare(b.at) })
	return steps
}

func recipientOf(r *wire.RecipientStatus) string { return r.Name + " (" + shortKey(r.Pubkey) + ")" }

// openStep says what a message waits for at a recipient, empty for nothing.
func openStep(r *wire.RecipientStatus, s *wire.MessageStatus) string {
	switch r.State {
	case wire.StateQueued:
		text := "busy; gets it when idle"
		if r.Status == "disconnected" {
			text = "offline; gets it on its return"
		}
		if s.ExpiresAt != nil {
			text += ", until " + s.ExpiresAt.Std().UTC().Format("2006-01-02 15:04")
		}
		return text
	case wire.StateLeased:
		return "was handed it, has not confirmed"
	case wire.StateDelivered:
		return "has it, has not seen it"
	}
	return ""
}
