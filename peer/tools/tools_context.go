package tools

import (
	"context"
	"fmt"
	"strings"

	"claudemesh/peer"
	"claudemesh/wire"
)

func contextTools() []tool {
	return []tool{
		define(tool{
			name: "share_context", hint: "context share snapshot findings handover summary files read",
			description: "Share what you have learned so far, so that others need not read it again: a summary, the files you read, your findings. Do so when you come to know something others need, and before you stop. It replaces what you shared before.",
		}, shareContext),
		define(tool{
			name: "get_context", reads: true, hint: "context get search who knows file findings",
			description: "Find what peers have shared of their work by words, a file path or a tag: summaries, files, findings, the newest first. Ask before you read what another has read.",
		}, getContext),
		define(tool{
			name: "list_contexts", reads: true, hint: "context list summaries all peers",
			description: "List what each peer has shared of its work: summary and tags.",
		}, listContexts),
	}
}

type shareContextArgs struct {
	Summary     string   `json:"summary" doc:"what you know, at most 2000 characters"`
	FilesRead   []string `json:"files_read,omitempty" doc:"paths"`
	KeyFindings []string `json:"key_findings,omitempty" doc:"one fact each, at most 1000 characters"`
	Tags        []string `json:"tags,omitempty" doc:"words to find it by"`
	Mesh        string   `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func shareContext(ctx context.Context, h *hub, in shareContextArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	shared, err := peer.Call(ctx, m.client, wire.ShareContext{Summary: in.Summary, FilesRead: in.FilesRead, KeyFindings: in.KeyFindings, Tags: in.Tags})
	if err != nil {
		return reply{}, m.explain(err)
	}
	return reply{
		data: map[string]any{"mesh": m.slug, "id": shared.ID},
		text: fmt.Sprintf("Shared with %s, in place of what you shared before: %s", m.slug, neutralLine(in.Summary, 80)),
	}, nil
}

type getContextArgs struct {
	Query string `json:"query" doc:"words, a part of a path, or a tag"`
	Mesh  string `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func getContext(ctx context.Context, h *hub, in getContextArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	found, err := peer.Call(ctx, m.client, wire.GetContext{Query: in.Query})
	if err != nil {
		return reply{}, m.explain(err)
	}
	if len(found.Contexts) == 0 {
		return reply{data: map[string]any{"mesh": m.slug, "contexts": []any{}}, text: "Nobody has shared anything of that. list_contexts shows what there is."}, nil
	}
	var text strings.Builder
	text.WriteString(notOrders)
	shown := found.Contexts[:0]
	for i, c := range found.Contexts {
		part := renderContext(&c)
		if text.Len()+len(part) > 2*listBytes && i > 0 {
			fmt.Fprintf(&text, "\n%d more: narrow the query.\n", len(found.Contexts)-i)
			break
		}
		text.WriteString(part)
		shown = append(shown, c)
	}
	return reply{data: map[string]any{"mesh": m.slug, "contexts": shown}, text: text.String()}, nil
}

func renderContext(c *wire.SharedContext) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s at %s%s:\n%s\n", quote(c.PeerName), c.UpdatedAt, tagged(c.Tags), quoted(neutral(c.Summary)))
	for _, l := range []struct {
		what string
		list []string
	}{{"finding", c.KeyFindings}, {"file", c.FilesRead}} {
		for _, line := range l.list {
			fmt.Fprintf(&b, "| %s: %s\n", l.what, neutralLine(line, wire.MaxContextItem))
		}
	}
	return b.String()
}

type listContextsArgs struct {
	Mesh string `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func listContexts(ctx context.Context, h *hub, in listContextsArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	list, err := peer.Call(ctx, m.client, wire.ListContexts{})
	if err != nil {
		return reply{}, m.explain(err)
	}
	var text strings.Builder
	shown := list.Contexts[:0]
	for i, c := range list.Contexts {
		c.Summary = wire.Shorten(c.Summary, valueLen)
		line := fmt.Sprintf("- %s at %s%s: | %s\n", quote(c.PeerName), c.UpdatedAt, tagged(c.Tags), neutralLine(c.Summary, valueLen))
		if text.Len()+len(line) > listBytes {
			fmt.Fprintf(&text, "%d more: get_context finds them by words.\n", len(list.Contexts)-i)
			break
		}
		shown = append(shown, c)
		text.WriteString(line)
	}
	if len(shown) == 0 {
		text.WriteString("Nobody has shared a context yet: share_context shares yours.")
		shown = []wire.ContextBrief{}
	}
	return reply{data: map[string]any{"mesh": m.slug, "contexts": shown}, text: text.String()}, nil
}
