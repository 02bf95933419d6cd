package simulate

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func (s *Scenario) checkWorld() error {
	w := s.World
	if w == nil {
		return nil
	}
	i := slices.IndexFunc(s.Personas, func(p Persona) bool { return p.Count == 1 && p.Name == w.Controller })
	switch {
	case i < 0:
		return w.wrong("controller", "%q is no persona", w.Controller)
	case len(s.Personas[i].Command) > 0 || len(s.Personas[i].Away) > 0:
		return w.wrong("controller", "%q keeps the world: it can be neither a command nor away", w.Controller)
	case !namePattern.MatchString(w.Domain):
		return w.wrong("domain", "must be 1 to 40 letters, digits, _, - and ., and begin with a letter or digit")
	}
	for name, near := range w.Zones {
		for _, z := range near {
			if !w.hasZone(z) {
				return w.wrong("zones."+name, "%q is no zone", z)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.Actions)) {
		a := w.Actions[name]
		if err := w.checkChange(&a.place, a.Zone, a.Says, a.Sets); err != nil {
			return err
		}
		w.Actions[name] = a
	}
	for i := range w.Events {
		e := &w.Events[i]
		if e.At > s.Duration {
			return e.wrong("at", "must not be after the duration, %v", s.Duration)
		}
		if err := w.checkChange(&e.place, e.Zone, e.Says, e.Sets); err != nil {
			return err
		}
	}
	return w.checkKeys("values", &w.place, w.Values)
}

func (w *World) checkChange(p *place, zone, says string, sets map[string]any) error {
	if zone != "" && !w.hasZone(zone) {
		return p.wrong("zone", "%q is no zone of the world", zone)
	}
	if len(says) > 1000 {
		return p.wrong("says", "must be at most 1000 bytes")
	}
	return w.checkKeys("sets", p, sets)
}

// checkKeys holds the names of values to what can be part of a key.
func (w *World) checkKeys(field string, p *place, values map[string]any) error {
	for key := range values {
		if !namePattern.MatchString(key) || key == positionsKey {
			return p.wrong(field, "%q must be 1 to 40 letters, digits, _, - and ., begin with a letter or digit, and not be %s; it becomes sim:%s:%s", key, positionsKey, w.Domain, key)
		}
	}
	return nil
}

func (w *World) hasAction(name string) bool { _, ok := w.Actions[name]; return ok }

const maxExpectations = 1000

func (s *Scenario) checkExpectations() error {
	if len(s.Expect) > maxExpectations {
		return s.wrong("expect", "there are more than %d", maxExpectations)
	}
	for i := range s.Expect {
		if err := s.Expect[i].check(s); err != nil {
			return err
		}
	}
	return nil
}

func (e *Expectation) check(s *Scenario) error {
	kinds := 0
	for _, given := range []bool{e.Delivered != "", e.Seen != "", e.Messages != nil, e.Latency != nil, e.Order != nil, e.Reply != nil, e.State != nil, e.Runs != nil} {
		if given {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return e.wrong("", "it has to have one of delivered, seen, messages, latency, order, reply, state and runs")
	case e.Delivered != "" && e.Delivered != "all":
		return e.wrong("delivered", "must be all")
	case e.Seen != "" && e.Seen != "all":
		return e.wrong("seen", "must be all")
	case e.State != nil && !stateKey(e.State.Key):
		return e.State.wrong("key", "must begin with sim:")
	case e.Order != nil && len(e.Order) < 2:
		return e.wrong("order", "must have two messages or more")
	case e.Messages != nil && e.Messages.Min == nil && e.Messages.Max == nil:
		return e.Messages.wrong("min", "give min, max or both")
	case e.Runs != nil && (e.Runs.Min == nil && e.Runs.Failed == nil || e.Runs.Of != "" && !s.known(e.Runs.Of)):
		return e.Runs.wrong("min", "give min, failed or both; of must be a persona")
	}
	if err := e.checkLatency(); err != nil {
		return err
	}
	if e.Name == "" {
		e.Name = e.describe()
	}
	if len(e.Name) > 200 {
		return e.wrong("name", "must be at most 200 bytes")
	}
	return e.checkMatches(s)
}

func (e *Expectation) checkLatency() error {
	l := e.Latency
	if l == nil {
		return nil
	}
	if l.Of == "" {
		l.Of = "push"
	}
	switch {
	case l.Of != "push" && l.Of != "ack":
		return l.wrong("of", "must be push or ack")
	case l.P50 == 0 && l.P95 == 0 && l.P99 == 0 && l.Max == 0:
		return l.wrong("p50", "give p50, p95, p99 or max")
	}
	return nil
}

func (e *Expectation) checkMatches(s *Scenario) error {
	var all []*Match
	if e.Messages != nil {
		all = append(all, &e.Messages.Match)
	}
	for i := range e.Order {
		all = append(all, &e.Order[i])
	}
	if e.Reply != nil {
		all = append(all, &e.Reply.To)
		if e.Reply.From != "" && !s.known(e.Reply.From) {
			return e.Reply.wrong("from", "%q is neither a persona nor a @group of one", e.Reply.From)
		}
	}
	for _, m := range all {
		if m.From != "" && !s.known(m.From) {
			return m.wrong("from", "%q is neither a persona nor a @group of one", m.From)
		}
		if m.To != "" && m.To != everyone && !s.known(m.To) {
			return m.wrong("to", "%q is neither a persona, a @group of one nor everyone", m.To)
		}
	}
	return nil
}

// describe names an expectation that has no name.
func (e *Expectation) describe() string {
	switch {
	case e.Delivered != "":
		return "every message arrives once"
	case e.Seen != "":
		return "every message is seen"
	case e.Messages != nil:
		return "messages" + e.Messages.describe()
	case e.Latency != nil:
		return "latency of the " + e.Latency.Of
	case e.Order != nil:
		return "the messages come in order"
	case e.Reply != nil:
		return fmt.Sprintf("answers within %v to messages%s", e.Reply.Within, e.Reply.To.describe())
	case e.State != nil:
		return e.State.Key + " at the end"
	}
	return strings.TrimSpace("the command runs " + e.Runs.Of)
}

func (m *Match) describe() (text string) {
	if m.From != "" {
		text += " from " + m.From
	}
	if m.To != "" {
		text += " to " + m.To
	}
	if m.Text != nil {
		text += " like " + m.Text.String()
	}
	return text
}
