package simulate

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"claudemesh/peer/bench"
	"claudemesh/peer/cli"
)

// settings are the flags of the command.
type settings struct {
	mesh     string
	list     bool
	show     bool
	speed    float64
	seed     uint64
	report   string
	commands bool
	patience time.Duration
}

// unmet is the exit code when an expectation of the scenario was not met.
const unmet = cli.ExitCode(3)

// Command returns the command simulate.
func Command() cli.Command {
	var set settings
	return cli.Command{
		Name:  "simulate",
		Theme: cli.Automate,
		Args:  "[scenario]",
		Short: "Play a scenario with many peers on this machine",
		Long: `A scenario, a file of YAML or JSON or one of those that come with the program,
names personas and what they send and react to, in simulated time. Each is a
peer with a connection of its own. They meet on a broker of the simulation's
own, whose data is removed at the end, or with --mesh in a mesh that you have
joined, where nobody but they get their messages.

At the end it says which expectations of the scenario were met, and writes a
report as JSON and as a page for the browser. The exit code is 0 if all were
met, 3 if one was not, and 1 if the simulation could not be played to its end.
Ctrl-C ends it with a report of what was until then.

A persona may be a command that answers for it. Such a scenario runs programs
on this machine, so it must be allowed to with --run-commands.`,
		Examples: []string{
			"claudemesh simulate --list",
			"claudemesh simulate shop-floor",
			"claudemesh simulate load --seed 7 --json",
			"claudemesh simulate shop-floor --show > my.yaml",
			"claudemesh simulate my.yaml --run-commands --report none",
		},
		JSON:     true,
		Output:   Report{},
		Complete: map[string]cli.Completer{"scenario": cli.Values(Examples()...), "--mesh": cli.Slugs},
		Flags: func(fs *flag.FlagSet) {
			// Not Command.Mesh: what the environment says must not lead it there.
			fs.StringVar(&set.mesh, "mesh", "", "play in the mesh with this `slug` instead of on a broker of its own")
			fs.BoolVar(&set.list, "list", false, "list the scenarios that come with the program")
			fs.BoolVar(&set.show, "show", false, "print the scenario instead of playing it")
			fs.Float64Var(&set.speed, "speed", 0, "let `n` simulated minutes pass in a minute, in place of what the scenario says")
			fs.Uint64Var(&set.seed, "seed", 0, "draw all chances from `n`, in place of what the scenario says")
			fs.StringVar(&set.report, "report", "", "write the report to `path`.json and path.html; none writes none, and without it the path is simulation-NAME")
			fs.BoolVar(&set.commands, "run-commands", false, "let personas that are commands run them")
			fs.DurationVar(&set.patience, "patience", 30*time.Second, "give up when nothing has come for `time` that should: a tick, or a message")
		},
		Run: func(ctx context.Context, env *cli.Env, args []string) error {
			if set.list {
				return list(env)
			}
			if len(args) == 0 {
				return cli.Usagef("<scenario> is missing: `claudemesh simulate --list` shows those that come with the program")
			}
			return set.run(ctx, env, args[0])
		},
	}
}

// listed is an entry of --list.
type listed struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

func list(env *cli.Env) error {
	var all []listed
	for _, name := range Examples() {
		s, err := Example(name)
		if err != nil {
			return err
		}
		all = append(all, listed{name, s.Description})
	}
	if env.JSON {
		return env.Out().JSON(map[string]any{"scenarios": all})
	}
	for _, l := range all {
		env.Out().Printf("%s  %s\n", cli.Styled{Style: cli.Bold, Text: fmt.Sprintf("%-12s", l.Name)}, l.Description)
	}
	return nil
}

// run plays the scenario of that name.
func (set *settings) run(ctx context.Context, env *cli.Env, name string) error {
	if set.show {
		return show(env, name)
	}
	s, err := find(name)
	if err != nil {
		return err
	}
	if set.speed != 0 {
		s.Clock.Speed = set.speed
		if err := s.Clock.check(s); err != nil {
			return cli.Usagef("--speed: %v", err)
		}
	}
	if set.patience <= 0 {
		return cli.Usagef("--patience must be above 0")
	}
	if err := room(s); err != nil {
		return err
	}
	if err := set.mayWrite(s.Name); err != nil {
		return err
	}
	rep, err := set.play(ctx, env, s)
	if err != nil {
		return err
	}
	return set.finish(env, rep)
}

