package cli

import (
	"bytes"
	"context"
	"errors"
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

func TestFlagsStandAnywhere(t *testing.T) {
	for line, want := range map[string]string{
		"echo bob hi":                             `["bob" "hi"] next false "" false`,
		"echo bob hi --priority now":              `["bob" "hi"] now false "" false`,
		"echo --priority now bob hi":              `["bob" "hi"] now false "" false`,
		"echo bob --priority=now hi -y":           `["bob" "hi"] now true "" false`,
		"echo bob -priority now hi":               `["bob" "hi"] now false "" false`,
		"echo bob --yes=false hi there":           `["bob" "hi" "there"] next false "" false`,
		"echo bob -- --priority now":              `["bob" "--priority" "now"] next false "" false`,
		"echo bob -":                              `["bob" "-"] next false "" false`,
		"echo bob -5":                             `["bob" "-5"] next false "" false`,
		"echo bob hi --mesh home --json":          `["bob" "hi"] next false "home" true`,
		"echo -- -- --":                           `["--" "--"] next false "" false`,
		"echo bob --priority -- hi":               `["bob" "hi"] -- false "" false`,
		"tool revoke":                             `[]`,
		"tool revoke -- revoke":                   `["revoke"]`,
		"tool -- revoke":                          `["revoke"]`,
		"tool words":                              `["words"]`,
		"tool pass":                               `[]`,
		"tool pass -- --dangerous x":              `["--dangerous" "x"]`,
		"echo bob hi --priority now --priority x": `["bob" "hi"] x false "" false`,
	} {
		f := newFixture(t)
		code := f.run(t, []Command{echo(), group()}, strings.Fields(line)...)
		if code != 0 || f.stdout.String() != want {
			t.Errorf("%s: exit %d, %s, want %s; %s", line, code, &f.stdout, want, &f.stderr)
		}
	}
}

func TestWrongCommandLinesExitWithTwo(t *testing.T) {
	for line, want := range map[string]string{
		"sned":                      "",
		"lits":                      "hint: did you mean `claudemesh list`?",
		"ech bob hi":                "hint: did you mean `claudemesh echo`?",
		"revoke x":                  "hint: did you mean `claudemesh tool revoke`?",
		"tools":                     "hint: did you mean `claudemesh tool`?",
		"echo":                      "<to> is missing",
		"echo bob":                  "<message> is missing",
		"echo bob hi --prioritty x": "hint: did you mean --priority?",
		"echo bob hi --zzz":         "unknown flag --zzz",
		"echo bob hi --priority":    "--priority needs a value",
		"echo bob hi --in soon":     `invalid value "soon" for flag -in`,
		"echo bob hi --yes=perhaps": "invalid boolean value",
		"list extra":                `unexpected argument "extra"`,
		"tool a b":                  "quote text that has blanks",
		"tool pass x":               "arguments come after --",
		"--json list":               "flags come after the command",
		"completion csh":            "bash, zsh and fish",
	} {
		f := newFixture(t)
		code := f.run(t, []Command{echo(), group()}, strings.Fields(line)...)
		if code != 2 || f.stdout.Len() > 0 || !strings.Contains(f.stderr.String(), want) {
			t.Errorf("%s: exit %d, stdout %q, stderr %q; want 2 and %q", line, code, &f.stdout, &f.stderr, want)
		}
		if !strings.HasPrefix(f.stderr.String(), "claudemesh: ") || !strings.Contains(f.stderr.String(), "usage: ") {
			t.Errorf("%s: stderr %q has no message and usage", line, &f.stderr)
		}
	}
}

func TestGroupWithoutACommandListsThem(t *testing.T) {
	f := newFixture(t)
	g := Command{Name: "invite", Short: "Invite", Sub: []Command{{Name: "create"}, {Name: "revoke"}}}
	if code := f.run(t, []Command{g}, "invite"); code != 2 || !strings.Contains(f.stderr.String(), "needs one of: create, revoke") {
		t.Errorf("exit %d, %q", code, &f.stderr)
	}
}

func TestEnvironmentGivesFlags(t *testing.T) {
	f := newFixture(t)
	f.getenv("CLAUDEMESH_MESH", "home", "CLAUDEMESH_PRIORITY", "low", "CLAUDEMESH_YES", "true")
	f.run(t, []Command{echo()}, "echo", "bob", "hi")
	if want := `["bob" "hi"] low false "home" false`; f.stdout.String() != want {
		t.Errorf("got %s, want %s", &f.stdout, want)
	}
	f.run(t, []Command{echo()}, "echo", "bob", "hi", "--priority", "now")
	if !strings.Contains(f.stdout.String(), "now") {
		t.Errorf("the environment won over the command line: %s", &f.stdout)
	}
	wrong := echo()
	wrong.EnvFlags = []string{"*"}
	f.getenv("CLAUDEMESH_IN", "soon")
	if code := f.run(t, []Command{wrong}, "echo", "bob", "hi"); code != 2 || !strings.Contains(f.stderr.String(), "CLAUDEMESH_IN") {
		t.Errorf("exit %d, %q", code, &f.stderr)
	}
}

func TestErrorsBecomeMessagesAndCodes(t *testing.T) {
	broken := errors.New("the broker\nsaid \x1b[31mno")
	for name, tt := range map[string]struct {
		err    error
		code   int
		stderr string
	}{
		"success":    {nil, 0, ""},
		"failure":    {broken, 1, "claudemesh: the broker said \ufffd[31mno\n"},
		"hint":       {WithHint(broken, "ask %s", "Ada"), 1, "claudemesh: the broker said \ufffd[31mno\nhint: ask Ada\n"},
		"usage":      {Usagef("no such day"), 2, "claudemesh: no such day\nusage: claudemesh fail\nrun `claudemesh fail --help` for help\n"},
		"exit code":  {fmt.Errorf("host: %w", ExitCode(7)), 7, ""},
		"own cancel": {fmt.Errorf("dial: %w", context.Canceled), 1, "claudemesh: dial: context canceled\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			fail := Command{Name: "fail", Run: func(context.Context, *Env, []string) error { return tt.err }}
			if code := f.run(t, []Command{fail}, "fail"); code != tt.code || f.stderr.String() != tt.stderr {
				t.Errorf("exit %d, %q; want %d, %q", code, &f.stderr, tt.code, tt.stderr)
			}
		})
	}
	if WithHint(nil, "x") != nil {
		t.Error("a hint makes an error of none")
	}
}

