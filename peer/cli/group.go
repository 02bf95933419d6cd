package cli

import (
	"context"
	"errors"
	"flag"
	"slices"
	"strings"

	"claudemesh/peer"
	"claudemesh/wire"
)

// groupJSON is a group and who is in it.
type groupJSON struct {
	Name    string        `json:"name"`    // without @
	Default bool          `json:"default"` // your new sessions begin in it
	Members []inGroupJSON `json:"members"`
}

// inGroupJSON is a session in a group.
type inGroupJSON struct {
	Name   string `json:"name"`
	Pubkey string `json:"pubkey"`
	Role   string `json:"role,omitempty"`
}

// groupChangeJSON says what group join and group leave changed.
type groupChangeJSON struct {
	Group   string `json:"group"` // without @
	Role    string `json:"role,omitempty"`
	Changed string `json:"changed"` // session, or default: the groups that new sessions begin in
}

func groupCommand() Command {
	return Command{
		Name: "group", Theme: Talk, Short: "Join, leave and list groups",
		Long: `A group is a label that messages can be sent to: @name, and @name/part below it.
A message to @name reaches those in @name/part too.`,
		Sub: []Command{groupJoinCommand(), groupLeaveCommand(), groupListCommand()},
	}
}

const groupWhose = `It is your connected session that changes: the one this runs in, or the only one.
With --default, or if no session of yours is connected, it is your default groups,
in which new sessions begin.`

func groupJoinCommand() Command {
	var role string
	var byDefault bool
	return Command{
		Name:     "join",
		Args:     "<name>",
		Short:    "Join a group",
		Long:     groupWhose,
		Examples: []string{"claudemesh group join frontend", "claudemesh group join backend/api --role lead"},
		Mesh:     true, JSON: true, Output: groupChangeJSON{},
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&role, "role", "", "be known as `role` there, such as lead or observer")
			fs.BoolVar(&byDefault, "default", false, "change the groups in which your new sessions begin")
		},
		Run: func(ctx context.Context, env *Env, args []string) error {
			g, err := wire.CleanGroup(wire.Group{Name: args[0], Role: role})
			if err != nil {
				return Usagef("%s", plainError(err))
			}
			return changeGroups(ctx, env, g, byDefault, wire.JoinGroup(g), func(have []wire.Group) []wire.Group { return wire.PutGroup(have, g) }, "Joined")
		},
	}
}

func groupLeaveCommand() Command {
	var byDefault bool
	return Command{
		Name:     "leave",
		Args:     "<name>",
		Short:    "Leave a group",
		Long:     groupWhose,
		Examples: []string{"claudemesh group leave frontend"},
		Mesh:     true, JSON: true, Output: groupChangeJSON{},
		Flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&byDefault, "default", false, "change the groups in which your new sessions begin")
		},
		Run: func(ctx context.Context, env *Env, args []string) error {
			g, err := wire.CleanGroup(wire.Group{Name: args[0]})
			if err != nil {
				return Usagef("%s", plainError(err))
			}
			without := func(have []wire.Group) []wire.Group {
				return slices.DeleteFunc(have, func(h wire.Group) bool { return h.Name == g.Name })
			}
			return changeGroups(ctx, env, g, byDefault, wire.LeaveGroup{Name: g.Name}, without, "Left")
		},
	}
}

// changeGroups asks the broker to change the groups of the connected session
// or, without one, changes the member's default groups.
func changeGroups(ctx context.Context, env *Env, g wire.Group, byDefault bool, req wire.Request[wire.Ack], change func([]wire.Group) []wire.Group, verb string) error {
	return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
		done := groupChangeJSON{g.Name, g.Role, "session"}
		var err error
		if !byDefault {
			_, err = peer.Call(ctx, c, req)
		}
		if byDefault || errors.Is(err, &wire.Error{Code: wire.NotFound}) {
			done.Changed = "default"
			groups := change(slices.Clone(c.Hello().MemberProfile.Groups))
			err = patchGroups(ctx, c.Mesh(), groups)
		}
		if errors.Is(err, &wire.Error{Code: wire.Ambiguous}) {
			return WithHint(err, "--default changes the groups in which your new sessions begin")
		}
		switch {
		case err != nil:
			return err
		case env.JSON:
			return env.Out().JSON(done)
		case done.Changed == "default":
			env.Out().Printf("%s @%s in %s by default: your new sessions there begin so.\n", verb, g.Name, c.Mesh().Slug)
		default:
			env.Out().Printf("%s @%s in %s with your connected session.\n", verb, g.Name, c.Mesh().Slug)
		}
		return nil
	})
}

func patchGroups(ctx context.Context, m peer.Mesh, groups []wire.Group) error {
	api, err := m.API()
	if err != nil {
		return err
	}
	_, err = api.PatchMember(ctx, m.MeshID, m.MemberID, wire.MemberPatch{Groups: &groups})
	return err
}

func groupListCommand() Command {
	return Command{
		Name:     "list",
		Args:     "[name]",
		Short:    "List the groups of a mesh and who is in them",
		Examples: []string{"claudemesh group list", "claudemesh group list backend --json"},
		Mesh:     true, JSON: true, Output: []groupJSON{},
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				list, err := peer.Call(ctx, c, wire.ListPeers{})
				if err != nil {
					return err
				}
				groups := groupsOf(list.Peers, c.Hello().MemberProfile.Groups)
				if len(args) == 1 {
					name := strings.TrimPrefix(args[0], "@")
					groups = slices.DeleteFunc(groups, func(g groupJSON) bool { return !(wire.Group{Name: g.Name}).Matches(name) })
				}
				if env.JSON {
					return env.Out().JSON(groups)
				}
				printGroups(env, c.Mesh().Slug, groups)
				return nil
			})
		},
	}
}

// groupsOf collects the groups of sessions and one's own defaults, by name.
func groupsOf(peers []wire.Peer, own []wire.Group) []groupJSON {
	all := []groupJSON{}
	entry := func(name string) *groupJSON {
		i, found := slices.BinarySearchFunc(all, name, func(g groupJSON, name string) int { return strings.Compare(g.Name, name) })
		if !found {
			all = slices.Insert(all, i, groupJSON{Name: name, Members: []inGroupJSON{}})
		}
		return &all[i]
	}
	for _, p := range peers {
		for _, g := range p.Groups {
			e := entry(g.Name)
			e.Members = append(e.Members, inGroupJSON{p.DisplayName, p.Pubkey, g.Role})
		}
	}
	for _, g := range own {
		entry(g.Name).Default = true
	}
	return all
}

func printGroups(env *Env, slug string, groups []groupJSON) {
	table := env.Out().Table("GROUP", "ONLINE", "WHO")
	for _, g := range groups {
		words := make([]string, len(g.Members))
		for i, m := range g.Members {
			words[i] = m.Name
			if m.Role != "" {
				words[i] += ":" + m.Role
			}
		}
		who := strings.Join(words, ", ")
		if g.Default {
			who = strings.TrimPrefix(who+", you by default", ", ")
		}
		table.Row(Styled{Bold, "@" + g.Name}, len(g.Members), who)
	}
	table.Flush()
	if len(groups) == 0 {
		env.Err().Printf("Nobody online in %s is in a group. Join one with `claudemesh group join <name>`.\n", slug)
	}
}
