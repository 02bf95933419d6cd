package tools

import (
	"context"
	"fmt"
	"strings"
	"time"

	"claudemesh/peer"
)

func searchTools() []tool {
	return []tool{
		define(tool{
			name: "search_peers", reads: true, hint: "find peer who knows expert skill search people",
			description: "Find out who can help with something: looks in names, roles, groups, summaries, profiles, directories and shared skills of all peers, members who are offline too, and says by what each was found, best first.",
		}, searchPeers),
	}
}

type searchArgs struct {
	Query string `json:"query" doc:"words for what you need, such as postgres migration"`
	Mesh  string `json:"mesh,omitempty" doc:"slug of the mesh; all if left out"`
}

// foundPeer is a result as the structured content has it.
type foundPeer struct {
	listedPeer
	Offline bool     `json:"offline,omitempty"` // a member without a session
	Why     []string `json:"foundBy"`
}

func searchPeers(ctx context.Context, h *hub, in searchArgs) (reply, error) {
	return h.inEach(in.Mesh, func(m *mesh, text *strings.Builder) (any, error) {
		results, err := m.client.Search(ctx, in.Query)
		if err != nil {
			return nil, err
		}
		found := make([]foundPeer, 0, len(results))
		fmt.Fprintf(text, "## %s (%d found)\n", m.slug, len(results))
		for i := range results {
			f := h.found(m, &results[i])
			found = append(found, f)
			text.WriteString(f.line())
		}
		return found, nil
	})
}

func (h *hub) found(m *mesh, f *peer.Found) foundPeer {
	var out foundPeer
	if f.Peer != nil {
		out.listedPeer = h.listed(m, f.Peer)
	} else {
		out.Name, out.Key, out.Type, out.Offline = neutralLine(f.Member.DisplayName, nameLen), f.Member.Pubkey, neutralLine(f.Member.RoleTag, nameLen), true
		if f.Member.LastSeenAt != nil {
			out.Summary = "last here " + f.Member.LastSeenAt.Std().UTC().Format(time.RFC3339)
		}
	}
	for _, w := range f.Why {
		out.Why = append(out.Why, w.Kind+": "+neutralLine(w.Text, 120))
	}
	return out
}

func (f *foundPeer) line() string {
	line := strings.TrimSuffix(f.listedPeer.line(), "\n")
	if f.Offline {
		line = fmt.Sprintf("- %s [offline] key %s %s", f.Name, f.Key, f.Summary)
	}
	return line + "; found by " + strings.Join(f.Why, ", ") + "\n"
}