func TestInterruptionIsNamed(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	wait := Command{Name: "wait", Run: func(ctx context.Context, _ *Env, _ []string) error {
		cancel()
		return fmt.Errorf("dial: %w", ctx.Err())
	}}
	f.Args = []string{"wait"}
	if code := Main(ctx, f.Env, []Command{wait}); code != 1 || f.stderr.String() != "claudemesh: interrupted\n" {
		t.Errorf("exit %d, %q", code, &f.stderr)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestOutputThatCannotBeWrittenFails(t *testing.T) {
	f := newFixture(t)
	f.Stdout = full{}
	if code := f.run(t, nil, "version"); code != 1 || !strings.Contains(f.stderr.String(), "no space left") {
		t.Errorf("exit %d, %q", code, &f.stderr)
	}
}

func TestHelpIsOnStandardOutput(t *testing.T) {
	for line, want := range map[string][]string{
		"":                     {"Usage", "Talk\n", "echo", "tool", "More\n", "version"},
		"--help":               {"Talk\n"},
		"-h":                   {"Talk\n"},
		"help":                 {"Talk\n"},
		"echo --help":          {"claudemesh echo <to> <message>... [flags]", "--priority <when>", "(default next)", "$CLAUDEMESH_PRIORITY", "-y, --yes", "claudemesh echo bob hi"},
		"echo bob -h":          {"claudemesh echo <to>"},
		"echo --priority x -h": {"claudemesh echo <to>"},
		"help echo":            {"claudemesh echo <to>"},
		"tool --help":          {"claudemesh tool revoke [id]", "Revoke one"},
		"help tool pass":       {"claudemesh tool pass [flags] -- [argument]..."},
	} {
		f := newFixture(t)
		code := f.run(t, []Command{echo(), group()}, strings.Fields(line)...)
		if code != 0 || f.stderr.Len() > 0 {
			t.Errorf("%q: exit %d, stderr %q", line, code, &f.stderr)
		}
		for _, part := range want {
			if !strings.Contains(f.stdout.String(), part) {
				t.Errorf("%q: %q is not in\n%s", line, part, &f.stdout)
			}
		}
		if strings.Contains(f.stdout.String(), "__complete") {
			t.Errorf("%q shows hidden commands", line)
		}
	}
}

func TestNoArgumentsRunTheNamelessCommand(t *testing.T) {
	f := newFixture(t)
	welcome := Command{Run: func(_ context.Context, env *Env, _ []string) error { env.Out().Printf("hello"); return nil }}
	if code := f.run(t, []Command{welcome}); code != 0 || f.stdout.String() != "hello" {
		t.Errorf("exit %d, %q", code, &f.stdout)
	}
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
