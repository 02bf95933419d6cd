package cli

import (
	"context"
	"fmt"
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
	for _, named := range []struct {
		what  string
		names []string
	}{
		{"state", i.StateKeys}, {"streams", i.Streams}, {"skills", i.Skills}, {"services", i.Services},
		{"tables", i.Tables}, {"vectors", i.Collections},
	} {
		if len(named.names) > 0 {
			line(named.what, "%s", firstFew(named.names))
		}
	}
	if t := i.Tasks; t != (wire.TaskCounts{}) {
		line("tasks", "%d open, %d claimed, %d done", t.Open, t.Claimed, t.Done)
	}
	if i.MemoryCount > 0 {
		line("memory", "%d", i.MemoryCount)
	}
	if i.FileCount > 0 {
		line("files", "%d", i.FileCount)
	}
}

// firstFew lists names, as many as fit a line or two.
func firstFew(names []string) string {
	const few = 12
	text := strings.Join(names[:min(few, len(names))], " ")
	if more := len(names) - few; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
