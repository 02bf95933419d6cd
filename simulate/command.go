package simulate

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"claudemesh/wire"
)

const (
	maxJobs        = 100 // inputs that wait for a command
	maxOutput      = 64 << 10
	maxStderr      = 2 << 10
	commandTimeout = time.Minute
	commandRuns    = 100
	killAfter      = 2 * time.Second // for what a command left behind to let go of its output
)

// A job is an input of a command.
type job struct {
	m     *message
	input []byte
}

// CommandRun is one run of a persona's command.
type CommandRun struct {
	Persona string  `json:"persona"` // whose command it is
	Minute  int     `json:"minute"`  // in which it was sent what it answered
	Seconds float64 `json:"seconds"`
	Failure string  `json:"failure,omitempty"` // why it came to nothing
}

// A messageInput is what a command reads when its persona gets a message.
type messageInput struct {
	Type    string    `json:"type"` // sim_message
	Tick    int       `json:"tick"`
	SimTime wire.Time `json:"simTime"`
	You     self      `json:"you"`
	Message inputText `json:"message"`
	Peers   []string  `json:"peers"`
}

type inputText struct {
	ID   string `json:"id"`
	From string `json:"from"`
	To   string `json:"to"`
	Text string `json:"text"`
}

// messageInput returns the input for a message.
func (r *run) messageInput(a *actor, m *message, text string) []byte {
	in := messageInput{
		Type: "sim_message", Tick: int(m.minute), SimTime: wire.Time(r.simTime(m.minute)),
		You: self{a.name, a.Zone, a.Role, a.Groups}, Message: inputText{m.id, m.from, m.to, text},
	}
	for _, other := range r.cast {
		if other != a {
			in.Peers = append(in.Peers, other.name)
		}
	}
	p, err := json.Marshal(in)
	if err != nil {
		panic(err) // plain texts and numbers always encode
	}
	return p
}

// runFor has the command answer something, after all that waits already.
func (a *actor) runFor(m *message, input []byte) {
	a.run.busy.Add(1)
	select {
	case a.jobs <- job{m, input}:
	default:
		a.run.busy.Add(-1)
		a.run.ran(CommandRun{Persona: a.name, Minute: int(m.minute), Failure: fmt.Sprintf("not run: %d inputs wait already", maxJobs)})
	}
}

// runCommands runs the command for one input after the other.
func (a *actor) runCommands(ctx context.Context) {
	left := cmp.Or(a.Runs, commandRuns)
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-a.jobs:
			if left--; left >= 0 {
				a.runOnce(ctx, j)
			} else {
				a.run.note("%s has run its command %d times, as often as it may", a.name, cmp.Or(a.Runs, commandRuns))
			}
			a.run.busy.Add(-1)
		}
	}
}

func (a *actor) runOnce(ctx context.Context, j job) {
	a.run.commands.Add(1)
	defer a.run.commands.Add(-1)
	began := time.Now()
	out, err := runCommand(ctx, a.Command, j.input, cmp.Or(time.Duration(a.Timeout), commandTimeout))
	if err == nil {
		err = a.obey(j.m, out)
	}
	run := CommandRun{Persona: a.name, Minute: int(j.m.minute), Seconds: time.Since(began).Seconds()}
	if err != nil {
		run.Failure = wire.Shorten(err.Error(), 500)
	}
	a.run.ran(run)
}

// maxKeptRuns bounds the runs of commands in a report.
const maxKeptRuns = 10_000

func (r *run) ran(c CommandRun) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.runs) < maxKeptRuns {
		r.runs = append(r.runs, c)
	}
}

// running reports whether a command runs, which ends by its timeout.
func (r *run) running() bool { return r.commands.Load() > 0 }

// runCommand runs a program, no shell between, in a process group of its own,
// all of which is killed when it ends, when its time is over, and when ctx ends.
func runCommand(ctx context.Context, argv []string, input []byte, timeout time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("it did not end within %v and was killed", timeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin = bytes.NewReader(input)
	out, errs := &limited{max: maxOutput, over: cancel}, &limited{max: maxStderr}
	cmd.Stdout, cmd.Stderr = out, errs
	cmd.Env = commandEnv(os.Environ())
	cmd.WaitDelay = killAfter
	ownGroup(cmd)
	cmd.Cancel = func() error { return killGroup(cmd) }
	err := cmd.Run()
	if cmd.Process != nil {
		_ = killGroup(cmd) // what it left behind; there is nothing as a rule
	}
	switch {
	case out.full:
		return nil, fmt.Errorf("it printed more than %d KiB and was killed", maxOutput>>10)
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, exec.ErrWaitDelay):
		return out.kept, nil // it ended well, and left a process that held its output
	case err != nil:
		if said := strings.TrimSpace(string(errs.kept)); said != "" {
			return nil, fmt.Errorf("%w: %s", err, said)
		}
		return nil, err
	}
	return out.kept, nil
}

