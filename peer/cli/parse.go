package cli

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/peterbourgon/ff/v3"
	"github.com/peterbourgon/ff/v3/ffcli"
)

// maxConfigFile bounds, in bytes, what is read of a file of flags.
const maxConfigFile = 64 << 10

// invocation is a parsed command line.
type invocation struct {
	path []*Command // from the root to the command
	run  func(context.Context) error
}

// parse finds the command that args name and parses its flags and arguments.
// With an error the invocation, unless nil, tells how far it got. Nothing has
// run yet.
func parse(env *Env, root *Command, args []string) (*invocation, error) {
	path, rest := root.find(args)
	inv := &invocation{path: path}
	c := path[len(path)-1]
	switch {
	case c.raw:
		inv.run = func(ctx context.Context) error { return c.Run(ctx, env, rest) }
		return inv, nil
	case c.Run == nil:
		return inv, inv.parseGroup(env, rest)
	}
	fs := c.flagSet(env)
	flags, positional, dashed, err := permute(fs, rest)
	if errors.Is(err, flag.ErrHelp) {
		inv.run = inv.help(env)
		return inv, nil
	}
	if err == nil {
		err = c.checkArgs(positional, dashed)
	}
	if err != nil {
		return inv, usage(err)
	}
	return inv, inv.bind(env, fs, append(append(flags, "--"), positional...))
}

// parseGroup handles words after the root, or after a command that only groups
// others.
func (inv *invocation) parseGroup(env *Env, rest []string) error {
	c, atRoot := inv.path[len(inv.path)-1], len(inv.path) == 1
	switch {
	case len(rest) == 0 && atRoot:
		inv.run = inv.help(env)
		for i := range c.Sub {
			if c.Sub[i].Name == "" {
				inv.run = func(ctx context.Context) error { return c.Sub[i].Run(ctx, env, nil) }
			}
		}
		return nil
	case len(rest) == 0:
		return Usagef("%s needs one of: %s", spelling(inv.path), strings.Join(visibleNames(c), ", "))
	case rest[0] == "-h" || rest[0] == "-help" || rest[0] == "--help":
		inv.run = inv.help(env)
		return nil
	case atRoot && (rest[0] == "--version" || rest[0] == "-version"):
		inv.run = func(context.Context) error { return printVersion(env) }
		return nil
	case strings.HasPrefix(rest[0], "-"):
		return Usagef("unexpected %s: flags come after the command", rest[0])
	}
	err := Usagef("unknown command %q", spelling(inv.path[1:])+" "+rest[0])
	if atRoot {
		err = Usagef("unknown command %q", rest[0])
	}
	if near := nearestCommand(inv.path, rest[0]); near != "" {
		return WithHint(err, "did you mean `%s`?", near)
	}
	return err
}

// bind hands the ordered command line to ffcli, which parses the flags.
func (inv *invocation) bind(env *Env, fs *flag.FlagSet, args []string) error {
	c := inv.path[len(inv.path)-1]
	cmd := &ffcli.Command{
		Name:    spelling(inv.path),
		FlagSet: fs,
		Options: []ff.Option{ff.WithConfigFile(os.DevNull), ff.WithConfigFileParser(environment(env, c, fs))},
		Exec:    func(ctx context.Context, args []string) error { return c.Run(ctx, env, args) },
	}
	if err := cmd.Parse(args); err != nil {
		// ff tells at which step of its own it failed; the cause says the rest.
		return usage(withDashes(innermost(err)))
	}
	inv.run = cmd.Run
	return nil
}

// environment is a source of flag values for ff: the file that --config names,
// where the command has that flag, and the environment, which wins over it. ff
// can read the environment itself, but only that of the process and for every flag.
func environment(env *Env, c *Command, fs *flag.FlagSet) ff.ConfigFileParser {
	return func(_ io.Reader, set func(name, value string) error) (err error) {
		if err := configFile(env, fs, set); err != nil {
			return err
		}
		fs.VisitAll(func(f *flag.Flag) {
			value := env.Getenv(envName(f.Name))
			if err != nil || value == "" || len(f.Name) == 1 || !c.fromEnv(f.Name) {
				return
			}
			if cause := set(f.Name, value); cause != nil {
				err = errors.New(envName(f.Name) + ": " + innermost(cause).Error())
			}
		})
		return err
	}
}

// configFile reads flags from the file that --config names: a flag and its
// value on each line, # before a comment.
func configFile(env *Env, fs *flag.FlagSet, set func(name, value string) error) error {
	f := fs.Lookup("config")
	if f == nil {
		return nil
	}
	name := cmp.Or(f.Value.String(), env.Getenv(envName(f.Name)))
	if name == "" {
		return nil
	}
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := ff.PlainParser(io.LimitReader(file, maxConfigFile), set); err != nil {
		return fmt.Errorf("%s: %w", name, innermost(err))
	}
	return nil
}

// permute sorts args into flags, each with its value, and positional
// arguments, the last dashed of which stood after --. Flags may stand
// anywhere before --. Words that look like flags but are numbers are
// arguments. The error is flag.ErrHelp if help is asked for.
func permute(fs *flag.FlagSet, args []string) (flags, positional []string, dashed int, err error) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			rest := args[i+1:]
			return flags, append(positional, rest...), len(rest), nil
		}
		name, hasValue, ok := flagName(arg)
		f := fs.Lookup(name)
		switch {
		case !ok || f == nil && isNumber(arg):
			positional = append(positional, arg)
			continue
		case f == nil && (name == "help" || name == "h"):
			return nil, nil, 0, flag.ErrHelp
		case f == nil:
			return nil, nil, 0, unknownFlag(fs, name)
		}
		flags = append(flags, arg)
		if hasValue || isBool(f) {
			continue
		}
		if i++; i == len(args) {
			return nil, nil, 0, fmt.Errorf("%s needs a value", dashes(name))
		}
		flags = append(flags, args[i])
	}
	return flags, positional, 0, nil
}

// flagName splits -name, --name and --name=value; ok is false for anything else.
func flagName(arg string) (name string, hasValue, ok bool) {
	name, ok = strings.CutPrefix(arg, "-")
	if !ok || name == "" {
		return "", false, false
	}
	name = strings.TrimPrefix(name, "-")
	name, _, hasValue = strings.Cut(name, "=")
	return name, hasValue, true
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

func isBool(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

// dashes writes a flag's name as help does: two dashes, one for a letter.
func dashes(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// flagInError finds the name of the flag in an error of package flag, behind
// the value, which is quoted.
var flagInError = regexp.MustCompile(`^(invalid (?:boolean )?value "(?:[^"\\]|\\.)*" for )(?:flag )?-([^:]*)`)

// withDashes writes the name of the flag in an error of package flag as help does.
func withDashes(err error) error {
	m := flagInError.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	return errors.New(m[1] + dashes(m[2]) + strings.TrimPrefix(err.Error(), m[0]))
}

func unknownFlag(fs *flag.FlagSet, name string) error {
	var names []string
	fs.VisitAll(func(f *flag.Flag) {
		if len(f.Name) > 1 {
			names = append(names, f.Name)
		}
	})
	err := Usagef("unknown flag %s", dashes(name))
	if near := nearest(name, names); near != "" {
		return WithHint(err, "did you mean %s?", dashes(near))
	}
	return err
}

// usage makes err one in the command line.
func usage(err error) error {
	if _, ok := errors.AsType[*usageError](err); ok {
		return err
	}
	return &usageError{err.Error()}
}

func innermost(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}
