package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"claudemesh/wire"
)

// demoTime bounds the demonstration.
const demoTime = 90 * time.Second

// demoJSON is what demo prints as JSON.
type demoJSON struct {
	OK     bool        `json:"ok"`
	Checks []demoCheck `json:"checks"`
}

// A demoCheck is something that must have come out as it says.
type demoCheck struct {
	Check string `json:"check"`
	OK    bool   `json:"ok"`
	Found string `json:"found,omitempty"` // instead, if it is not ok
}

func demoCommand() Command {
	return Command{
		Name:  "demo",
		Theme: Start,
		Short: "Watch three peers talk, and check that nothing is lost",
		Long: `Starts a broker in a temporary directory and lets three peers hold a short
conversation through it: directly, in a group, to everyone, with one who is away
and while the broker is killed. It touches nothing of yours. It takes a few
seconds and succeeds only if every message arrived where it should and nowhere
else.`,
		Examples: []string{"claudemesh demo", "claudemesh demo --json"},
		JSON:     true,
		Output:   demoJSON{},
		Run: func(ctx context.Context, env *Env, _ []string) error {
			ctx, cancel := context.WithTimeoutCause(ctx, demoTime, errors.New("it took too long"))
			defer cancel()
			return runDemo(ctx, env)
		},
	}
}

func runDemo(ctx context.Context, env *Env) (err error) {
	dir, err := os.MkdirTemp("", "claudemesh-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	since := time.Now()
	d := &demo{env: env}
	d.say("A broker starts in a temporary directory, and three peers join its mesh.")
	if d.broker, err = StartLocalBroker(ctx, dir); err != nil {
		return err
	}
	err = d.play(ctx)
	d.leave(ctx)
	if stopErr := d.broker.Stop(); err == nil {
		err = stopErr
	}
	if err != nil {
		d.check("the conversation is held to its end", false, err.Error())
	}
	return d.verdict(time.Since(since))
}

// A demo is a conversation under way.
type demo struct {
	env    *Env
	broker *LocalBroker
	invite string
	cast   []*actor
	checks []demoCheck
}

// leave closes the connections. The broker is stopped next, so whether that
// went well is of no interest.
func (d *demo) leave(ctx context.Context) {
	for _, a := range d.cast {
		if a.client != nil {
			_ = a.client.Close(ctx)
		}
	}
}

// check notes whether something came out as it should.
func (d *demo) check(what string, ok bool, found string) {
	c := demoCheck{Check: what, OK: ok}
	mark := Styled{Green, "✓"}
	if !ok {
		c.Found = found
		mark = Styled{Red, "✗"}
	}
	d.checks = append(d.checks, c)
	if d.env.JSON {
		return
	}
	d.env.Out().Printf("  %s %s\n", mark, Styled{Dim, what})
	if !ok {
		d.env.Out().Printf("    %s\n", Styled{Red, found})
	}
}

// say prints a line of the story.
func (d *demo) say(line string) {
	if !d.env.JSON {
		d.env.Out().Printf("\n%s\n", Styled{Bold, line})
	}
}

// quote prints a message.
func (d *demo) quote(from, to, text string) {
	if !d.env.JSON {
		d.env.Out().Printf("  %s → %s  %s\n", Styled{Bold, from}, Styled{Bold, to}, text)
	}
}

// verdict sums up, and is an error that names what did not come out.
func (d *demo) verdict(took time.Duration) error {
	var failed []string
	for _, c := range d.checks {
		if !c.OK {
			failed = append(failed, c.Check)
		}
	}
	if d.env.JSON {
		if err := d.env.Out().JSON(demoJSON{OK: len(failed) == 0, Checks: d.checks}); err != nil {
			return err
		}
	} else if len(failed) == 0 {
		d.env.Out().Printf("\n%s Every message arrived where it should, and nowhere else: %d checks in %.1f s.\n",
			Styled{Green, "✓"}, len(d.checks), took.Seconds())
		d.env.Out().Printf("\nNext: `claudemesh serve` starts a broker that stays.\n")
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d checks failed: %s", len(failed), len(d.checks), strings.Join(failed, "; "))
	}
	return nil
}

// outcome writes what an ack says of the recipients.
func outcome(ack wire.Ack) string {
	if ack.Recipients == nil {
		return string(ack.Outcome)
	}
	return fmt.Sprintf("%s: %d sent, %d held, %d queued", ack.Outcome, ack.Recipients.Sent, ack.Recipients.Held, ack.Recipients.Queued)
}
