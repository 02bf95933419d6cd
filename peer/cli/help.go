package cli

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"reflect"
	"strings"
)

func helpCommand() Command {
	return Command{
		Name:     "help",
		Args:     "[command]...",
		Short:    "Show the help of a command",
		Examples: []string{"claudemesh help", "claudemesh help completion"},
		NoJSON:   "prints help",
		Complete: map[string]Completer{"command": func(env *Env) []string { return visibleNames(env.root) }},
		Run: func(ctx context.Context, env *Env, args []string) error {
			path, rest := env.root.find(args)
			inv := &invocation{path: path}
			if len(rest) > 0 {
				return inv.parseGroup(env, rest)
			}
			return inv.help(env)(ctx)
		},
	}
}

// help returns what prints the help of the command of inv to standard output.
func (inv *invocation) help(env *Env) func(context.Context) error {
	return func(context.Context) error {
		if len(inv.path) == 1 {
			env.out.raw(rootHelp(inv.path[0], env.out))
			return nil
		}
		env.out.raw(commandHelp(env, inv.path))
		return nil
	}
}

func rootHelp(root *Command, p *Printer) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n  %s <command> [arguments] [flags]\n", root.Short, p.style(Bold, "Usage"), program)
	width := 0
	for _, name := range visibleNames(root) {
		width = max(width, len(name))
	}
	for _, theme := range themes() {
		heading := "\n" + p.style(Bold, string(theme)) + "\n"
		for i := range root.Sub {
			c := &root.Sub[i]
			if c.Name == "" || c.Hidden || cmp.Or(c.Theme, Other) != theme {
				continue
			}
			fmt.Fprintf(&b, "%s  %-*s  %s\n", heading, width, c.Name, c.Short)
			heading = ""
		}
	}
	fmt.Fprintf(&b, "\nRun `%s <command> --help` for flags and examples, `%s --version` for the version.\n", program, program)
	return b.String()
}

func commandHelp(env *Env, path []*Command) string {
	var b strings.Builder
	c, p := path[len(path)-1], env.out
	fmt.Fprintf(&b, "%s.\n\n%s\n", strings.TrimSuffix(c.Short, "."), p.style(Bold, "Usage"))
	if c.Run != nil {
		fmt.Fprintf(&b, "  %s\n", usageLine(path))
	}
	for i := range c.Sub {
		if !c.Sub[i].Hidden {
			fmt.Fprintf(&b, "  %s\n      %s\n", usageLine(append(path[:len(path):len(path)], &c.Sub[i])), c.Sub[i].Short)
		}
	}
	if c.Long != "" {
		fmt.Fprintf(&b, "\n%s\n", strings.TrimSpace(c.Long))
	}
	if flags := flagHelp(env, c); flags != "" {
		fmt.Fprintf(&b, "\n%s\n%s", p.style(Bold, "Flags"), flags)
	}
	if examples := allExamples(c); len(examples) > 0 {
		fmt.Fprintf(&b, "\n%s\n  %s\n", p.style(Bold, "Examples"), strings.Join(examples, "\n  "))
	}
	return b.String()
}

// allExamples returns the examples of c, or one of each command it groups.
func allExamples(c *Command) []string {
	examples := c.Examples
	for i := range c.Sub {
		if s := &c.Sub[i]; len(s.Examples) > 0 && !s.Hidden {
			examples = append(examples[:len(examples):len(examples)], s.Examples[0])
		}
	}
	return examples
}

// usageLine is the command line of a path with its arguments.
func usageLine(path []*Command) string {
	c := path[len(path)-1]
	line := spelling(path)
	switch {
	case c.Run == nil:
		return line + " <command> [arguments] [flags]"
	case strings.HasPrefix(c.Args, "-- "):
		return line + " [flags] " + c.Args
	case c.Args != "":
		line += " " + c.Args
	}
	if c.Flags != nil || c.JSON || c.Mesh {
		line += " [flags]"
	}
	return line
}

// flagHelp lists the flags of c, each with its short form on the same line.
func flagHelp(env *Env, c *Command) string {
	if c.Run == nil {
		return ""
	}
	scratch := *env // the values of --mesh and --json stay as they are
	fs := c.flagSet(&scratch)
	var rows [][2]string
	width := 0
	fs.VisitAll(func(f *flag.Flag) {
		if len(f.Name) == 1 && longForm(fs, f) != "" {
			return
		}
		left, right := describeFlag(c, fs, f)
		width = max(width, len(left))
		rows = append(rows, [2]string{left, right})
	})
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "  %-*s  %s\n", width, r[0], r[1])
	}
	return b.String()
}

func describeFlag(c *Command, fs *flag.FlagSet, f *flag.Flag) (left, right string) {
	value, text := flag.UnquoteUsage(f)
	left = dashes(f.Name)
	fs.VisitAll(func(short *flag.Flag) {
		if len(short.Name) == 1 && longForm(fs, short) == f.Name {
			left = dashes(short.Name) + ", " + left
		}
	})
	if value != "" && !isBool(f) {
		left += " <" + value + ">"
	}
	switch f.DefValue {
	case "", "0", "0s", "false":
	default:
		text += " (default " + f.DefValue + ")"
	}
	if c.fromEnv(f.Name) {
		text += " (or $" + envName(f.Name) + ")"
	}
	return left, text
}

// longForm returns the flag that f is an Alias of: the one that sets the same
// variable.
func longForm(fs *flag.FlagSet, f *flag.Flag) (name string) {
	fs.VisitAll(func(other *flag.Flag) {
		if len(other.Name) > 1 && reflect.TypeOf(f.Value).Comparable() && f.Value == other.Value {
			name = other.Name
		}
	})
	return name
}