// commandEnv is the environment of commands: without what would make one of
// them a session of the user's meshes.
func commandEnv(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		return strings.HasPrefix(v, "CLAUDEMESH_") || strings.HasPrefix(v, "CLAUDE_CODE_SESSION_ID=")
	})
}

// limited keeps the first max bytes that are written, and calls over, if it is
// not nil, when there are more.
type limited struct {
	kept []byte
	max  int
	over func()
	full bool
}

func (l *limited) Write(p []byte) (int, error) {
	room := l.max - len(l.kept)
	l.kept = append(l.kept, p[:min(room, len(p))]...)
	if len(p) > room && !l.full {
		l.full = true
		if l.over != nil {
			l.over()
		}
	}
	return len(p), nil
}

// A commanded action is one that a command printed.
type commanded struct {
	Action string `json:"action"`
	Target string `json:"target"`
	To     string `json:"to"`
	Text   string `json:"text"`
	Key    string `json:"key"`
	Value  any    `json:"value"`
}

// obey does what a command printed: the actions of a sim_action, or a text, which
// is the reply to a message.
func (a *actor) obey(m *message, out []byte) error {
	text := strings.TrimSpace(string(out))
	var said struct {
		Type    string      `json:"type"`
		Actions []commanded `json:"actions"`
	}
	begin, end := strings.IndexByte(text, '{'), strings.LastIndexByte(text, '}')
	if begin < 0 || end < begin || json.Unmarshal([]byte(text[begin:end+1]), &said) != nil || said.Type != actionType {
		if text == "" {
			return nil // it has nothing to say
		}
		if a.run.world != nil && m.from == a.run.world.Controller {
			return errors.New("it printed no sim_action, which is what answers a sim_observation")
		}
		said.Actions = []commanded{{Action: "reply", Text: text}}
	}
	var proposals []map[string]any
	var wrong error
	for _, c := range said.Actions[:min(len(said.Actions), maxProposals)] {
		switch c.Action {
		case "reply", "send", "set":
			wrong = errors.Join(wrong, a.obeyOne(m, &c))
		default:
			proposals = append(proposals, map[string]any{"action": c.Action, "target": c.Target})
		}
	}
	switch {
	case len(proposals) > 0 && a.run.world == nil:
		wrong = errors.Join(wrong, fmt.Errorf("there is no world for the action %q: there are reply, send and set", wire.Shorten(fmt.Sprint(proposals[0]["action"]), 60)))
	case len(proposals) > 0:
		a.propose(cause{m, m.minute, ""}, proposals)
	}
	return wrong
}

func (a *actor) obeyOne(m *message, c *commanded) error {
	cause := cause{m, m.minute, ""}
	act := &Act{To: c.To, Text: c.Text}
	replyTo := ""
	if c.Action == "reply" {
		act.To, replyTo = m.from, m.id
	}
	switch {
	case c.Action == "set" && !stateKey(c.Key):
		return fmt.Errorf("the key %q does not begin with sim:, as it must", wire.Shorten(c.Key, 60))
	case c.Action == "set":
		a.do(func(ctx context.Context) { a.set(ctx, map[string]any{c.Key: c.Value}) })
		return nil
	case strings.TrimSpace(c.Text) == "" || len(c.Text) > maxText:
		return fmt.Errorf("a text must have 1 to %d bytes", maxText)
	case !a.run.target(act.To):
		return fmt.Errorf("%q is nobody to send to", wire.Shorten(act.To, 60))
	}
	rnd := a.run.draw(a.name, "command", m.from, int(m.minute), c.Text)
	if act.To = a.run.pick(a, act.To, rnd); act.To != "" {
		a.sendPlain(act, cause, replyTo)
	}
	return nil
}
