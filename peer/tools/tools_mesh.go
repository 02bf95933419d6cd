package tools

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

// pingMark begins the text of a ping. It goes to oneself and is never shown.
const pingMark = "claudemesh-ping:"

func meshTools() []tool {
	return []tool{
		define(tool{
			name: "ping_mesh", hint: "ping test connection latency mesh diagnose",
			description: "Test the way of a message: sends one to this session itself and measures how long its acceptance and its arrival take. Nobody else sees it.",
		}, pingMesh),
		define(tool{
			name: "mesh_info", core: true, reads: true, hint: "mesh info overview groups state counts whoami",
			description: "Get an overview of a mesh: how many peers, groups, shared state, files and tasks there are, and your own name, groups and key.",
		}, meshInfo),
		define(tool{
			name: "mesh_stats", reads: true, hint: "statistics counters messages uptime",
			description: "See how busy each peer was: messages in and out, tool calls, minutes up, errors.",
		}, meshStats),
	}
}

type pingArgs struct {
	Priorities []string `json:"priorities,omitempty" enum:"now,next,low" doc:"which to test; now and next if left out"`
	Mesh       string   `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

type pinged struct {
	Priority string  `json:"priority"`
	AckMS    float64 `json:"ackMs,omitempty"`
	PushMS   float64 `json:"arrivalMs,omitempty"`
	Error    string  `json:"error,omitempty"`
}

func pingMesh(ctx context.Context, h *hub, in pingArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	if len(in.Priorities) == 0 {
		in.Priorities = []string{"now", "next"}
	}
	s := m.client.Status()
	var text strings.Builder
	fmt.Fprintf(&text, "%s: connection %s, message mode %s, %s unseen.\n", m.slug, s.State, h.post.currentMode(), plural(h.post.unseen(), "message"))
	if s.State != peer.StateOpen {
		return reply{}, m.explain(fmt.Errorf("%w: %s", peer.ErrNotConnected, reason(s)))
	}
	var results []pinged
	for _, priority := range in.Priorities[:min(3, len(in.Priorities))] {
		p := h.ping(ctx, m, wire.Priority(priority))
		results = append(results, p)
		if p.Error != "" {
			fmt.Fprintf(&text, "- %s: %s\n", priority, p.Error)
			continue
		}
		fmt.Fprintf(&text, "- %s: accepted after %.1f ms, arrived after %.1f ms\n", priority, p.AckMS, p.PushMS)
	}
	return reply{data: map[string]any{"mesh": m.slug, "connection": s.State.String(), "mode": h.post.currentMode(), "pings": results}, text: text.String()}, nil
}

func (h *hub) ping(ctx context.Context, m *mesh, priority wire.Priority) pinged {
	p := pinged{Priority: string(priority)}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	mark, arrived := pingMark+rand.Text(), make(chan time.Time, 1)
	h.mu.Lock()
	h.pings[mark] = arrived
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		delete(h.pings, mark)
		h.mu.Unlock()
	}()
	begun := time.Now()
	ack, err := m.client.Send(ctx, peer.SendRequest{Target: m.client.Address(), Text: mark, Priority: priority})
	if err != nil {
		p.Error = m.explain(err).Error()
		return p
	}
	p.AckMS = millis(time.Since(begun))
	select {
	case at := <-arrived:
		p.PushMS = millis(at.Sub(begun))
	case <-ctx.Done():
		p.Error = fmt.Sprintf("accepted after %.1f ms, not arrived yet", p.AckMS)
		if ack.Outcome == wire.Held {
			p.Error = "accepted and held: this session's status lets no " + string(priority) + " through"
		}
	}
	return p
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// pong takes a ping out of the mail, be it of this process or of one before it.
func (h *hub) pong(m *mesh, r *peer.Record) bool {
	if r.SenderPubkey != m.client.Address() || !strings.HasPrefix(r.Text(), pingMark) {
		return false
	}
	h.mu.Lock()
	arrived := h.pings[r.Text()]
	delete(h.pings, r.Text())
	h.mu.Unlock()
	if arrived != nil {
		arrived <- r.ReceivedAt.Std()
	}
	m.client.MarkSeen(r.MessageID)
	return true
}

type infoArgs struct {
	Mesh string `json:"mesh,omitempty" doc:"slug of the mesh; all if left out"`
}

func meshInfo(ctx context.Context, h *hub, in infoArgs) (reply, error) {
	return h.inEach(in.Mesh, func(m *mesh, text *strings.Builder) (any, error) {
		info, err := peer.Call(ctx, m.client, wire.MeshInfo{})
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(text, "## %s\n", m.slug)
		for _, line := range []string{
			fmt.Sprintf("you: %s, key %s, groups %s", neutralLine(info.YourName, nameLen), info.YourPubkey, groupList(info.YourGroups)),
			fmt.Sprintf("peers: %d", info.Peers), "groups: " + several(info.Groups), "state keys: " + several(info.StateKeys),
			fmt.Sprintf("memories: %d, files: %d", info.MemoryCount, info.FileCount),
			fmt.Sprintf("tasks: %d open, %d claimed, %d done", info.Tasks.Open, info.Tasks.Claimed, info.Tasks.Done),
			"streams: " + several(info.Streams), "tables: " + several(info.Tables), "collections: " + several(info.Collections),
			"skills: " + several(info.Skills), "services: " + several(info.Services),
		} {
			text.WriteString(line + "\n")
		}
		return info, nil
	})
}

// several lists at most 20 names.
func several(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	var out []string
	for _, n := range names[:min(20, len(names))] {
		out = append(out, neutralLine(n, nameLen))
	}
	if len(names) > 20 {
		out = append(out, fmt.Sprintf("and %d more", len(names)-20))
	}
	return strings.Join(out, ", ")
}

func groupList(groups []wire.Group) string {
	var out []string
	for _, g := range groups {
		name := "@" + g.Name
		if g.Role != "" {
			name += ":" + g.Role
		}
		out = append(out, name)
	}
	return several(out)
}

func meshStats(ctx context.Context, h *hub, in infoArgs) (reply, error) {
	return h.inEach(in.Mesh, func(m *mesh, text *strings.Builder) (any, error) {
		list, err := peer.Call(ctx, m.client, wire.ListPeers{})
		if err != nil {
			return nil, err
		}
		stats := make(map[string]*wire.Stats)
		fmt.Fprintf(text, "## %s\n| Peer | In | Out | Tool calls | Minutes | Errors |\n|---|---|---|---|---|---|\n", m.slug)
		for _, p := range list.Peers {
			s := p.Stats
			if s == nil {
				s = new(wire.Stats)
			}
			stats[p.Pubkey] = s
			fmt.Fprintf(text, "| %s | %.0f | %.0f | %.0f | %.0f | %.0f |\n", strings.ReplaceAll(neutralLine(p.DisplayName, nameLen), "|", "/"),
				s.MessagesIn, s.MessagesOut, s.ToolCalls, s.Uptime/60, s.Errors)
		}
		return stats, nil
	})
}
