package tools

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"claudemesh/peer"
	"claudemesh/wire"
)

func presenceTools() []tool {
	return []tool{
		define(tool{
			name: "list_peers", core: true, reads: true, hint: "who is online peers agents sessions list",
			description: "See who is in the mesh: name, what each is doing, groups, where it runs, key, and what it says it works on. [local] peers share this machine and its files, [remote] ones do not.",
		}, listPeers),
		define(tool{
			name: "set_summary", core: true, hint: "say what I am working on summary",
			description: "Tell the other agents in one line what this session works on. Do it at the start and when your task changes.",
		}, setSummary),
		define(tool{
			name: "set_status", core: true, hint: "status idle working busy do not disturb",
			description: "Say whether you are idle (takes all mail), working (only priority now gets through; the rest waits) or dnd (only priority now). The host reports idle and working by itself where its hooks are installed.",
		}, setStatus),
		define(tool{
			name: "set_visible", hint: "hide show session visible",
			description: "Hide this session from the lists of others and from messages to groups and everyone, or show it again. Direct messages still arrive.",
		}, setVisible),
		define(tool{
			name: "set_profile", hint: "profile avatar title bio capabilities",
			description: "Set how this session is shown to others. Only what is given changes; an empty text clears it.",
		}, setProfile),
		define(tool{
			name: "join_group", core: true, hint: "join group team label role",
			description: "Put this session into a group, so that messages to @name reach it; name may have levels, as in web/frontend. Your role there is for others to see: lead gathers the answers, member contributes when asked, observer stays silent.",
		}, joinGroup),
		define(tool{
			name: "leave_group", hint: "leave group",
			description: "Take this session out of a group.",
		}, leaveGroup),
	}
}

type listArgs struct {
	Mesh  string `json:"mesh,omitempty" doc:"slug of the mesh; all if left out"`
	Group string `json:"group,omitempty" doc:"only this group and those below it"`
}

// listedPeer is a peer as the structured content has it.
type listedPeer struct {
	Name    string       `json:"name"`
	Key     string       `json:"key"`
	You     bool         `json:"you,omitempty"`
	Local   bool         `json:"local"`
	Status  wire.Status  `json:"status"`
	Away    bool         `json:"away,omitempty"`
	Hidden  bool         `json:"hidden,omitempty"`
	Groups  []wire.Group `json:"groups,omitempty"`
	Type    string       `json:"type,omitempty"`
	Cwd     string       `json:"cwd,omitempty"`
	Host    string       `json:"host,omitempty"`
	Title   string       `json:"title,omitempty"`
	Summary string       `json:"summary,omitempty"`
}

func listPeers(ctx context.Context, h *hub, in listArgs) (reply, error) {
	return h.inEach(in.Mesh, func(m *mesh, text *strings.Builder) (any, error) {
		list, err := peer.Call(ctx, m.client, wire.ListPeers{Group: strings.TrimPrefix(in.Group, "@")})
		if err != nil {
			return nil, err
		}
		peers := make([]listedPeer, 0, len(list.Peers))
		for _, p := range list.Peers {
			peers = append(peers, h.listed(m, &p))
		}
		fmt.Fprintf(text, "## %s (%s)\n", m.slug, plural(len(peers), "peer"))
		for _, p := range peers {
			text.WriteString(p.line())
		}
		return peers, nil
	})
}

// listed copies what a peer says of itself, harmless.
func (h *hub) listed(m *mesh, p *wire.Peer) listedPeer {
	out := listedPeer{
		Name: neutralLine(p.DisplayName, nameLen), Key: p.Pubkey, You: p.Pubkey == m.client.Address(),
		Local: p.Hostname != "" && p.Hostname == h.who.hostname, Status: p.Status, Away: p.Connection == "grace",
		Hidden: p.Visible != nil && !*p.Visible, Cwd: neutralLine(p.Cwd, 200), Host: neutralLine(p.Hostname, nameLen),
	}
	for _, g := range p.Groups {
		out.Groups = append(out.Groups, wire.Group{Name: neutralLine(g.Name, wire.MaxGroupName), Role: neutralLine(g.Role, wire.MaxRole)})
	}
	var kind []string
	for _, k := range []string{p.PeerType, p.Channel, p.Model, p.Role} {
		if k != "" {
			kind = append(kind, neutralLine(k, nameLen))
		}
	}
	out.Type = strings.Join(kind, " ")
	if p.Summary != nil {
		out.Summary = neutralLine(*p.Summary, 300)
	}
	if p.Profile != nil {
		out.Title = neutralLine(p.Profile.Title, wire.MaxTitle)
	}
	return out
}

func (p *listedPeer) line() string {
	var b strings.Builder
	fmt.Fprintf(&b, "- %s", p.Name)
	if p.You {
		b.WriteString(" (you)")
	}
	if p.Title != "" {
		fmt.Fprintf(&b, " (%s)", p.Title)
	}
	status := string(p.Status)
	if p.Away {
		status = "away"
	}
	place := "remote"
	if p.Local {
		place = "local"
	}
	fmt.Fprintf(&b, " [%s] [%s]", status, place)
	if p.Hidden {
		b.WriteString(" [hidden]")
	}
	for _, g := range p.Groups {
		fmt.Fprintf(&b, " @%s", g.Name)
		if g.Role != "" {
			fmt.Fprintf(&b, ":%s", g.Role)
		}
	}
	if p.Type != "" {
		fmt.Fprintf(&b, " {%s}", p.Type)
	}
	fmt.Fprintf(&b, " key %s", p.Key)
	if p.Cwd != "" {
		fmt.Fprintf(&b, " in %s", p.Cwd)
	}
	if p.Summary != "" {
		fmt.Fprintf(&b, " \"%s\"", p.Summary)
	}
	return b.String() + "\n"
}

