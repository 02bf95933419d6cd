package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"claudemesh/peer"
)

// fixture is an Env under test and what was written to it.
type fixture struct {
	Env
	stdout, stderr bytes.Buffer
}

// newFixture returns an Env with an empty configuration directory, an empty
// environment, and pipes for streams.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{}
	f.Env = Env{
		Stdin:      strings.NewReader(""),
		Stdout:     &f.stdout,
		Stderr:     &f.stderr,
		ConfigDir:  t.TempDir(),
		Now:        func() time.Time { return time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC) },
		IsTerminal: func(any) bool { return false },
	}
	return f
}

// join adds meshes to the configuration.
func (f *fixture) join(t *testing.T, slugs ...string) {
	t.Helper()
	err := peer.UpdateConfig(t.Context(), f.ConfigDir, func(c *peer.Config) error {
		for _, slug := range slugs {
			c.Meshes = append(c.Meshes, peer.Mesh{MeshID: "id-" + slug, MemberID: "member", Slug: slug, Name: slug,
				Pubkey: strings.Repeat("ab", 32), SecretKey: strings.Repeat("5e", 64), BrokerURL: "ws://127.0.0.1:1/ws"})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) getenv(pairs ...string) {
	f.Getenv = func(key string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == key {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func (f *fixture) run(t *testing.T, extra []Command, args ...string) (code int) {
	t.Helper()
	f.stdout.Reset()
	f.stderr.Reset()
	f.Args = args
	return Main(t.Context(), f.Env, extra)
}

// echo is a command that reports how it was called.
func echo() Command {
	var priority string
	var yes bool
	return Command{
		Name: "echo", Theme: Talk, Args: "<to> <message>...", Short: "Echo", Examples: []string{"claudemesh echo bob hi"}, Mesh: true, JSON: true,
		EnvFlags: []string{"priority"},
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&priority, "priority", "next", "`when` to deliver")
			fs.BoolVar(&yes, "yes", false, "do not ask")
			Alias(fs, "y", "yes")
			fs.Duration("in", 0, "how long to wait")
		},
		Complete: map[string]Completer{"--priority": Values("now", "next", "low"), "to": Values("@all", "bob", "$(reboot)")},
		Run: func(_ context.Context, env *Env, args []string) error {
			env.Out().raw(fmt.Sprintf("%q %s %v %q %v", args, priority, yes, env.Mesh, env.JSON))
			return nil
		},
	}
}

func group() Command {
	run := func(_ context.Context, env *Env, args []string) error {
		env.Out().raw(fmt.Sprintf("%q", args))
		return nil
	}
	return Command{Name: "tool", Theme: Talk, Args: "[text]", Short: "Use tools", Run: run, Sub: []Command{
		{Name: "revoke", Args: "[id]", Short: "Revoke one", Run: run},
		{Name: "pass", Args: "-- [argument]...", Short: "Pass on", Run: run},
	}}
}

// TestTheTableIsWhole holds every command to what users expect of each.
func TestTheTableIsWhole(t *testing.T) {
	root := newRoot(nil)
	env := &newFixture(t).Env
	env.fill()
	walk([]*Command{root}, func(path []*Command) {
		c, line := path[len(path)-1], spelling(path)
		if c.Short == "" || strings.HasSuffix(c.Short, ".") || strings.Contains(c.Short, "\n") {
			t.Errorf("%s: Short must be one line without a full stop: %q", line, c.Short)
		}
		if c.Theme != "" && !slices.Contains(themes(), c.Theme) {
			t.Errorf("%s has the unknown theme %q", line, c.Theme)
		}
		if c.Run == nil {
			if len(c.Sub) == 0 {
				t.Errorf("%s does nothing", line)
			}
			return
		}
		if c.JSON == (c.NoJSON != "") {
			t.Errorf("%s must have --json or say why not", line)
		}
		if c.JSON != (c.Output != nil) {
			t.Errorf("%s must say what --json prints, for the reference", line)
		}
		fs := c.flagSet(&Env{})
		fs.VisitAll(func(f *flag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s: --%s has no help", line, f.Name)
			}
		})
		completed(t, c, fs, line)
		if len(c.Examples) == 0 {
			t.Errorf("%s has no example", line)
		}
		for _, example := range c.Examples {
			words := shellWords(example)
			inv, err := parse(env, newRoot(nil), words[1:])
			if words[0] != program || err != nil {
				t.Errorf("%s: the example %q does not parse: %v", line, example, err)
				continue
			}
			if got := spelling(inv.path); got != line {
				t.Errorf("%s: the example %q runs %s", line, example, got)
			}
		}
	})
	seen := map[string]bool{}
	for _, c := range root.Sub {
		if seen[c.Name] {
			t.Errorf("two commands are called %s", c.Name)
		}
		seen[c.Name] = true
	}
}

// completed checks that what is completed exists.
func completed(t *testing.T, c *Command, fs *flag.FlagSet, line string) {
	args, _ := c.arguments()
	for name := range c.Complete {
		isArg := slices.ContainsFunc(args, func(a argument) bool { return a.name == name })
		if !isArg && (!strings.HasPrefix(name, "--") || fs.Lookup(name[2:]) == nil) {
			t.Errorf("%s completes %s, which it does not have", line, name)
		}
	}
}

// shellWords splits the first command of a shell line, with quotes.
func shellWords(line string) (words []string) {
	var word strings.Builder
	var quote rune
	started := false
	for _, r := range line + " " {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, started = r, true
		case r == '|' || r == '>' || r == '<' || r == '&' || r == ';':
			return words
		case r == ' ':
			if started {
				words = append(words, word.String())
			}
			word.Reset()
			started = false
		default:
			started = true
			word.WriteRune(r)
		}
	}
	return words
}
