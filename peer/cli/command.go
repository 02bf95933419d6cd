package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Theme is the heading under which the help lists a command.
type Theme string

// Command is an entry of the table, or a word that groups entries: then it has
// Sub and no Run. With both, as in `remind <message>` and `remind list`, the
// word after the name decides. An entry is made anew for each run of Main, so
// Flags and Run may share variables.
type Command struct {
	Name  string
	Theme Theme // top level only; empty is Other
	// Args describes the positional arguments, and is checked: words of the
	// form <required>, [optional], or either with ... after it for one or more
	// of the last. A first word -- means that they come after a -- only.
	Args string
	// Short says in one line and the imperative what the command does.
	Short string
	// Long is further help: paragraphs of prose, or empty.
	Long string
	// Examples are command lines as a user types them.
	Examples []string
	// Flags defines flags in a set that is made for the run; see Alias for
	// short names.
	Flags func(*flag.FlagSet)
	// EnvFlags are the flags that may also be given as CLAUDEMESH_<FLAG> in the
	// environment, - written as _. The command line wins. "*" stands for all.
	EnvFlags []string
	// Mesh adds --mesh; see Env.Mesh. It is an EnvFlag.
	Mesh bool
	// JSON adds --json; see Env.JSON.
	JSON bool
	// NoJSON says why a command has no --json; every command has one or the other.
	NoJSON string
	// Output is a value of the type that --json prints, for the reference.
	Output any
	// Complete offers values, without using the network: for a flag under its
	// name with dashes, for an argument under its name in Args.
	Complete map[string]Completer
	// Run does the work. Its args have passed the check of Args. It prints
	// through env.Out. Its errors become the message and the exit code: see
	// Usagef, HintError and ExitCode.
	Run    func(ctx context.Context, env *Env, args []string) error
	Sub    []Command
	Hidden bool // from help and completion

	raw bool // Run takes all words after the name, unparsed
}

// A Completer returns values to offer.
type Completer func(env *Env) []string

// Values is a Completer of fixed values.
func Values(values ...string) Completer { return func(*Env) []string { return values } }

// Slugs is a Completer of the joined meshes.
func Slugs(env *Env) []string {
	c, err := env.Config()
	if err != nil {
		return nil
	}
	return c.Slugs()
}

// Alias gives the flag called name a short form.
func Alias(fs *flag.FlagSet, short, name string) {
	f := fs.Lookup(name)
	fs.Var(f.Value, short, f.Usage)
}

func (c *Command) sub(name string) *Command {
	i := slices.IndexFunc(c.Sub, func(s Command) bool { return s.Name == name })
	if i < 0 || name == "" {
		return nil
	}
	return &c.Sub[i]
}

// find follows words down the tree as far as they name commands.
func (c *Command) find(words []string) (path []*Command, rest []string) {
	path = []*Command{c}
	for len(words) > 0 {
		next := path[len(path)-1].sub(words[0])
		if next == nil {
			break
		}
		path, words = append(path, next), words[1:]
	}
	return path, words
}

// spelling returns the command line of a path without arguments.
func spelling(path []*Command) string {
	names := make([]string, len(path))
	for i, c := range path {
		names[i] = c.Name
	}
	return strings.TrimSpace(strings.Join(names, " "))
}

// flagSet returns the flags of c with those that the table adds; their values
// go to env.
func (c *Command) flagSet(env *Env) *flag.FlagSet {
	fs := flag.NewFlagSet(c.Name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	if c.Mesh {
		fs.StringVar(&env.Mesh, "mesh", "", "use the mesh with this `slug`; needed only if several are joined")
	}
	if c.JSON {
		fs.BoolVar(&env.JSON, "json", false, "print JSON")
	}
	if c.Flags != nil {
		c.Flags(fs)
	}
	return fs
}

// fromEnv reports whether the flag may be given in the environment.
func (c *Command) fromEnv(flag string) bool {
	return c.Mesh && flag == "mesh" || slices.Contains(c.EnvFlags, flag) || slices.Contains(c.EnvFlags, "*")
}

func envName(flag string) string {
	return "CLAUDEMESH_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// argument is one word of Command.Args.
type argument struct {
	name     string
	required bool
	many     bool
}

// arguments reads Args.
func (c *Command) arguments() (args []argument, afterDashes bool) {
	words := strings.Fields(c.Args)
	if len(words) > 0 && words[0] == "--" {
		words, afterDashes = words[1:], true
	}
	for _, w := range words {
		w, many := strings.CutSuffix(w, "...")
		args = append(args, argument{strings.Trim(w, "<>[]"), strings.HasPrefix(w, "<"), many})
	}
	return args, afterDashes
}

// checkArgs holds positional arguments, of which the last dashed ones stood
// after --, to Args.
func (c *Command) checkArgs(given []string, dashed int) error {
	args, afterDashes := c.arguments()
	if before := len(given) - dashed; afterDashes && before > 0 {
		return fmt.Errorf("unexpected argument %q: arguments come after --", given[0])
	}
	for i, a := range args {
		if a.required && i >= len(given) {
			return fmt.Errorf("<%s> is missing", a.name)
		}
	}
	if len(args) > 0 && args[len(args)-1].many || len(given) <= len(args) {
		return nil
	}
	if len(args) == 0 {
		return fmt.Errorf("unexpected argument %q", given[0])
	}
	return fmt.Errorf("unexpected argument %q; quote text that has blanks", given[len(args)])
}
