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

func reserveTools() []tool {
	return []tool{
		define(tool{
			name: "reserve", hint: "reserve lock lease files paths before editing conflict",
			description: "Before you edit files that another agent may be editing, on any machine: reserve the files, directories or globs of this repository (relative to the session's directory, or to the repository's root after /). All or none; if something is in the way the result says who holds it: ask them with send_message. It ends with this session, or after its minutes; reserve again to renew.",
		}, reservePaths),
		define(tool{
			name: "release_paths", hint: "release unlock reservation files paths",
			description: "Release what you reserved with reserve, as soon as your changes are committed. Without patterns: all that you hold in this repository. (release_task is for tasks.)",
		}, releasePaths),
		define(tool{
			name: "reservations", reads: true, hint: "who is editing reserved locked files paths",
			description: "See which paths of this repository are reserved, by whom, until when and why.",
		}, listReservations),
	}
}

type reserveArgs struct {
	Patterns list   `json:"patterns" doc:"up to 10: src/a.go, src/parser, src/**/*.proto"`
	Shared   bool   `json:"shared,omitempty" doc:"others may reserve it as shared too; exclusive if left out"`
	Minutes  int    `json:"minutes,omitempty" doc:"60 if left out, a week at most"`
	Reason   string `json:"reason,omitempty" doc:"what you are doing there, for others"`
	Mesh     string `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

// reserveRequest makes the request of patterns in the session's directory.
func (h *hub) reserveRequest(ctx context.Context, in reserveArgs) (*wire.Reserve, error) {
	repo, err := peer.FindRepo(ctx, h.who.cwd)
	if err != nil {
		return nil, err
	}
	patterns, err := repo.Patterns(in.Patterns)
	if err != nil {
		return nil, err
	}
	ttl := time.Duration(in.Minutes) * time.Minute
	if in.Minutes < 0 || in.Minutes > int(wire.MaxReserveFor/time.Minute) {
		return nil, fmt.Errorf("minutes must be 1 to %d", wire.MaxReserveFor/time.Minute)
	}
	return &wire.Reserve{Repo: repo.ID, Patterns: patterns, Shared: in.Shared, TTL: int64(ttl / time.Second), UntilGone: true, Reason: in.Reason}, nil
}

func reservePaths(ctx context.Context, h *hub, in reserveArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	req, err := h.reserveRequest(ctx, in)
	if err != nil {
		return reply{}, err
	}
	res, err := peer.Call(ctx, m.client, *req)
	if e, ok := errors.AsType[*wire.Error](err); ok && e.Code == wire.Reserved {
		return reply{failed: true, data: map[string]any{"mesh": m.slug, "repo": req.Repo, "conflicts": e.Conflicts},
			text: "Not reserved, somebody else holds:\n" + reservationLines(m, e.Conflicts)}, nil
	}
	if err != nil {
		return reply{}, m.explain(err)
	}
	return reply{data: map[string]any{"mesh": m.slug, "reservations": res.Reservations}, text: "Reserved:\n" + reservationLines(m, res.Reservations)}, nil
}

type releaseArgs struct {
	Patterns list   `json:"patterns,omitempty" doc:"as they were reserved; all of yours in this repository if left out"`
	Mesh     string `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func releasePaths(ctx context.Context, h *hub, in releaseArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	repo, err := peer.FindRepo(ctx, h.who.cwd)
	if err != nil {
		return reply{}, err
	}
	patterns, err := repo.Patterns(in.Patterns)
	if err != nil {
		return reply{}, err
	}
	res, err := peer.Call(ctx, m.client, wire.Release{Repo: repo.ID, Patterns: patterns})
	if err != nil {
		return reply{}, m.explain(err)
	}
	text := "You hold no such reservation in " + neutralLine(repo.ID, 200) + "."
	if len(res.Reservations) > 0 {
		text = "Released:\n" + reservationLines(m, res.Reservations)
	}
	return reply{data: map[string]any{"mesh": m.slug, "released": res.Reservations}, text: text}, nil
}

type reservationsArgs struct {
	Everywhere bool   `json:"everywhere,omitempty" doc:"those of all repositories"`
	Mesh       string `json:"mesh,omitempty" doc:"slug of the mesh; all if left out"`
}

func listReservations(ctx context.Context, h *hub, in reservationsArgs) (reply, error) {
	all, err := h.among(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	repo, err := peer.FindRepo(ctx, h.who.cwd)
	if err != nil {
		return reply{}, err
	}
	if in.Everywhere {
		repo.ID = ""
	}
	data := make(map[string]any)
	var text strings.Builder
	var faults []error
	for _, m := range all {
		held, err := m.client.Reservations(ctx, repo.ID)
		if err != nil {
			faults = append(faults, m.explain(err))
			fmt.Fprintf(&text, "## %s\n%s\n", m.slug, m.explain(err))
			continue
		}
		data[m.slug] = append([]wire.Reservation{}, held...)
		fmt.Fprintf(&text, "## %s (%d reserved)\n%s", m.slug, len(held), reservationLines(m, held))
	}
	if len(faults) == len(all) {
		return reply{}, errors.Join(faults...)
	}
	return reply{data: map[string]any{"repo": repo.ID, "meshes": data}, text: text.String()}, nil
}

// reservationLines describes reservations, one a line.
func reservationLines(m *mesh, held []wire.Reservation) string {
	const most = 50
	var b strings.Builder
	for _, r := range held[:min(most, len(held))] {
		kind, holder := "exclusive", fmt.Sprintf("%q (key %s)", neutralLine(r.Holder, nameLen), r.HolderPubkey)
		if r.Shared {
			kind = "shared"
		}
		if r.HolderPubkey == m.client.Address() {
			holder = "you"
		}
		fmt.Fprintf(&b, "- %s %s by %s until %s", kind, neutralLine(r.Pattern, wire.MaxPathPattern), holder, r.ExpiresAt)
		if r.Reason != "" {
			fmt.Fprintf(&b, ": %q", neutralLine(r.Reason, wire.MaxReason))
		}
		fmt.Fprintf(&b, " [%s]\n", neutralLine(r.Repo, wire.MaxRepo))
	}
	if len(held) > most {
		fmt.Fprintf(&b, "and %d more\n", len(held)-most)
	}
	return b.String()
}
