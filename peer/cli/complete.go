package cli

import (
	"context"
	"flag"
	"regexp"
	"strings"
)

// candidate is a word that may complete what was typed.
type candidate struct{ value, help string }

// safeWord is what a shell takes as one word without quotes. A completer may
// return what others have chosen, and some shells insert it as it is.
var safeWord = regexp.MustCompile(`^[\pL\pN_./:@=+,%-]+$`)

// completeCommand is what the shells' completion scripts call.
func completeCommand() Command {
	return Command{
		Name:     "__complete",
		Args:     "[word]...",
		Short:    "Print the completions of the last word, one per line with a tab before its help",
		Examples: []string{"claudemesh __complete list --js"},
		NoJSON:   "its reader is a shell",
		Hidden:   true,
		raw:      true,
		Run: func(_ context.Context, env *Env, words []string) error {
			for _, c := range completions(env, words) {
				env.Out().raw(c.value + "\t" + CleanLine(c.help) + "\n")
			}
			return nil
		},
	}
}

// completions returns what the last of words may become. Nothing but the table
// and the configuration is consulted.
func completions(env *Env, words []string) []candidate {
	if len(words) == 0 {
		return nil
	}
	word := words[len(words)-1]
	path, rest := env.root.find(words[:len(words)-1])
	c := path[len(path)-1]

	var found []candidate
	if len(rest) == 0 {
		found = subcommands(c)
	}
	switch {
	case c.raw:
		return nil
	case c.Run != nil:
		found = append(found, flagsAndArguments(env, c, rest, word)...)
	case len(path) == 1 && strings.HasPrefix(word, "-"):
		found = append(found, candidate{"--version", "Print the version"}, candidate{"--help", "Show help"})
	}
	var fit []candidate
	for _, f := range found {
		if strings.HasPrefix(f.value, word) && safeWord.MatchString(f.value) {
			fit = append(fit, f)
		}
	}
	return fit
}

func subcommands(c *Command) []candidate {
	var found []candidate
	for i := range c.Sub {
		if s := &c.Sub[i]; s.Name != "" && !s.Hidden {
			found = append(found, candidate{s.Name, s.Short})
		}
	}
	return found
}

// flagsAndArguments completes a word that stands after before in the command
// line of c.
func flagsAndArguments(env *Env, c *Command, before []string, word string) []candidate {
	scratch := *env
	fs := c.flagSet(&scratch)
	waiting, positional, dashed := typed(fs, before)
	name, hasValue, isFlag := flagName(word)
	switch {
	case waiting != "":
		return c.values(env, "--"+waiting, "")
	case hasValue && !dashed:
		return c.values(env, "--"+name, word[:strings.Index(word, "=")+1])
	case (isFlag || word == "-") && !dashed:
		return flagNames(fs)
	}
	args, _ := c.arguments()
	if len(args) == 0 {
		return nil
	}
	if last := len(args) - 1; positional > last && args[last].many {
		positional = last
	}
	if positional >= len(args) {
		return nil
	}
	return c.values(env, args[positional].name, "")
}

// typed reads the words before the one to complete: the flag that waits for
// its value, if any, the number of arguments, and whether -- was among them.
func typed(fs *flag.FlagSet, words []string) (waiting string, positional int, dashed bool) {
	for i, w := range words {
		if waiting != "" {
			waiting = ""
			continue
		}
		if w == "--" {
			return "", positional + len(words) - i - 1, true
		}
		name, hasValue, ok := flagName(w)
		if !ok {
			positional++
			continue
		}
		if f := fs.Lookup(name); f != nil && !isBool(f) && !hasValue {
			waiting = f.Name
			if long := longForm(fs, f); long != "" {
				waiting = long
			}
		}
	}
	return waiting, positional, false
}

// values returns the values of a flag, with its dashes, or of an argument.
func (c *Command) values(env *Env, of, prefix string) []candidate {
	complete := c.Complete[of]
	if complete == nil && c.Mesh && of == "--mesh" {
		complete = Slugs
	}
	if complete == nil {
		return nil
	}
	var found []candidate
	for _, v := range complete(env) {
		found = append(found, candidate{prefix + v, ""})
	}
	return found
}

func flagNames(fs *flag.FlagSet) []candidate {
	var found []candidate
	fs.VisitAll(func(f *flag.Flag) {
		if len(f.Name) > 1 {
			_, help := flag.UnquoteUsage(f)
			found = append(found, candidate{"--" + f.Name, help})
		}
	})
	return append(found, candidate{"--help", "Show help"})
}
