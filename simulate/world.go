package simulate

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"claudemesh/wire"
)

// The types of the messages between the controller of a world and the personas
// in it, and the key below which it publishes who is where.
const (
	observationType = "sim_observation"
	actionType      = "sim_action"
	positionsKey    = "positions"
)

const (
	maxProposals = 20 // actions that one message may ask for
	maxSeen      = 50 // events in one observation
)

// An observation is what the controller tells a persona each minute.
type observation struct {
	Type        string         `json:"type"`
	Tick        int            `json:"tick"`
	SimTime     wire.Time      `json:"simTime"`
	You         self           `json:"you"`
	Visible     []visible      `json:"visible_peers"`
	Environment map[string]any `json:"environment"`
	Events      []string       `json:"events"`
	Actions     []string       `json:"available_actions"`
}

// self is what a persona is told of itself.
type self struct {
	Name   string   `json:"name"`
	Zone   string   `json:"zone,omitempty"`
	Role   string   `json:"role,omitempty"`
	Groups []string `json:"groups,omitempty"`
}

// visible is a persona that another can see.
type visible struct {
	Name   string `json:"name"`
	Zone   string `json:"zone"`
	Status string `json:"status"`
}

// A proposal is an action that a persona asked for.
type proposal struct {
	who    string
	action string
	target string
}

// A stage is the state of the world, which the controller keeps.
type stage struct {
	run *run

	mu        sync.Mutex
	proposals []proposal // since the last minute

	// Owned by the goroutine that has the minutes begin.
	zones  map[string]string // of each persona
	values map[string]any
}

func newStage(r *run) *stage {
	s := &stage{run: r, zones: make(map[string]string), values: make(map[string]any)}
	for _, a := range r.cast {
		s.zones[a.name] = a.Zone
	}
	return s
}

// asked notes what a persona wants to do, for the next minute.
func (s *stage) asked(who, text string) {
	var m struct {
		Actions []struct {
			Action string `json:"action"`
			Target string `json:"target"`
		} `json:"actions"`
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		s.run.note("%s sent a sim_action that cannot be read: %v", who, err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range m.Actions[:min(len(m.Actions), maxProposals)] {
		s.proposals = append(s.proposals, proposal{who, a.Action, a.Target})
	}
}

// happening is an event with where it is seen, and by whom alone.
type happening struct{ zone, only, says string }

// step begins a minute of the world: what was asked for is done, what happens
// by itself happens, and everybody is told.
func (s *stage) step(minute Minutes) {
	changed := make(map[string]any)
	var events []happening
	if minute == 0 {
		for key, v := range s.run.world.Values {
			s.values[key], changed[key] = v, v
		}
		changed[positionsKey] = s.zones
	}
	for _, p := range s.asks() {
		events = append(events, s.apply(p, changed))
	}
	for _, e := range s.run.world.Events {
		if e.At == minute {
			s.change(e.Sets, changed)
			if e.Says != "" {
				events = append(events, happening{zone: e.Zone, says: e.Says})
			}
		}
	}
	s.publish(changed)
	for _, a := range s.run.cast {
		if a.name != s.run.world.Controller && !a.isAway() {
			s.tell(a, minute, events)
		}
	}
}

// asks takes what was asked for, in an order that does not depend on who was
// quickest.
func (s *stage) asks() []proposal {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.proposals
	s.proposals = nil
	slices.SortStableFunc(asked, func(a, b proposal) int { return cmp.Compare(a.who, b.who) })
	return asked
}

// apply does an action, or says why not to who asked for it.
func (s *stage) apply(p proposal, changed map[string]any) happening {
	refused := func(format string, args ...any) happening {
		return happening{only: p.who, says: fmt.Sprintf("refused: "+format, args...)}
	}
	action, ok := s.run.world.Actions[p.action]
	zone := s.zones[p.who]
	switch {
	case !ok:
		return refused("%s is no action here", wire.Shorten(p.action, 60))
	case action.Zone != "" && action.Zone != zone:
		return refused("%s can be done in %s, and you are in %s", p.action, action.Zone, cmp.Or(zone, "no zone"))
	case action.Role != "" && action.Role != s.run.byName[p.who].Role:
		return refused("%s is for the role %s", p.action, action.Role)
	case action.Moves && !slices.Contains(s.run.world.Zones[zone], p.target):
		return refused("%s is not next to %s", wire.Shorten(p.target, 60), cmp.Or(zone, "no zone"))
	}
	if action.Moves {
		s.zones[p.who], zone = p.target, p.target
		changed[positionsKey] = s.zones
	}
	s.change(action.Sets, changed)
	return happening{zone: zone, says: cmp.Or(action.Says, p.who+" did "+p.action)}
}

func (s *stage) change(sets, changed map[string]any) {
	for key, v := range sets {
		s.values[key], changed[key] = v, v
	}
}

// publish has the controller set what has changed in the shared state.
func (s *stage) publish(changed map[string]any) {
	if len(changed) == 0 {
		return
	}
	out := make(map[string]any, len(changed))
	for key, v := range changed {
		if key == positionsKey {
			v = copyOf(s.zones)
		}
		out["sim:"+s.run.world.Domain+":"+key] = v
	}
	controller := s.run.byName[s.run.world.Controller]
	controller.do(func(ctx context.Context) { controller.set(ctx, out) })
}

func copyOf(zones map[string]string) map[string]any {
	out := make(map[string]any)
	for who, zone := range zones {
		if zone != "" {
			out[who] = zone
		}
	}
	return out
}

// sees reports whether somebody in a zone sees another.
func (s *stage) sees(from, zone string) bool {
	return from == "" || zone == "" || from == zone || slices.Contains(s.run.world.Zones[from], zone)
}

// tell sends a persona its observation.
func (s *stage) tell(a *actor, minute Minutes, events []happening) {
	zone := s.zones[a.name]
	o := observation{
		Type: observationType, Tick: int(minute), SimTime: wire.Time(s.run.simTime(minute)),
		You: self{a.name, zone, a.Role, a.Groups}, Visible: []visible{}, Environment: s.values, Events: []string{}, Actions: sortedKeys(s.run.world.Actions),
	}
	for _, other := range s.run.cast {
		if other == a || !s.sees(zone, s.zones[other.name]) || len(o.Visible) == maxSeen {
			continue
		}
		status := "online"
		if other.isAway() {
			status = "away"
		}
		o.Visible = append(o.Visible, visible{other.name, s.zones[other.name], status})
	}
	for _, e := range events {
		if (e.only == "" && s.sees(zone, e.zone) || e.only == a.name) && len(o.Events) < maxSeen {
			o.Events = append(o.Events, e.says)
		}
	}
	s.run.byName[s.run.world.Controller].sendJSON(a.name, o, cause{minute: minute})
}

// propose asks the controller for actions.
func (a *actor) propose(c cause, actions []map[string]any) {
	a.sendJSON(a.run.world.Controller, map[string]any{"type": actionType, "tick": int(c.minute), "actions": actions}, c)
}

// sendJSON sends a message whose text is JSON.
func (a *actor) sendJSON(to string, v any, c cause) {
	p, err := json.Marshal(v)
	if err != nil || len(p) > maxText {
		a.run.note("minute %d: what %s would send to %s is too large: the world has too much in it", c.minute, a.name, to)
		return
	}
	a.sendPlain(&Act{To: to, Text: string(p)}, c, "")
}
