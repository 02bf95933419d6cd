package cli

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"strings"

	"claudemesh/peer"
	"claudemesh/wire"
)

// stateDoneJSON says what state set and state rm did.
type stateDoneJSON struct {
	Key     string     `json:"key"`
	Value   wire.Value `json:"value"` // null if it was deleted
	Deleted bool       `json:"deleted,omitempty"`
}

func stateCommand() Command {
	return Command{
		Name: "state", Theme: Share, Short: "Read and set what all peers of a mesh share",
		Long: `The state is one JSON value for each key. Everyone in the mesh may read, set and
delete each key; others are told at once, and sessions see a [state] line.`,
		Sub: []Command{stateGetCommand(), stateSetCommand(), stateListCommand(), stateRemoveCommand(), stateWatchCommand()},
	}
}

func stateGetCommand() Command {
	return Command{
		Name:  "get",
		Args:  "<key>",
		Short: "Print the value of a key",
		Long: `A text is printed as it is, anything else as JSON. The exit code is 1 if the key
is not set. With --json there are the author and the time too, which --if-at of
` + "`claudemesh state set`" + ` takes.`,
		Examples: []string{"claudemesh state get build", "claudemesh state get deploy/owner --json"},
		Mesh:     true, JSON: true, Output: wire.StateResult{},
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				s, err := peer.Call(ctx, c, wire.GetState{Key: args[0]})
				switch {
				case err != nil:
					return err
				case s.UpdatedAt.IsZero():
					return WithHint(fmt.Errorf("%q is not set in %s", args[0], c.Mesh().Slug), "`claudemesh state list` shows what is")
				case env.JSON:
					return env.Out().JSON(s)
				}
				env.Out().Text(plainValue(s.Value))
				return nil
			})
		},
	}
}

// plainValue is a text as it is, and any other value as JSON.
func plainValue(v wire.Value) string {
	var text string
	if len(v) > 0 && v[0] == '"' && json.Unmarshal(v, &text) == nil {
		return text
	}
	return v.String()
}

func stateSetCommand() Command {
	var asText, ifUnset bool
	var ifAt string
	return Command{
		Name:  "set",
		Args:  "<key> <value>",
		Short: "Set a key",
		Long: `The value is JSON if it can be read as such, else text; with --text it is text in
any case. A value that is - is read from standard input.

With --if-at or --if-unset the key is set only if nobody was faster, and the exit
code is 1 otherwise: read it again and decide anew.`,
		Examples: []string{
			`claudemesh state set build green`,
			`claudemesh state set limits '{"cpu": 2}'`,
			`claudemesh state set deploy/owner ann --if-unset`,
		},
		Mesh: true, JSON: true, Output: stateDoneJSON{},
		Flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&asText, "text", false, "take the value for text even if it is JSON")
			fs.BoolVar(&ifUnset, "if-unset", false, "set it only if it is not set")
			fs.StringVar(&ifAt, "if-at", "", "set it only if it was last set at this `time`, which --json of state get shows")
		},
		Run: func(ctx context.Context, env *Env, args []string) error {
			req := wire.SetState{Key: args[0]}
			text, err := readText(env, args[1])
			if err != nil {
				return err
			}
			if asText || json.Unmarshal([]byte(text), &req.Value) != nil {
				quoted, _ := json.Marshal(text) // a string always encodes
				req.Value = quoted
			}
			if req.IfUpdatedAt, err = expected(ifAt, ifUnset); err != nil {
				return err
			}
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				if _, err := peer.Call(ctx, c, req); err != nil {
					return err
				}
				if env.JSON {
					return env.Out().JSON(stateDoneJSON{Key: req.Key, Value: req.Value})
				}
				env.Out().Printf("%s = %s in %s\n", Styled{Bold, req.Key}, req.Value, c.Mesh().Slug)
				return nil
			})
		},
	}
}

// expected is what the flags of state set say of the entry before.
func expected(at string, unset bool) (*wire.Stamp, error) {
	switch {
	case unset && at != "":
		return nil, Usagef("--if-unset and --if-at exclude each other")
	case unset:
		return &wire.Stamp{}, nil
	case at == "":
		return nil, nil
	}
	s := new(wire.Stamp)
	text, _ := json.Marshal(at) // a string always encodes
	if s.UnmarshalJSON(text) != nil {
		return nil, Usagef("--if-at is a time such as 2026-01-31T09:00:00.123Z, not %q", at)
	}
	return s, nil
}

func stateListCommand() Command {
	return Command{
		Name:     "list",
		Args:     "[prefix]",
		Short:    "List the keys with their values",
		Examples: []string{"claudemesh state list", "claudemesh state list deploy/ --json"},
		Mesh:     true, JSON: true, Output: []wire.StateEntry{},
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				list, err := peer.Call(ctx, c, wire.ListState{})
				if err != nil {
					return err
				}
				shown := []wire.StateEntry{}
				for _, e := range list.Entries {
					if len(args) == 0 || strings.HasPrefix(e.Key, args[0]) {
						shown = append(shown, e)
					}
				}
				if env.JSON {
					return env.Out().JSON(shown)
				}
				table := env.Out().Table("KEY", "SET BY", "WHEN", "VALUE")
				for _, e := range shown {
					table.Row(Styled{Bold, e.Key}, e.UpdatedBy, e.UpdatedAt.Std(), e.Value)
				}
				table.Flush()
				switch {
				case len(shown) == 0 && len(list.Entries) > 0:
					env.Err().Printf("No key in %s begins with %s.\n", c.Mesh().Slug, args[0])
				case len(shown) == 0:
					env.Err().Printf("Nothing is set in %s. Set a key with `claudemesh state set <key> <value>`.\n", c.Mesh().Slug)
				}
				return nil
			})
		},
	}
}

func stateRemoveCommand() Command {
	return Command{
		Name:     "rm",
		Args:     "<key>",
		Short:    "Delete a key",
		Examples: []string{"claudemesh state rm deploy/owner"},
		Mesh:     true, JSON: true, Output: stateDoneJSON{},
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				_, err := peer.Call(ctx, c, wire.DeleteState{Key: args[0]})
				switch {
				case errors.Is(err, &wire.Error{Code: wire.NotFound}):
					return fmt.Errorf("%q is not set in %s", args[0], c.Mesh().Slug)
				case err != nil:
					return err
				case env.JSON:
					return env.Out().JSON(stateDoneJSON{Key: args[0], Deleted: true})
				}
				env.Out().Printf("Deleted %s in %s.\n", args[0], c.Mesh().Slug)
				return nil
			})
		},
	}
}
