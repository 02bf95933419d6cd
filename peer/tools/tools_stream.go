package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"claudemesh/peer"
	"claudemesh/wire"
)

const entryLen = 2000 // characters of an entry that are shown

func streamTools() []tool {
	return []tool{
		define(tool{
			name: "create_stream", hint: "create stream topic pubsub feed",
			description: "Make a stream, or find the one of that name. Only needed to have it keep more or less than its newest 100 entries: a stream that is published to is made.",
		}, createStream),
		define(tool{
			name: "publish", hint: "publish stream event topic broadcast entry",
			description: "Add an entry to a stream for all who subscribe to it: progress, build results, events of which there are many. The result has its number and how many were reached; who comes later can fetch it.",
		}, publish),
		define(tool{
			name: "subscribe", hint: "subscribe stream follow topic events history",
			description: "Be told of the entries of a stream as they are published; the stream need not be there yet. With from the result has kept entries too: use it to read back, or to fetch what a notice only counted.",
		}, subscribe),
		define(tool{
			name: "unsubscribe", hint: "unsubscribe stream stop following",
			description: "Stop being told of the entries of a stream.",
		}, unsubscribe),
		define(tool{
			name: "list_streams", reads: true, hint: "list streams topics feeds",
			description: "List the streams of a mesh: how many entries each has had and keeps, who made it, how many subscribe, and whether you do.",
		}, listStreams),
	}
}

type createStreamArgs struct {
	Name string `json:"name" doc:"at most 128 characters"`
	Keep *int   `json:"keep,omitempty" doc:"how many of its newest entries it keeps, at most 1000; 100 if left out"`
	Mesh string `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func createStream(ctx context.Context, h *hub, in createStreamArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	res, err := peer.Call(ctx, m.client, wire.CreateStream{Name: in.Name, Keep: in.Keep})
	if err != nil {
		return reply{}, m.explain(err)
	}
	done := "Made"
	if res.Existed {
		done = "There is already"
	}
	return reply{
		data: map[string]any{"mesh": m.slug, "id": res.ID, "name": res.Name, "keep": res.Keep, "existed": res.Existed},
		text: fmt.Sprintf("%s the stream %s in %s, id %s. It keeps its newest %d.", done, neutralLine(res.Name, wire.MaxStreamName), m.slug, res.ID, res.Keep),
	}, nil
}

type publishArgs struct {
	Stream string     `json:"stream" doc:"its name"`
	Data   wire.Value `json:"data" doc:"any JSON value"`
	Mesh   string     `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func publish(ctx context.Context, h *hub, in publishArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	seq, reached, err := m.client.Publish(ctx, in.Stream, in.Data)
	if err != nil {
		return reply{}, m.explain(err)
	}
	return reply{
		data: map[string]any{"mesh": m.slug, "stream": in.Stream, "seq": seq, "reached": reached},
		text: fmt.Sprintf("Published as number %d of %s in %s; %s reached.", seq, neutralLine(in.Stream, wire.MaxStreamName), m.slug, plural(reached, "subscriber")),
	}, nil
}

type subscribeArgs struct {
	Stream string `json:"stream" doc:"its name"`
	From   int    `json:"from,omitempty" doc:"show the kept entries from this number on; 1 is all of them, -10 the last ten"`
	Mesh   string `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func subscribe(ctx context.Context, h *hub, in subscribeArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	if err := h.followStream(ctx, m, in.Stream); err != nil {
		return reply{}, m.explain(err)
	}
	res, err := keptEntries(ctx, m, in.Stream, int64(in.From))
	if err != nil {
		return reply{}, m.explain(err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "Subscribed to %s in %s; its newest entry is number %d.\n", neutralLine(in.Stream, wire.MaxStreamName), m.slug, res.Last)
	shown := 0
	for _, e := range res.Entries {
		line := fmt.Sprintf("- #%d from %q at %s: %s\n", e.Seq, neutralLine(e.PublishedBy, nameLen), e.PublishedAt, shortEntry(e.Data))
		if text.Len()+len(line) > 2*listBytes && shown > 0 {
			res.More = true
			break
		}
		text.WriteString(line)
		shown++
	}
	res.Entries = res.Entries[:shown]
	if res.More {
		fmt.Fprintf(&text, "There are more: subscribe with from=%d.\n", res.Entries[shown-1].Seq+1)
	}
	return reply{
		data: map[string]any{"mesh": m.slug, "stream": in.Stream, "first": res.First, "last": res.Last, "entries": res.Entries, "more": res.More},
		text: text.String(),
	}, nil
}

// keptEntries subscribes and returns the kept entries from a number on, the
// last -from ones, or none.
func keptEntries(ctx context.Context, m *mesh, stream string, from int64) (wire.Subscribed, error) {
	res, err := peer.Call(ctx, m.client, wire.Subscribe{Stream: stream})
	if err != nil || from == 0 {
		return res, err
	}
	if from < 0 {
		from = max(res.Last+1+from, 1)
	}
	return peer.Call(ctx, m.client, wire.Subscribe{Stream: stream, From: &from})
}

// shortEntry is the beginning of an entry as JSON, which has no line breaks.
func shortEntry(data []byte) string {
	var v wire.Value
	if json.Unmarshal(data, &v) != nil {
		return ""
	}
	return wire.Shorten(neutral(v.String()), entryLen)
}

type streamArgs struct {
	Stream string `json:"stream" doc:"its name"`
	Mesh   string `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func unsubscribe(ctx context.Context, h *hub, in streamArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	if err := m.unfollowStream(ctx, in.Stream); err != nil {
		return reply{}, m.explain(err)
	}
	return reply{
		data: map[string]any{"mesh": m.slug, "stream": in.Stream},
		text: fmt.Sprintf("No longer subscribed to %s in %s.", neutralLine(in.Stream, wire.MaxStreamName), m.slug),
	}, nil
}

type listStreamsArgs struct {
	Mesh string `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func listStreams(ctx context.Context, h *hub, in listStreamsArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	list, err := peer.Call(ctx, m.client, wire.ListStreams{})
	if err != nil {
		return reply{}, m.explain(err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s in %s.\n", plural(len(list.Streams), "stream"), m.slug)
	shown := 0
	for _, s := range list.Streams {
		line := fmt.Sprintf("- %s: %s, %d kept, %s, made by %q, id %s", neutralLine(s.Name, wire.MaxStreamName), plural(int(s.Last), "publication"), s.Kept,
			plural(s.SubscriberCount, "subscriber"), neutralLine(s.CreatedBy, nameLen), s.ID)
		if s.Subscribed {
			line += ", you subscribe"
		}
		if text.Len()+len(line) > listBytes {
			fmt.Fprintf(&text, "and %d more\n", len(list.Streams)-shown)
			break
		}
		text.WriteString(line + "\n")
		shown++
	}
	return reply{data: map[string]any{"mesh": m.slug, "streams": list.Streams[:shown], "more": len(list.Streams) - shown}, text: text.String()}, nil
}
