package tools

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"claudemesh/peer"
	"claudemesh/wire"
)

func urlWatchTools() []tool {
	return []tool{
		define(tool{
			name: "mesh_watch", hint: "watch url poll monitor http change status deploy notify",
			description: "Have the broker look at a public URL over and over and tell you by mail when what it sees changes: the page (hash), a value in JSON, or the HTTP status. It goes on when this session ends. Use it instead of polling. Returns the watch's id.",
		}, meshWatch),
		define(tool{
			name: "mesh_unwatch", hint: "unwatch url stop monitoring",
			description: "End a watch of yours.",
		}, meshUnwatch),
		define(tool{
			name: "mesh_watches", reads: true, hint: "watches url monitored list",
			description: "List your URL watches: id, label, url, mode, interval, last value, last check, failures.",
		}, meshWatches),
	}
}

type watchArgs struct {
	URL      string            `json:"url" doc:"http or https"`
	Mode     string            `json:"mode,omitempty" enum:"hash,json,status" doc:"hash if left out"`
	Extract  string            `json:"extract,omitempty" doc:"for json: path of the value, such as $.items[0].state"`
	Interval *float64          `json:"interval,omitempty" doc:"seconds between two looks, 5 to 86400; 30 if left out"`
	NotifyOn string            `json:"notify_on,omitempty" doc:"change (default), match:<value> or not_match:<value>"`
	Headers  map[string]string `json:"headers,omitempty" doc:"sent with each request, such as Authorization"`
	Label    string            `json:"label,omitempty" doc:"what to call it"`
	Mesh     string            `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func meshWatch(ctx context.Context, h *hub, in watchArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	ack, err := peer.Call(ctx, m.client, wire.Watch{
		URL: in.URL, Mode: wire.WatchMode(in.Mode), Extract: in.Extract, Interval: in.Interval, NotifyOn: in.NotifyOn, Headers: in.Headers, Label: in.Label,
	})
	if err != nil {
		return reply{}, m.explain(err)
	}
	return reply{
		data: map[string]any{"mesh": m.slug, "id": ack.WatchID, "mode": ack.Mode, "interval": ack.Interval},
		text: fmt.Sprintf("Watching %s in %s, id %s, mode %s, every %d s. What it sees first is what changes are told against.", neutralLine(ack.URL, 200), m.slug, ack.WatchID, ack.Mode, ack.Interval),
	}, nil
}

type unwatchArgs struct {
	ID   string `json:"watch_id" doc:"as mesh_watches shows it"`
	Mesh string `json:"mesh,omitempty" doc:"slug of the mesh; all if left out"`
}

func meshUnwatch(ctx context.Context, h *hub, in unwatchArgs) (reply, error) {
	all, err := h.among(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	var faults []error
	for _, m := range all {
		ack, err := peer.Call(ctx, m.client, wire.Unwatch{WatchID: in.ID})
		if err != nil {
			faults = append(faults, m.explain(err))
			continue
		}
		return reply{data: map[string]any{"mesh": m.slug, "id": ack.WatchID, "ended": true},
			text: fmt.Sprintf("Ended the watch %s of %s in %s.", ack.WatchID, neutralLine(ack.URL, 200), m.slug)}, nil
	}
	return reply{}, errors.Join(faults...)
}

type watchListArgs struct {
	Mesh string `json:"mesh,omitempty" doc:"slug of the mesh; all if left out"`
}

// lastValueLen is how many characters of a value a list of watches shows.
const lastValueLen = 30

func meshWatches(ctx context.Context, h *hub, in watchListArgs) (reply, error) {
	return h.inEach(in.Mesh, func(m *mesh, text *strings.Builder) (any, error) {
		res, err := peer.Call(ctx, m.client, wire.ListWatches{})
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(text, "## %s (%d watched)\n", m.slug, len(res.Watches))
		for _, w := range res.Watches {
			text.WriteString(watchLine(&w))
		}
		return res.Watches, nil
	})
}

func watchLine(w *wire.WatchEntry) string {
	var b strings.Builder
	fmt.Fprintf(&b, "- %s", w.ID)
	if w.Label != "" {
		fmt.Fprintf(&b, " %q", neutralLine(w.Label, nameLen))
	}
	fmt.Fprintf(&b, " %s, %s every %d s", neutralLine(w.URL, 200), w.Mode, w.Interval)
	if w.LastCheck != nil {
		fmt.Fprintf(&b, ", checked %s", w.LastCheck.Std().Format(dueLayout))
	}
	if w.Suspended {
		b.WriteString(", resting: no session of yours was here")
	}
	if w.LastError != "" {
		fmt.Fprintf(&b, ", failed %s: %s", plural(w.Failures, "time"), neutralLine(w.LastError, 200))
	}
	return b.String() + ": | " + neutralLine(w.LastValue, lastValueLen) + "\n"
}
