package tools

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

const (
	valueLen  = 300     // characters of a value in a list or a notification
	listBytes = 8 << 10 // of a listing that a model is given
)

func stateTools() []tool {
	return []tool{
		define(tool{
			name: "set_state", hint: "shared state set key value write store lock decision",
			description: "Set a key of the state that all peers of a mesh share: facts that change and that others look up, such as who deploys, which port is used, whether the build is green. Others are told at once. With if_updated_at it fails if another was faster.",
		}, setState),
		define(tool{
			name: "get_state", reads: true, hint: "shared state get read key value lookup",
			description: "Read a key of the shared state: its value, who set it and when, or that it is not set.",
		}, getState),
		define(tool{
			name: "list_state", reads: true, hint: "shared state list keys all",
			description: "List the keys of the shared state with values, authors and times.",
		}, listState),
		define(tool{
			name: "delete_state", hint: "shared state delete remove unset key",
			description: "Remove a key of the shared state. Others are told.",
		}, deleteState),
	}
}

type setStateArgs struct {
	Key         string      `json:"key" doc:"at most 256 characters, such as deploy/owner"`
	Value       wire.Value  `json:"value" doc:"any JSON value"`
	IfUpdatedAt *wire.Stamp `json:"if_updated_at,omitempty" doc:"set it only if it was last set then, as get_state said; empty: only if it is not set"`
	Mesh        string      `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func setState(ctx context.Context, h *hub, in setStateArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	if _, err := peer.Call(ctx, m.client, wire.SetState{Key: in.Key, Value: in.Value, IfUpdatedAt: in.IfUpdatedAt}); err != nil {
		return reply{}, m.explain(err)
	}
	return reply{
		data: map[string]any{"mesh": m.slug, "key": in.Key, "value": in.Value},
		text: fmt.Sprintf("State set in %s: %s = %s", m.slug, neutralLine(in.Key, wire.MaxStateKey), shortValue(in.Value)),
	}, nil
}

type keyArgs struct {
	Key  string `json:"key" doc:"the key"`
	Mesh string `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func getState(ctx context.Context, h *hub, in keyArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	s, err := peer.Call(ctx, m.client, wire.GetState{Key: in.Key})
	if err != nil {
		return reply{}, m.explain(err)
	}
	if s.UpdatedAt.IsZero() {
		return reply{
			data: map[string]any{"mesh": m.slug, "key": in.Key, "set": false},
			text: fmt.Sprintf("%s is not set in %s.", neutralLine(in.Key, wire.MaxStateKey), m.slug),
		}, nil
	}
	return reply{
		data: map[string]any{"mesh": m.slug, "key": s.Key, "set": true, "value": s.Value, "updatedBy": s.UpdatedBy, "updatedAt": s.UpdatedAt},
		text: stateLine(s.Key, neutral(s.Value.String()), s.UpdatedBy, s.UpdatedAt),
	}, nil
}

func stateLine(key, value, by string, at wire.Stamp) string {
	return fmt.Sprintf("%s = %s (set by %s at %s)", neutralLine(key, wire.MaxStateKey), value, quote(by), at)
}

type listStateArgs struct {
	Prefix string `json:"prefix,omitempty" doc:"only keys that begin so"`
	Mesh   string `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func listState(ctx context.Context, h *hub, in listStateArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	list, err := peer.Call(ctx, m.client, wire.ListState{})
	if err != nil {
		return reply{}, m.explain(err)
	}
	type brief struct {
		Key       string     `json:"key"`
		Value     wire.Value `json:"value,omitempty"` // unless it is long
		UpdatedBy string     `json:"updatedBy"`
		UpdatedAt wire.Stamp `json:"updatedAt"`
	}
	shown, total := []brief{}, 0
	var text strings.Builder
	for _, e := range list.Entries {
		if !strings.HasPrefix(e.Key, in.Prefix) {
			continue
		}
		total++
		line := stateLine(e.Key, shortValue(e.Value), e.UpdatedBy, e.UpdatedAt) + "\n"
		if text.Len()+len(line) > listBytes {
			continue
		}
		b := brief{Key: e.Key, UpdatedBy: e.UpdatedBy, UpdatedAt: e.UpdatedAt}
		if len(e.Value) <= valueLen {
			b.Value = e.Value
		}
		shown = append(shown, b)
		text.WriteString(line)
	}
	switch {
	case total == 0:
		fmt.Fprintf(&text, "Nothing of that is set in %s.", m.slug)
	case len(shown) < total:
		fmt.Fprintf(&text, "%d more: narrow it by prefix.", total-len(shown))
	}
	return reply{data: map[string]any{"mesh": m.slug, "entries": shown, "total": total}, text: text.String()}, nil
}

type deleteStateArgs struct {
	Key         string      `json:"key" doc:"the key"`
	IfUpdatedAt *wire.Stamp `json:"if_updated_at,omitempty" doc:"delete it only if it was last set then, as get_state said"`
	Mesh        string      `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func deleteState(ctx context.Context, h *hub, in deleteStateArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	if _, err := peer.Call(ctx, m.client, wire.DeleteState{Key: in.Key, IfUpdatedAt: in.IfUpdatedAt}); err != nil {
		return reply{}, m.explain(err)
	}
	return reply{
		data: map[string]any{"mesh": m.slug, "deleted": in.Key},
		text: fmt.Sprintf("Deleted in %s: %s", m.slug, neutralLine(in.Key, wire.MaxStateKey)),
	}, nil
}

// shortValue is the beginning of a value as JSON, which has no line breaks.
func shortValue(v wire.Value) string { return wire.Shorten(neutral(v.String()), valueLen) }

// stateNotice says in a line what was changed in the shared state.
func stateNotice(s *wire.StateChange) string {
	if s.Deleted {
		return fmt.Sprintf("[state] %s was deleted (by %s)", neutralLine(s.Key, 2*wire.MaxName), neutralLine(s.UpdatedBy, nameLen))
	}
	return fmt.Sprintf("[state] %s = %s (set by %s)", neutralLine(s.Key, 2*wire.MaxName), shortValue(s.Value), neutralLine(s.UpdatedBy, nameLen))
}

// moment reads a time as a model writes it: with date and time, or a date,
// which is its beginning in UTC.
func moment(name, text string) (wire.Stamp, error) {
	if text == "" {
		return wire.Stamp{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return wire.StampOf(t), nil
		}
	}
	return wire.Stamp{}, errors.New(name + " must be a time such as 2026-01-31T09:00:00Z, or a date")
}
