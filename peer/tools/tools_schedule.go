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

func scheduleTools() []tool {
	return []tool{
		define(tool{
			name: "schedule_reminder", hint: "schedule remind reminder later timer cron recurring delayed message alarm",
			description: "Have a message sent later, once or over and over: to yourself, as a reminder that comes as mail though this session has ended by then, or to a peer, @group or *. Say when by one of in_seconds, at, deliver_at and cron. Returns its id and when it is due.",
		}, scheduleReminder),
		define(tool{
			name: "list_scheduled", reads: true, hint: "scheduled reminders pending list upcoming",
			description: "List what you have scheduled and is still to come: id, to whom, when, text.",
		}, listScheduled),
		define(tool{
			name: "cancel_scheduled", hint: "cancel delete scheduled reminder stop recurring",
			description: "Cancel a scheduled message or end a recurring one.",
		}, cancelScheduled),
	}
}

type scheduleArgs struct {
	Message   string   `json:"message" doc:"the text"`
	To        string   `json:"to,omitempty" doc:"name, key, @group or *; yourself if left out"`
	InSeconds *float64 `json:"in_seconds,omitempty" doc:"so many seconds from now"`
	At        string   `json:"at,omitempty" doc:"a time such as 17:30, tomorrow 9:00 or 2026-12-24T18:00, here, or with a zone"`
	DeliverAt int      `json:"deliver_at,omitempty" doc:"milliseconds since 1970"`
	Cron      string   `json:"cron,omitempty" doc:"over and over: minute hour day month weekday, or @daily and the like"`
	TZ        string   `json:"tz,omitempty" doc:"IANA time zone of cron; that of this machine if left out"`
	Missed    string   `json:"missed,omitempty" enum:"once,skip,all" doc:"what is done about times at which the broker was down: sent once (default), not, or each"`
	SimClock  bool     `json:"sim_clock,omitempty" doc:"go by the mesh's simulation clock"`
	Mesh      string   `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func scheduleReminder(ctx context.Context, h *hub, in scheduleArgs) (reply, error) {
	m, req, err := h.scheduleRequest(ctx, &in)
	if err != nil {
		return reply{}, err
	}
	ack, err := m.client.Schedule(ctx, req)
	if err != nil {
		return reply{}, m.explain(err)
	}
	due := ack.DeliverAt.Std()
	text := fmt.Sprintf("Scheduled in %s, id %s: %q, due %s", m.slug, ack.ScheduledID, neutralLine(in.Message, 80), due.Format(dueLayout))
	if ack.Cron != "" {
		text += fmt.Sprintf(" and then again by %q", neutralLine(ack.Cron, 80))
	}
	if in.SimClock {
		text += ", by the simulation clock"
	}
	text += ".\n"
	if ack.Unknown {
		text += "Nobody in the mesh has ever used that key.\n"
	}
	return reply{data: map[string]any{"mesh": m.slug, "id": ack.ScheduledID, "dueAt": wire.Time(due), "deliverAt": ack.DeliverAt, "cron": ack.Cron}, text: text}, nil
}

const dueLayout = "2006-01-02 15:04:05 UTC"

// scheduleRequest reads the arguments. Of several times the first of cron,
// deliver_at, in_seconds and at holds.
func (h *hub) scheduleRequest(ctx context.Context, in *scheduleArgs) (*mesh, peer.ScheduleRequest, error) {
	req := peer.ScheduleRequest{Text: in.Message, Cron: in.Cron, TZ: in.TZ, Missed: wire.Missed(in.Missed), Reminder: true}
	if in.SimClock {
		req.Clock = wire.SimClock
	}
	switch {
	case in.Cron != "":
		if req.TZ == "" && !in.SimClock {
			req.TZ = h.who.zone
		}
	case in.DeliverAt != 0:
		req.At = wire.Millis(in.DeliverAt).Std()
	case in.InSeconds != nil && *in.InSeconds >= 0 && *in.InSeconds < 1e10:
		d := time.Duration(min(*in.InSeconds, 9e9) * float64(time.Second))
		req.After = &d
	case in.At != "":
		at, err := peer.ParseMoment(in.At, time.Now())
		if err != nil {
			return nil, req, err
		}
		req.At = at
	default:
		return nil, req, errors.New("say when: give in_seconds, at, deliver_at or cron")
	}
	if in.To == "" || strings.EqualFold(in.To, "self") {
		m, err := h.one(in.Mesh)
		return m, req, err
	}
	all, err := h.among(in.Mesh)
	if err != nil {
		return nil, req, err
	}
	r := h.route(ctx, all, strings.TrimSpace(in.To))
	if r.err != nil {
		return nil, req, r.err
	}
	to, err := r.mesh.client.Resolve(ctx, r.target)
	req.Target = to.Target.String()
	return r.mesh, req, r.mesh.explain(err)
}

type shownScheduled struct {
	ID        string    `json:"id"`
	To        string    `json:"to"`
	DueAt     wire.Time `json:"dueAt"`
	Cron      string    `json:"cron,omitempty"`
	Fired     int       `json:"fired,omitempty"`
	SimClock  bool      `json:"simClock,omitempty"`
	Message   string    `json:"message"`
	LastSent  string    `json:"lastMessageId,omitempty"`
	CannotSay bool      `json:"cut,omitempty"`
}

type scheduledListArgs struct {
	Mesh string `json:"mesh,omitempty" doc:"slug of the mesh; all if left out"`
}

func listScheduled(ctx context.Context, h *hub, in scheduledListArgs) (reply, error) {
	return h.inEach(in.Mesh, func(m *mesh, text *strings.Builder) (any, error) {
		entries, err := m.client.Scheduled(ctx)
		if err != nil {
			return nil, err
		}
		shown := make([]shownScheduled, 0, len(entries))
		fmt.Fprintf(text, "## %s (%d scheduled)\n", m.slug, len(entries))
		for _, e := range entries {
			s := m.shownScheduled(&e)
			shown = append(shown, s)
			if len(shown) <= 100 {
				text.WriteString(s.line())
			}
		}
		return shown, nil
	})
}

func (m *mesh) shownScheduled(e *wire.Scheduled) shownScheduled {
	s := shownScheduled{
		ID: e.ID, To: e.To, DueAt: wire.Time(e.DeliverAt.Std()), Cron: e.Cron, SimClock: e.Clock == wire.SimClock,
		Message: neutralLine(e.Message, 60), LastSent: e.LastMessageID, CannotSay: e.Cut,
	}
	if e.To == m.client.Mesh().Pubkey || e.To == m.client.Address() {
		s.To = "self"
	}
	if e.FiredCount != nil {
		s.Fired = *e.FiredCount
	}
	return s
}

func (s *shownScheduled) line() string {
	var b strings.Builder
	fmt.Fprintf(&b, "- id %s to %s, due %s", s.ID, neutralLine(s.To, nameLen), s.DueAt.Std().Format(dueLayout))
	if s.SimClock {
		b.WriteString(" by the simulation clock")
	}
	if s.Cron != "" {
		fmt.Fprintf(&b, ", by %q, sent %s", neutralLine(s.Cron, 80), plural(s.Fired, "time"))
	}
	return b.String() + ": | " + s.Message + "\n"
}

type cancelArgs struct {
	ID   string `json:"id" doc:"as list_scheduled shows it, or its first 8 characters or more"`
	Mesh string `json:"mesh,omitempty" doc:"slug of the mesh; all if left out"`
}

func cancelScheduled(ctx context.Context, h *hub, in cancelArgs) (reply, error) {
	all, err := h.among(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	var faults []error
	for _, m := range all {
		ack, err := peer.Call(ctx, m.client, wire.CancelScheduled{ScheduledID: in.ID})
		if err != nil {
			faults = append(faults, m.explain(err))
			continue
		}
		if ack.OK {
			return reply{data: map[string]any{"mesh": m.slug, "id": ack.ScheduledID, "cancelled": true}, text: fmt.Sprintf("Cancelled %s in %s.", ack.ScheduledID, m.slug)}, nil
		}
	}
	if len(faults) > 0 {
		return reply{}, errors.Join(faults...)
	}
	return reply{}, fmt.Errorf("nothing of yours is scheduled under %q: it may have been sent; list_scheduled shows what is to come", wire.Shorten(in.ID, 40))
}
