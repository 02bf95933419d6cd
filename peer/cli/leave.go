package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"claudemesh/peer"
)

// leftJSON is what leave prints as JSON.
type leftJSON struct {
	Slug   string `json:"slug"`
	MeshID string `json:"meshId"`
	Local  bool   `json:"local"`           // the broker was not told
	Owner  bool   `json:"owner,omitempty"` // the key that owns the mesh is still here
}

func leaveCommand() Command {
	var yes, local bool
	return Command{
		Name:  "leave",
		Theme: Meshes,
		Args:  "[slug]",
		Short: "End your membership in a mesh",
		Long: `Ends the membership at the broker, with every session of yours, and removes the
mesh with its keys from this machine. Mail that waits for you is lost. To come
back takes a new invite. It asks first; without a terminal give --yes.`,
		Examples: []string{"claudemesh leave work", "claudemesh leave work --local"},
		Mesh:     true,
		JSON:     true,
		Output:   leftJSON{},
		Flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&yes, "yes", false, "do not ask")
			fs.BoolVar(&local, "local", false, "only remove it here, without telling the broker")
			Alias(fs, "y", "yes")
		},
		Complete: map[string]Completer{"slug": Slugs},
		Run: func(ctx context.Context, env *Env, args []string) error {
			if len(args) == 1 {
				if env.Mesh != "" && env.Mesh != args[0] && env.Mesh != env.Getenv(envName("mesh")) {
					return Usagef("--mesh %s and %s are two meshes", env.Mesh, args[0])
				}
				env.Mesh = args[0]
			}
			return leave(ctx, env, yes, local)
		},
	}
}

func leave(ctx context.Context, env *Env, yes, local bool) error {
	c, m, err := env.ChosenMesh()
	if err != nil {
		return err
	}
	what := "Leave %s (%s) and delete its keys from this machine?"
	if local {
		what = "Delete the keys of %s (%s) from this machine, staying a member?"
	}
	if err := env.confirm(ctx, yes, what, m.Slug, m.BrokerURL); err != nil {
		return err
	}
	if !local {
		env.Mesh = m.Slug
		err := onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error { return c.Leave(ctx) })
		if errors.Is(err, peer.ErrUnreachable) {
			return WithHint(fmt.Errorf("nothing was changed: %w", err), "%s; `claudemesh leave %s --local` removes it here only", startHint(m.BrokerURL), m.Slug)
		}
		if err != nil {
			return err
		}
	}
	keys := c.SessionKeys()
	err = peer.UpdateConfig(ctx, env.ConfigDir, func(c *peer.Config) error {
		c.RemoveMesh(m.MeshID)
		return nil
	})
	if err == nil {
		err = keys.Forget(m.MeshID)
	}
	if err != nil {
		return fmt.Errorf("remove %s from this machine: %w", m.Slug, err)
	}
	_, notOwner := c.OwnedMesh(m.MeshID)
	return printLeft(env, leftJSON{m.Slug, m.MeshID, local, notOwner == nil})
}

func printLeft(env *Env, l leftJSON) error {
	out := env.Out()
	switch {
	case env.JSON:
		return out.JSON(l)
	case l.Local:
		out.Printf("Removed %s from this machine. The broker may still count you as a member.\n", Styled{Bold, l.Slug})
	default:
		out.Printf("Left %s.\n", Styled{Bold, l.Slug})
	}
	if l.Owner {
		out.Printf("You made this mesh, so the key that owns it stays in the configuration.\n")
	}
	return nil
}
