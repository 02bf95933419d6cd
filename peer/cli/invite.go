package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

// inviteExpires is how long an invite is good for unless --expires says else.
const inviteExpires = 7 * 24 * time.Hour

// invitedJSON is a new invite.
type invitedJSON struct {
	Link string `json:"link"` // for whoever joins; it is kept nowhere
	wire.Invite
}

func inviteCommand() Command {
	return Command{
		Name:  "invite",
		Theme: Meshes,
		Short: "Make, list and revoke invites",
		Sub:   []Command{inviteCreateCommand(), inviteListCommand(), inviteRevokeCommand()},
	}
}

// inviteFlags are the flags of invite create.
type inviteFlags struct {
	uses    int
	expires span
	role    string
	preset  wire.Preset
	groups  groupsFlag
}

func inviteCreateCommand() Command {
	f := inviteFlags{expires: span(inviteExpires)}
	modes := []string{"push", "inbox", "off"}
	roles := []string{string(wire.Ordinary), string(wire.Admin)}
	return Command{
		Name:  "create",
		Short: "Make an invite and print its link",
		Long: `Whoever has the link can join the mesh and read what is sent to all: pass it on
privately. It is printed here and kept nowhere. Only the user who made the mesh
can sign invites.

With --as-name, --role-tag, --group and --message-mode whoever joins begins with
these settings.`,
		Examples: []string{
			"claudemesh invite create",
			"claudemesh invite create --uses 5 --expires 12h",
			"claudemesh invite create --as-name reviewer --role-tag review --group backend:reviewer --group docs",
		},
		Mesh:   true,
		JSON:   true,
		Output: invitedJSON{},
		Flags: func(fs *flag.FlagSet) {
			fs.IntVar(&f.uses, "uses", 1, "let `n` join with it")
			fs.Var(&f.expires, "expires", "let it end after this `time`, such as 12h or 30d")
			choiceVar(fs, &f.role, "role", string(wire.Ordinary), "make who joins a `member` or an admin, who may change and revoke other members", roles...)
			fs.StringVar(&f.preset.DisplayName, "as-name", "", "call who joins `name`")
			fs.StringVar(&f.preset.RoleTag, "role-tag", "", "label who joins with `text`")
			fs.Var(&f.groups, "group", "put who joins into `group[:role]`; may be repeated")
			choiceVar(fs, &f.preset.MessageMode, "message-mode", "", "let messages of who joins arrive by `mode`: push, inbox or off", modes...)
		},
		Complete: map[string]Completer{"--role": Values(roles...), "--message-mode": Values(modes...)},
		Run:      func(ctx context.Context, env *Env, _ []string) error { return f.create(ctx, env) },
	}
}

func (f *inviteFlags) create(ctx context.Context, env *Env) error {
	switch {
	case f.uses < 1:
		return Usagef("--uses must be at least 1")
	case time.Duration(f.expires) < time.Second:
		return Usagef("--expires must be at least 1s")
	}
	c, m, err := env.ChosenMesh()
	if err != nil {
		return err
	}
	owned, err := c.OwnedMesh(m.MeshID)
	if errors.Is(err, peer.ErrNotOwner) {
		return WithHint(fmt.Errorf("the key that signs invites to %s is not in %s", m.Slug, c.Path()), "ask the user who made the mesh, on the machine where it was made")
	}
	if err != nil {
		return err
	}
	spec := peer.InviteSpec{Uses: f.uses, Expires: time.Duration(f.expires), Role: wire.Permission(f.role)}
	f.preset.Groups = f.groups
	if p := f.preset; p.DisplayName != "" || p.RoleTag != "" || p.MessageMode != "" || len(p.Groups) > 0 {
		spec.Preset = &f.preset
	}
	link, inv, err := owned.Invite(ctx, spec)
	if err != nil {
		return explainMesh(err, m)
	}
	if env.JSON {
		return env.Out().JSON(invitedJSON{link, *inv})
	}
	env.Out().Printf("%s\n", link)
	env.Err().Printf("\nThis link lets %s join %s as %s until %s:\n  claudemesh join <link>\n", many(inv.MaxUses, "user"), m.Slug, inv.Role, env.Err().Date(inv.ExpiresAt.Std()))
	env.Err().Printf("To take it back: claudemesh invite revoke %s\n", shortID(inv.ID))
	return nil
}