// find returns a scenario by the name of a file, or of one that comes with the
// program.
func find(name string) (*Scenario, error) {
	if slices.Contains(Examples(), name) {
		return Example(name)
	}
	s, err := Load(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, cli.WithHint(err, "there is no such file; %s come with the program", strings.Join(Examples(), " and "))
	}
	return s, err
}

func show(env *cli.Env, name string) error {
	text, err := exampleText(name)
	if err != nil {
		if text, err = os.ReadFile(name); err != nil {
			return cli.WithHint(err, "%s come with the program", strings.Join(Examples(), " and "))
		}
	}
	if env.JSON {
		return env.Out().JSON(map[string]string{"name": name, "text": string(text)})
	}
	env.Out().Text(string(text))
	return nil
}

// room says if this machine does not let so many personas connect.
func room(s *Scenario) error {
	n := 0
	for _, p := range s.Personas {
		n += p.Count
	}
	if can := bench.Reachable(n); can < n {
		return cli.WithHint(fmt.Errorf("the scenario has %d personas, and this machine lets the program have %d connections", n, can),
			"raise the limit of open files with `ulimit -n %d`, or have fewer", n+200)
	}
	return nil
}

func (set *settings) play(ctx context.Context, env *cli.Env, s *Scenario) (rep *Report, err error) {
	opts := Options{Commands: set.commands, Seed: set.seed, Patience: set.patience, Logger: env.Logger()}
	if !set.commands && s.HasCommands() {
		return nil, cli.WithHint(ErrCommands, "read it, and if you want that run it with --run-commands")
	}
	if set.mesh != "" {
		env.Mesh = set.mesh
		_, mesh, err := env.ChosenMesh()
		if err != nil {
			return nil, err
		}
		opts.Broker = Given(*mesh)
	} else {
		n := 0
		for _, p := range s.Personas {
			n += p.Count
		}
		own, err := StartTemporary(ctx, n)
		if err != nil {
			return nil, err
		}
		defer func() {
			if closing := own.Close(); err == nil {
				err = closing
			}
		}()
		opts.Broker = own
	}
	if !env.JSON {
		v := newView(env, s)
		opts.Watch = v.show
	}
	return Run(ctx, s, opts)
}

// finish writes the report and says what came of the run.
func (set *settings) finish(env *cli.Env, rep *Report) error {
	files, err := set.write(rep)
	if err != nil {
		return err
	}
	if env.JSON {
		if err := env.Out().JSON(rep); err != nil {
			return err
		}
	} else {
		printResult(env, rep, files)
	}
	if err := rep.Err(); err != nil {
		if errors.Is(err, context.Canceled) {
			err = errors.New("it was interrupted")
		}
		return fmt.Errorf("the simulation did not come to its end: %w", err)
	}
	if failed := rep.Failed(); len(failed) > 0 {
		env.Err().Printf("claudemesh: %d of %d expectations were not met: %s\n", len(failed), len(rep.Expect), strings.Join(failed, "; "))
		return unmet
	}
	return nil
}

// path is that of the report without its suffix, "" for none.
func (set *settings) path(scenario string) string {
	switch set.report {
	case "none":
		return ""
	case "":
		return "simulation-" + scenario
	}
	return set.report
}

// mayWrite says if there is no directory for the report, before hours are spent
// on what it is of.
func (set *settings) mayWrite(scenario string) error {
	path := set.path(scenario)
	if path == "" {
		return nil
	}
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no directory", dir)
	}
	return notWritten(err)
}

func notWritten(err error) error {
	if err == nil {
		return nil
	}
	return cli.WithHint(fmt.Errorf("write the report: %w", err), "choose another place with --report, or none")
}

// write writes the files of a report and returns their names.
func (set *settings) write(rep *Report) (files []string, err error) {
	path := set.path(rep.Scenario)
	if path == "" {
		return nil, nil
	}
	for _, f := range []struct {
		suffix string
		make   func() ([]byte, error)
	}{{".json", rep.JSON}, {".html", rep.HTML}} {
		data, err := f.make()
		if err != nil {
			return files, err
		}
		if err := os.WriteFile(path+f.suffix, data, 0o644); err != nil {
			return files, notWritten(err)
		}
		files = append(files, path+f.suffix)
	}
	return files, nil
}
