package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

const (
	reachTime = 4 * time.Second
	largeSkew = wire.MaxSkew / 2
	safeMode  = 0o600
)

// statusJSON is what status prints as JSON.
type statusJSON struct {
	Version    string `json:"version"`
	Revision   string `json:"revision"`
	ConfigPath string `json:"configPath"`
	ConfigMode string `json:"configMode"`        // octal, empty if there is no file
	Session    string `json:"session,omitempty"` // host session that the command runs in
	// Meshes are the joined meshes, or the one of --mesh.
	Meshes []reachJSON `json:"meshes"`
	// Sessions are the sessions of this user that run on this machine, and how
	// mail reaches their models.
	Sessions []peer.WaysAnswer `json:"sessions"`
}

// reachJSON says how a mesh's broker is reached.
type reachJSON struct {
	Slug      string `json:"slug"`
	MeshID    string `json:"meshId"`
	BrokerURL string `json:"brokerUrl"`
	Reachable bool   `json:"reachable"` // the broker took the member's hello
	Error     string `json:"error,omitempty"`
	// LatencyMillis is the time of a request and its answer.
	LatencyMillis float64 `json:"latencyMillis,omitempty"`
	// SkewMillis is how far the broker's clock is ahead of this machine's, to
	// half a second.
	SkewMillis int64 `json:"skewMillis"`

	hint string
}

func statusCommand() Command {
	return Command{
		Name:  "status",
		Theme: Start,
		Args:  "[status]",
		Short: "Check that everything works, or say that you are idle, working or dnd",
		Long: `Without an argument: the version, the configuration and, for each mesh, whether its
broker answers, how fast, and whether the clocks agree; and for each session that
runs on this machine, by which ways mail reaches its model and when each last worked.
The exit code is 1 if a broker does not answer.

With an argument it sets the status of your session: the one this runs in, or the
only one of yours that is connected. While it is working or dnd, only messages of
priority now get through; the others wait until it is idle. --json then prints
an object with the field status.`,
		Examples: []string{"claudemesh status", "claudemesh status --json", "claudemesh status dnd"},
		Mesh:     true,
		JSON:     true,
		Output:   statusJSON{},
		Complete: map[string]Completer{"status": Values(statuses()...)},
		Run: func(ctx context.Context, env *Env, args []string) error {
			if len(args) == 0 {
				return checkAll(ctx, env)
			}
			s := wire.Status(args[0])
			if !s.Valid() {
				return Usagef("the status is idle, working or dnd, not %q", args[0])
			}
			return setStatus(ctx, env, s)
		},
	}
}

func checkAll(ctx context.Context, env *Env) error {
	c, err := env.Config()
	if err != nil {
		return err
	}
	meshes := c.Meshes
	if env.Mesh != "" {
		m, err := c.Mesh(env.Mesh)
		if err != nil {
			return err
		}
		meshes = []peer.Mesh{*m}
	}
	b := ThisBuild()
	s := statusJSON{Version: b.Version, Revision: b.Revision, ConfigPath: c.Path(), Session: peer.HostSessionID(env.Getenv), Meshes: make([]reachJSON, len(meshes))}
	if c.Mode() != 0 {
		s.ConfigMode = fmt.Sprintf("%04o", c.Mode())
	}
	done := env.Progress("asking the brokers")
	var wg sync.WaitGroup
	for i := range meshes {
		wg.Go(func() { s.Meshes[i] = reach(ctx, env, c, &meshes[i]) })
	}
	wg.Go(func() { s.Sessions = append([]peer.WaysAnswer{}, peer.RunningSessions(ctx)...) })
	wg.Wait()
	done()
	if env.JSON {
		err = env.Out().JSON(s)
	} else {
		printStatus(env, c, &s)
	}
	for _, m := range s.Meshes {
		if !m.Reachable && err == nil {
			err = ExitCode(1)
		}
	}
	return err
}