func inviteListCommand() Command {
	return Command{
		Name:     "list",
		Short:    "List the invites of a mesh",
		Long:     "For admins. Links are not kept, so they cannot be shown again.",
		Examples: []string{"claudemesh invite list", "claudemesh invite list --json"},
		Mesh:     true,
		JSON:     true,
		Output:   []wire.Invite{},
		Run: func(ctx context.Context, env *Env, _ []string) error {
			api, m, err := env.adminAPI()
			if err != nil {
				return err
			}
			invites, err := api.Invites(ctx, m.MeshID)
			if err != nil {
				return explainMesh(err, m)
			}
			if env.JSON {
				return env.Out().JSON(invites)
			}
			table := env.Out().Table("ID", "STATE", "USED", "ROLE", "CREATED", "EXPIRES", "PRESET")
			for _, i := range invites {
				table.Row(shortID(i.ID), inviteState(&i, env.Now()), fmt.Sprintf("%d/%d", i.Uses, i.MaxUses), string(i.Role), i.CreatedAt, i.ExpiresAt, presetText(i.Preset))
			}
			table.Flush()
			if len(invites) == 0 {
				env.Err().Printf("%s has no invites. Make one with `claudemesh invite create`.\n", m.Slug)
			}
			return nil
		},
	}
}

func inviteState(i *wire.Invite, now time.Time) Styled {
	switch {
	case i.RevokedAt != nil:
		return Styled{Dim, "revoked"}
	case i.Uses >= i.MaxUses:
		return Styled{Dim, "used up"}
	case now.After(i.ExpiresAt.Std()):
		return Styled{Dim, "expired"}
	}
	return Styled{Green, "open"}
}

func presetText(p *wire.Preset) string {
	if p == nil {
		return ""
	}
	var text string
	for _, part := range []string{p.DisplayName, p.RoleTag, formatGroups(p.Groups), p.MessageMode} {
		if part != "" {
			text += " " + part
		}
	}
	return text
}

func inviteRevokeCommand() Command {
	return Command{
		Name:     "revoke",
		Args:     "<id>",
		Short:    "Make an invite useless",
		Long:     "The id, or its first characters, is what `claudemesh invite list` shows. Who has joined with the invite stays.",
		Examples: []string{"claudemesh invite revoke kq3Z8uPd"},
		Mesh:     true,
		JSON:     true,
		Output:   wire.Invite{},
		Run: func(ctx context.Context, env *Env, args []string) error {
			api, m, err := env.adminAPI()
			if err != nil {
				return err
			}
			inv, err := revokeInvite(ctx, api, m, args[0])
			if err != nil {
				return explainMesh(err, m)
			}
			if env.JSON {
				return env.Out().JSON(inv)
			}
			env.Out().Printf("Revoked the invite %s. It was used %d of %d times; who joined with it stays.\n", shortID(inv.ID), inv.Uses, inv.MaxUses)
			return nil
		},
	}
}

func revokeInvite(ctx context.Context, api *peer.API, m *peer.Mesh, id string) (*wire.Invite, error) {
	invites, err := api.Invites(ctx, m.MeshID)
	if err != nil {
		return nil, err
	}
	all := make([]nameable, len(invites))
	for i, inv := range invites {
		all[i] = nameable{ids: []string{inv.ID}}
	}
	i, err := find(all, id, "invite")
	if err != nil {
		return nil, WithHint(err, "`claudemesh invite list` shows the invites")
	}
	if err := api.RevokeInvite(ctx, m.MeshID, invites[i].ID); err != nil {
		return nil, err
	}
	return &invites[i], nil
}

// adminAPI returns the HTTP interface of the chosen mesh, signed as its owner
// where the owner's key is here, else as the member.
func (e *Env) adminAPI() (*peer.API, *peer.Mesh, error) {
	c, m, err := e.ChosenMesh()
	if err != nil {
		return nil, nil, err
	}
	if owned, err := c.OwnedMesh(m.MeshID); err == nil {
		api, err := owned.API()
		return api, m, err
	}
	api, err := m.API()
	return api, m, err
}

// shortID is as much of an id as a list shows.
func shortID(id string) string { return id[:min(8, len(id))] }

// many writes a number of things.
func many(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
