package cli

import (
	"context"
	"errors"
	"flag"
	"strings"

	"claudemesh/peer"
	"claudemesh/wire"
)

func membersCommand() Command {
	list := membersListCommand()
	return Command{
		Name: "members", Theme: Meshes, Short: list.Short, Long: list.Long, Examples: []string{"claudemesh members", "claudemesh members --json"},
		Mesh: true, JSON: true, Output: list.Output, Run: list.Run,
		Sub: []Command{list, membersRenameCommand(), membersRevokeCommand()},
	}
}

func membersListCommand() Command {
	return Command{
		Name:     "list",
		Short:    "List the members of a mesh, online or not",
		Long:     "Members are who has joined; `claudemesh peers` shows their sessions.",
		Examples: []string{"claudemesh members list"},
		Mesh:     true,
		JSON:     true,
		Output:   []wire.Member{},
		Run: func(ctx context.Context, env *Env, _ []string) error {
			_, m, err := env.ChosenMesh()
			if err != nil {
				return err
			}
			api, err := m.API()
			if err != nil {
				return err
			}
			members, err := api.Members(ctx, m.MeshID)
			if err != nil {
				return explainMesh(err, m)
			}
			if env.JSON {
				return env.Out().JSON(members)
			}
			printMembers(env, m, members)
			return nil
		},
	}
}

func printMembers(env *Env, m *peer.Mesh, members []wire.Member) {
	table := env.Out().Table("NAME", "ONLINE", "ROLE", "KEY", "GROUPS", "TAG", "MODE", "JOINED", "ID")
	for _, one := range members {
		name := one.DisplayName
		if one.ID == m.MemberID {
			name += " (you)"
		}
		tag := ""
		if one.RoleTag != nil {
			tag = *one.RoleTag
		}
		table.Row(Styled{Bold, name}, onlineText(&one), string(one.Permission), shortKey(one.Pubkey), formatGroups(one.Groups), tag, one.MessageMode, one.JoinedAt, env.Out().id(one.ID))
	}
	table.Flush()
}

func onlineText(m *wire.Member) Styled {
	switch {
	case m.SessionCount != nil && *m.SessionCount > 0:
		return Styled{Green, many(*m.SessionCount, "session")}
	case m.Online != nil && *m.Online:
		return Styled{Green, "yes"}
	}
	return Styled{Dim, "no"}
}

func membersRenameCommand() Command {
	return Command{
		Name:  "rename",
		Args:  "<name>",
		Short: "Change the name by which a mesh knows you",
		Long: `Sessions that have a name of their own, by --name, CLAUDEMESH_DISPLAY_NAME or the
configuration, keep it. An admin can end the right of members to rename themselves.`,
		Examples: []string{"claudemesh members rename bob", `claudemesh members rename "Bob at work" --mesh work`},
		Mesh:     true,
		JSON:     true,
		Output:   wire.Member{},
		Run: func(ctx context.Context, env *Env, args []string) error {
			name := strings.TrimSpace(args[0])
			if name == "" {
				return Usagef("the name is empty")
			}
			api, m, err := env.adminAPI()
			if err != nil {
				return err
			}
			res, err := api.PatchMember(ctx, m.MeshID, m.MemberID, wire.MemberPatch{DisplayName: &name})
			if err != nil {
				return explainMesh(err, m)
			}
			if env.JSON {
				return env.Out().JSON(res.Member)
			}
			env.Out().Printf("You are %s in %s now.\n", Styled{Bold, name}, m.Slug)
			return nil
		},
	}
}

func membersRevokeCommand() Command {
	var yes bool
	return Command{
		Name:  "revoke",
		Args:  "<member>",
		Short: "End a membership and every session of it",
		Long: `For admins. The member is named as in ` + "`claudemesh members`" + `, or by the first digits of
the key or characters of the id. Its key opens nothing any more; to come back it
needs a new invite. What it has sent stays. It asks first; without a terminal give
--yes.`,
		Examples: []string{"claudemesh members revoke bob", "claudemesh members revoke de231046 --yes"},
		Mesh:     true,
		JSON:     true,
		Output:   wire.Member{},
		Flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&yes, "yes", false, "do not ask")
			Alias(fs, "y", "yes")
		},
		Run: func(ctx context.Context, env *Env, args []string) error {
			api, m, err := env.adminAPI()
			if err != nil {
				return err
			}
			one, err := findMember(ctx, api, m, args[0])
			if err != nil {
				return explainMesh(err, m)
			}
			if err := env.confirm(ctx, yes, "End the membership of %s (key %s…) in %s?", one.DisplayName, shortKey(one.Pubkey), m.Slug); err != nil {
				return err
			}
			if err := api.RevokeMember(ctx, m.MeshID, one.ID); err != nil {
				return explainMesh(err, m)
			}
			if env.JSON {
				return env.Out().JSON(one)
			}
			env.Out().Printf("%s is no longer a member of %s.\n", Styled{Bold, one.DisplayName}, m.Slug)
			return nil
		},
	}
}

func findMember(ctx context.Context, api *peer.API, m *peer.Mesh, text string) (*wire.Member, error) {
	members, err := api.Members(ctx, m.MeshID)
	if err != nil {
		return nil, err
	}
	all := make([]nameable, len(members))
	for i, one := range members {
		all[i] = nameable{one.DisplayName, []string{one.Pubkey, one.ID}}
	}
	i, err := find(all, text, "member")
	if err != nil {
		return nil, WithHint(err, "`claudemesh members` shows the members")
	}
	if members[i].ID == m.MemberID {
		return nil, WithHint(errors.New("that is you"), "end your own membership with `claudemesh leave %s`", m.Slug)
	}
	return &members[i], nil
}
