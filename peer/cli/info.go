package cli

import (
	"context"
	"strings"

	"claudemesh/peer"
	"claudemesh/wire"
)

// infoJSON is what info prints as JSON.
type infoJSON struct {
	Slug        string `json:"slug"` // local
	MeshID      string `json:"meshId"`
	MemberID    string `json:"memberId"`
	BrokerURL   string `json:"brokerUrl"`
	DisplayName string `json:"displayName"`
	PeerCount   int    `json:"peerCount"`
	StateCount  int    `json:"stateCount"`
	wire.MeshInfoResult
}

func infoCommand() Command {
	return Command{
		Name:     "info",
		Theme:    Meshes,
		Short:    "Show what is in a mesh and who you are there",
		Examples: []string{"claudemesh info", "claudemesh info --json"},
		Mesh:     true,
		JSON:     true,
		Output:   infoJSON{},
		Run: func(ctx context.Context, env *Env, _ []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				res, err := peer.Call(ctx, c, wire.MeshInfo{})
				if err != nil {
					return err
				}
				m := c.Mesh()
				info := infoJSON{m.Slug, m.MeshID, m.MemberID, m.BrokerURL, res.YourName, res.Peers, len(res.StateKeys), res}
				if env.JSON {
					return env.Out().JSON(info)
				}
				printInfo(env, &info)
				return nil
			})
		},
	}
}

func printInfo(env *Env, i *infoJSON) {
	out := env.Out()
	line := func(name, format string, args ...any) {
		out.Printf("%s  "+format+"\n", append([]any{Styled{Dim, name + strings.Repeat(" ", max(0, 8-len(name)))}}, args...)...)
	}
	title := i.Slug
	if i.Name != "" && i.Name != i.Slug {
		title += ", " + i.Name
	}
	line("mesh", "%s (%s)", title, i.MeshID)
	line("broker", "%s", i.BrokerURL)
	line("you", "%s, key %s…, member %s", i.YourName, i.YourPubkey[:min(16, len(i.YourPubkey))], i.MemberID)
	if len(i.YourGroups) > 0 {
		line("groups", "%s", formatGroups(i.YourGroups))
	}
	line("online", "%s", many(i.PeerCount, "session"))
	if len(i.Groups) > 0 {
		line("all", "%s", strings.Join(i.Groups, " "))
	}
}