// everywhere does the same in all chosen meshes. What a mesh cannot be told now
// it is told when it is connected again.
func everywhere(h *hub, slug, done string, data map[string]any, act func(*peer.Client) error) (reply, error) {
	all, err := h.among(slug)
	if err != nil {
		return reply{}, err
	}
	var text strings.Builder
	states, failed := make(map[string]string), true
	for _, m := range all {
		switch err := act(m.client); {
		case err == nil:
			states[m.slug], failed = "done", false
			fmt.Fprintf(&text, "%s: %s.\n", m.slug, done)
		case errors.Is(err, peer.ErrNotConnected) && m.client.State() != peer.StateClosed:
			states[m.slug], failed = "later", false
			fmt.Fprintf(&text, "%s: %s as soon as it is connected (%s).\n", m.slug, done, neutralLine(m.explain(err).Error(), 300))
		default:
			states[m.slug] = "failed"
			fmt.Fprintf(&text, "not done: %s.\n", neutralLine(m.explain(err).Error(), 300))
		}
	}
	data["meshes"] = states
	return reply{data: data, text: text.String(), failed: failed}, nil
}

type summaryArgs struct {
	Summary string `json:"summary" doc:"one line, at most 1000 characters; empty clears it"`
	Mesh    string `json:"mesh,omitempty" doc:"slug of the mesh; all if left out"`
}

func setSummary(ctx context.Context, h *hub, in summaryArgs) (reply, error) {
	return everywhere(h, in.Mesh, "summary set", map[string]any{"summary": in.Summary}, func(c *peer.Client) error { return c.SetSummary(ctx, in.Summary) })
}

type statusSetArgs struct {
	Status string `json:"status" enum:"idle,working,dnd" doc:"what you are doing"`
	Mesh   string `json:"mesh,omitempty" doc:"slug of the mesh; all if left out"`
}

func setStatus(ctx context.Context, h *hub, in statusSetArgs) (reply, error) {
	s := wire.Status(in.Status)
	if !s.Valid() {
		return reply{}, fmt.Errorf("status %q: use idle, working or dnd", wire.Shorten(in.Status, 20))
	}
	return everywhere(h, in.Mesh, "status is "+in.Status, map[string]any{"status": s}, func(c *peer.Client) error { return c.SetStatus(ctx, s) })
}

type visibleArgs struct {
	Visible bool   `json:"visible" doc:"false hides the session"`
	Mesh    string `json:"mesh,omitempty" doc:"slug of the mesh; all if left out"`
}

func setVisible(ctx context.Context, h *hub, in visibleArgs) (reply, error) {
	done := "hidden"
	if in.Visible {
		done = "visible"
	}
	return everywhere(h, in.Mesh, done, map[string]any{"visible": in.Visible}, func(c *peer.Client) error { return c.SetVisible(ctx, in.Visible) })
}

type profileArgs struct {
	Avatar       *string   `json:"avatar,omitempty" doc:"an emoji or an image's URL"`
	Title        *string   `json:"title,omitempty" doc:"at most 100 characters"`
	Bio          *string   `json:"bio,omitempty" doc:"at most 1000 characters"`
	Capabilities *[]string `json:"capabilities,omitempty" doc:"what others can ask of you"`
	Mesh         string    `json:"mesh,omitempty" doc:"slug of the mesh; all if left out"`
}

func setProfile(ctx context.Context, h *hub, in profileArgs) (reply, error) {
	f := wire.SetProfile{Avatar: in.Avatar, Title: in.Title, Bio: in.Bio, Capabilities: in.Capabilities}
	if f == (wire.SetProfile{}) {
		return reply{}, errors.New("nothing to set: give avatar, title, bio or capabilities")
	}
	return everywhere(h, in.Mesh, "profile set", map[string]any{"profile": f}, func(c *peer.Client) error { return c.SetProfile(ctx, f) })
}

type joinArgs struct {
	Name string `json:"name" doc:"the group, without @"`
	Role string `json:"role,omitempty" doc:"lead, member, observer or any other word"`
	Mesh string `json:"mesh,omitempty" doc:"slug of the mesh; all if left out"`
}

func joinGroup(ctx context.Context, h *hub, in joinArgs) (reply, error) {
	g, err := wire.CleanGroup(wire.Group{Name: in.Name, Role: in.Role})
	if err != nil {
		return reply{}, err
	}
	done := "joined @" + g.Name
	if g.Role != "" {
		done += " as " + g.Role
	}
	return everywhere(h, in.Mesh, done, map[string]any{"group": g}, func(c *peer.Client) error { return c.JoinGroup(ctx, g) })
}

type leaveArgs struct {
	Name string `json:"name" doc:"the group, without @"`
	Mesh string `json:"mesh,omitempty" doc:"slug of the mesh; all if left out"`
}

func leaveGroup(ctx context.Context, h *hub, in leaveArgs) (reply, error) {
	g, err := wire.CleanGroup(wire.Group{Name: in.Name})
	if err != nil {
		return reply{}, err
	}
	return everywhere(h, in.Mesh, "left @"+g.Name, map[string]any{"group": g}, func(c *peer.Client) error { return c.LeaveGroup(ctx, g.Name) })
}
