package cli

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"

	"claudemesh/wire"
)

// choice is a flag that takes one of a few words.
type choice struct {
	value *string
	words []string
}

func (c choice) String() string {
	if c.value == nil {
		return ""
	}
	return *c.value
}

// Set implements flag.Value.
func (c choice) Set(s string) error {
	if !slices.Contains(c.words, s) {
		return fmt.Errorf("it is one of: %s", strings.Join(c.words, ", "))
	}
	*c.value = s
	return nil
}

// choiceVar defines a flag that takes one of words.
func choiceVar(fs *flag.FlagSet, p *string, name, value, help string, words ...string) {
	*p = value
	fs.Var(choice{p, words}, name, help)
}

// repeated is a flag that may be given several times.
type repeated []string

func (r *repeated) String() string { return strings.Join(*r, ",") }

// Set implements flag.Value.
func (r *repeated) Set(s string) error {
	if s == "" {
		return errors.New("it is empty")
	}
	*r = append(*r, s)
	return nil
}

// groupsFlag is a flag, to be given several times, for a group and, after
// a colon, the role in it.
type groupsFlag []wire.Group

func (g *groupsFlag) String() string { return formatGroups(*g) }

// Set implements flag.Value.
func (g *groupsFlag) Set(s string) error {
	name, role, _ := strings.Cut(s, ":")
	one, err := wire.CleanGroup(wire.Group{Name: strings.TrimSpace(name), Role: strings.TrimSpace(role)})
	if err != nil {
		return errors.New(plainError(err))
	}
	*g = wire.PutGroup(*g, one)
	return nil
}

// formatGroups writes groups as people do: @team:lead @docs.
func formatGroups(groups []wire.Group) string {
	words := make([]string, len(groups))
	for i, g := range groups {
		words[i] = "@" + g.Name
		if g.Role != "" {
			words[i] += ":" + g.Role
		}
	}
	return strings.Join(words, " ")
}
