package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"claudemesh/peer"
	"claudemesh/wire"
)

const (
	maxMessage  = 1 << 20          // bytes that are read of standard input
	sendTime    = 10 * time.Second // for the broker to have all of it on disk
	defaultWait = 60 * time.Second
)

// sendFlags are the flags of send.
type sendFlags struct {
	to       repeated
	priority string
	wait     string
	timeout  span
	replyTo  string
	id       string
}

func sendCommand() Command {
	f := sendFlags{timeout: span(defaultWait)}
	return Command{
		Name:  "send",
		Theme: Talk,
		Args:  "[to] [message]",
		Short: "Send a message to a peer, a group or everyone",
		Long: `The recipient is a name, the first 8 digits of a key or more, a whole key, @group
(and those below it) or * for everyone; several are separated by commas, or given
with --to, and then the message is the only argument. A message that is - is
read from standard input.

The command ends when the broker has the message on disk. Whoever is offline or
busy gets it later. With --wait it ends when every recipient has it or has
seen it; when the time runs out before, the exit code is 1 and the message stays
on its way. The exit code is 1 too if one of the recipients cannot be reached.

A script that may run twice gives its message an --id: the broker takes a message
once for each id.`,
		Examples: []string{
			`claudemesh send bob "The build is green."`,
			`claudemesh send @frontend,carol "Deploy at noon" --priority now`,
			`claudemesh send --to bob --to dave - < report.txt`,
			`claudemesh send bob "Ready?" --wait seen --timeout 5m`,
		},
		Mesh:   true,
		JSON:   true,
		Output: []sentJSON{},
		Flags: func(fs *flag.FlagSet) {
			fs.Var(&f.to, "to", "send to `recipient`; may be repeated")
			choiceVar(fs, &f.priority, "priority", "next", "`now` interrupts, next waits until the recipient is idle, low is not urgent either", "now", "next", "low")
			choiceVar(fs, &f.wait, "wait", "", "wait until every recipient is in this `state`: delivered or seen", "delivered", "seen")
			fs.Var(&f.timeout, "timeout", "end --wait after this `time`")
			fs.StringVar(&f.replyTo, "reply-to", "", "answer the message with this `id`")
			fs.StringVar(&f.id, "id", "", "accept the message once under this `id`")
		},
		Complete: map[string]Completer{
			"--priority": Values("now", "next", "low"), "--wait": Values("delivered", "seen"), "to": Values("*", "@all"),
		},
		Run: func(ctx context.Context, env *Env, args []string) error {
			targets, text, err := f.read(env, args)
			if err != nil {
				return err
			}
			// Inside a session the connection is a transient one with that session's
			// key: the session is the sender and gets the answers, while ids that
			// repeat, --wait and large texts need no second path through its process.
			err = onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				return f.send(ctx, env, c, targets, text)
			})
			if err == nil && f.replyTo != "" {
				answeredInside(ctx, env, f.replyTo)
			}
			return err
		},
	}
}

// read finds the recipients and the message in the command line.
func (f *sendFlags) read(env *Env, args []string) (targets []string, text string, err error) {
	all := f.to
	switch {
	case len(f.to) > 0 && len(args) != 1:
		return nil, "", Usagef("with --to the message is the only argument")
	case len(f.to) == 0 && len(args) == 0:
		return nil, "", Usagef("<to> and <message> are missing")
	case len(f.to) == 0 && len(args) == 1:
		return nil, "", Usagef("<message> is missing; it may be - for standard input")
	case len(f.to) == 0:
		all = repeated{args[0]}
	}
	for _, list := range all {
		for one := range strings.SplitSeq(list, ",") {
			if one = strings.TrimSpace(one); one != "" && !slices.Contains(targets, one) {
				targets = append(targets, one)
			}
		}
	}
	if len(targets) == 0 {
		return nil, "", Usagef("there is no recipient")
	}
	text, err = readText(env, args[len(args)-1])
	if err == nil && text == "" {
		err = Usagef("the message is empty")
	}
	return targets, text, err
}

// readText returns text, or what is on standard input if that is -, without
// the line break at its end.
func readText(env *Env, text string) (string, error) {
	if text == "-" {
		data, err := io.ReadAll(io.LimitReader(env.Stdin, maxMessage+1))
		switch {
		case err != nil:
			return "", fmt.Errorf("read the message: %w", err)
		case len(data) > maxMessage:
			return "", fmt.Errorf("standard input has more than the %d bytes that a message may have: send it in parts", maxMessage)
		}
		text = strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	}
	if !utf8.ValidString(text) {
		return "", errors.New("the text is not UTF-8: encode it, with base64 for instance")
	}
	return text, nil
}

// send sends text to every target and says what became of each.
func (f *sendFlags) send(ctx context.Context, env *Env, c *peer.Client, targets []string, text string) error {
	results := f.dispatch(ctx, c, targets, text)
	if f.wait != "" {
		f.await(ctx, env, c, results)
	}
	if env.JSON {
		if err := env.Out().JSON(results); err != nil {
			return err
		}
	}
	for _, r := range results {
		if !env.JSON {
			r.print(env)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if slices.ContainsFunc(results, func(r *sentJSON) bool { return !r.OK }) {
		return ExitCode(1)
	}
	return nil
}

// dispatch puts all messages on their way before it waits for the first ack.
func (f *sendFlags) dispatch(ctx context.Context, c *peer.Client, targets []string, text string) []*sentJSON {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	resolved := c.ResolveAll(ctx, targets)
	results := make([]*sentJSON, len(resolved))
	waits := make([]*peer.Sending, len(resolved))
	for i, r := range resolved {
		results[i] = newSent(r)
		if r.Err != nil || r.CoveredBy != "" {
			continue
		}
		req := peer.SendRequest{
			Target: r.Target.String(), Text: text, Priority: wire.Priority(f.priority), ReplyTo: f.replyTo,
			Receipt: wire.DeliveryState(f.wait), Exclude: r.Exclude, ID: f.id,
		}
		if f.id != "" && len(resolved) > 1 {
			req.ID += " " + req.Target // each its own, and the same when repeated
		}
		var err error
		if waits[i], err = c.SendAsync(ctx, req); err != nil {
			results[i].fail(err)
		}
	}
	for i, s := range waits {
		if s == nil {
			continue
		}
		if ack, err := s.Wait(ctx); err != nil {
			results[i].fail(err)
		} else {
			results[i].accept(&ack)
		}
	}
	return results
}