// reach tries a mesh: hello, one request, and the broker's clock.
func reach(ctx context.Context, env *Env, c *peer.Config, m *peer.Mesh) reachJSON {
	r := reachJSON{Slug: m.Slug, MeshID: m.MeshID, BrokerURL: m.BrokerURL}
	ctx, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	latency, err := ping(ctx, env, c, m)
	if err != nil {
		err = explainMesh(err, m)
		r.Error = plainError(err)
		if hint, ok := errors.AsType[*HintError](err); ok {
			r.hint = hint.Hint
		}
		return r
	}
	r.Reachable, r.LatencyMillis = true, float64(latency.Microseconds())/1000
	if api, err := m.API(); err == nil {
		if skew, err := api.Skew(ctx); err == nil {
			r.SkewMillis = skew.Milliseconds()
		}
	}
	return r
}

// ping measures a request on a connection of its own.
func ping(ctx context.Context, env *Env, c *peer.Config, m *peer.Mesh) (time.Duration, error) {
	opts, err := env.options(c, m)
	if err != nil {
		return 0, err
	}
	opts.Transient = true
	client, err := peer.Open(ctx, opts)
	if err != nil {
		return 0, err
	}
	defer hangUp(ctx, client)
	begin := time.Now()
	_, err = peer.Call(ctx, client, wire.ListPeers{})
	return time.Since(begin), err
}

func printStatus(env *Env, c *peer.Config, s *statusJSON) {
	out := env.Out()
	out.Printf("claudemesh %s (revision %s)\n", s.Version, s.Revision)
	switch {
	case s.ConfigMode == "":
		out.Printf("configuration %s: not there yet\n", s.ConfigPath)
	case c.Exposed():
		out.Printf("configuration %s %s: others can read your keys, run `chmod %o %s`\n", s.ConfigPath, Styled{Red, "mode " + s.ConfigMode}, safeMode, s.ConfigPath)
	default:
		out.Printf("configuration %s, mode %s\n", s.ConfigPath, s.ConfigMode)
	}
	if s.Session != "" {
		out.Printf("inside the session %s\n", s.Session)
	}
	if len(c.Meshes) == 0 {
		out.Printf("no mesh joined: start a broker with `claudemesh serve`, or `claudemesh join <link>`\n")
	}
	for _, m := range s.Meshes {
		if !m.Reachable {
			out.Printf("%s %s: %s\n", Styled{Red, "✗"}, Styled{Bold, m.Slug}, m.Error)
			if m.hint != "" {
				out.Printf("  %s\n", m.hint)
			}
			continue
		}
		out.Printf("%s %s: %s answers in %.1f ms\n", Styled{Green, "✓"}, Styled{Bold, m.Slug}, m.BrokerURL, m.LatencyMillis)
		if skew := time.Duration(m.SkewMillis) * time.Millisecond; skew.Abs() > largeSkew {
			out.Printf("  %s the broker's clock is %s from this machine's: set them\n", Styled{Yellow, "warning:"}, skew.Round(time.Second))
		}
	}
	for i := range s.Sessions {
		PrintWays(out, &s.Sessions[i])
	}
}

// PrintWays prints by which ways mail reaches the model of a running session:
// which are open, and when each last carried some.
func PrintWays(out *Printer, a *peer.WaysAnswer) {
	out.Printf("session %s runs (process %d, message mode %s): %s\n", a.Session, a.PID, a.Mode, unseenCount(a.Unseen))
	for _, m := range a.Meshes {
		if m.Reason != "" {
			out.Printf("  mesh %s: %s, %s\n", m.Slug, m.State, m.Reason)
		}
	}
	for _, w := range a.Ways {
		state := Styled{Dim, "closed"}
		if w.Open {
			state = Styled{Green, "open"}
		}
		out.Printf("  %s: %s", w.Name, state)
		if w.LastWorked.IsZero() {
			out.Printf(", has not worked yet")
		} else {
			out.Printf(", last worked %v", w.LastWorked)
		}
		if w.Note != "" {
			out.Printf(" (%s)", w.Note)
		}
		out.Printf("\n")
	}
}

func unseenCount(n int) string {
	if n == 1 {
		return "1 message unseen"
	}
	return fmt.Sprintf("%d messages unseen", n)
}
