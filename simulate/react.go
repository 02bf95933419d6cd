package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"claudemesh/peer"
	"claudemesh/wire"
)

// maxHops is how many messages may answer each other before nobody answers any
// more: two personas that answer everything would go on for ever.
const maxHops = 32

// A cause is what an act answers; the zero value is nothing.
type cause struct {
	m      *message // nil if it is no message
	minute Minutes
	text   string
}

// draw returns a generator for one choice: the same for the same seed, actor
// and purpose.
func (r *run) draw(parts ...any) *rand.Rand {
	h := fnv.New64a()
	for _, p := range parts {
		fmt.Fprintf(h, "%v\x00", p)
	}
	return rand.New(rand.NewPCG(r.seed, h.Sum64()))
}

// perform does the deeds that are due in a minute.
func (a *actor) perform(minute Minutes) {
	for i := range a.Does {
		d := &a.Does[i]
		if !d.due(minute) {
			continue
		}
		for n := range d.Times {
			rnd := a.run.draw(a.name, "does", i, int(minute), n)
			if rnd.Float64() < *d.Chance {
				a.act(&d.Act, "", cause{minute: minute}, rnd, strconv.Itoa(n+1))
			}
		}
	}
}

// act does one thing in a minute, or replies.
func (a *actor) act(act *Act, reply string, c cause, rnd *rand.Rand, n string) {
	switch {
	case reply != "":
		a.send(&Act{To: c.m.from, Text: reply, Priority: act.Priority}, c, c.m.id, n)
	case act.To != "":
		to := *act
		if to.To = a.run.pick(a, act.To, rnd); to.To != "" {
			a.send(&to, c, "", n)
		}
	case len(act.Set) > 0:
		values := maps.Clone(act.Set)
		a.do(func(ctx context.Context) { a.set(ctx, values) })
	case act.Act != "":
		a.propose(c, []map[string]any{{"action": act.Act, "target": act.Target}})
	}
}

// send queues a message, with what its text has in braces filled in.
func (a *actor) send(act *Act, c cause, replyTo, n string) {
	from := ""
	if c.m != nil {
		from = c.m.from
	}
	filled := *act
	filled.Text = strings.NewReplacer("{me}", a.name, "{from}", from, "{minute}", strconv.Itoa(int(c.minute)), "{n}", n, "{text}", c.text).Replace(act.Text)
	a.sendPlain(&filled, c, replyTo)
}

// sendPlain queues a message, unless too many have answered each other before.
func (a *actor) sendPlain(act *Act, c cause, replyTo string) {
	m := &message{from: a.name, to: act.To, minute: c.minute, replyTo: replyTo}
	if c.m != nil {
		m.hops = c.m.hops + 1
	}
	if m.hops > maxHops || a.run.budget.Add(-1) < 0 {
		a.run.cut.Add(1)
		return
	}
	text := wire.Shorten(act.Text, maxText)
	if len(text) < act.Size {
		text += strings.Repeat(".", act.Size-len(text))
	}
	priority := wire.Priority(act.Priority)
	a.do(func(ctx context.Context) { a.say(ctx, m, text, priority) })
}

// heard is told of a message that has come.
func (a *actor) heard(m *message, r *peer.Record) {
	text := r.Text()
	switch typed := conventional(text); {
	case typed == observationType && a.run.world != nil && m.from == a.run.world.Controller:
		a.observed(m, text)
		return
	case typed == actionType && a.run.world != nil && a.name == a.run.world.Controller:
		a.run.stage.asked(m.from, text)
		return
	}
	if len(a.Command) > 0 {
		a.runFor(m, a.run.messageInput(a, m, text))
		return
	}
	for i := range a.Reacts {
		rc := &a.Reacts[i]
		if rc.Event != nil || rc.Key != "" || rc.From != "" && !a.run.is(m.from, rc.From) || rc.When != nil && !rc.When.re.MatchString(text) {
			continue
		}
		a.react(i, m.from, cause{m, m.minute, text})
	}
}

// observed is told what the world looks like.
func (a *actor) observed(m *message, text string) {
	if len(a.Command) > 0 {
		a.runFor(m, []byte(text))
		return
	}
	var o observation
	if json.Unmarshal([]byte(text), &o) != nil {
		return
	}
	for _, event := range o.Events {
		for i := range a.Reacts {
			if rc := &a.Reacts[i]; rc.Event != nil && rc.Event.re.MatchString(event) {
				a.react(i, m.from, cause{m, m.minute, event})
			}
		}
	}
}

func (a *actor) stateChanged(c *wire.StateChange) {
	for i := range a.Reacts {
		rc := &a.Reacts[i]
		if rc.Key != c.Key {
			continue
		}
		if want, err := valueOf(rc.Is); rc.Is == nil || err == nil && bytes.Equal(want, c.Value) {
			a.react(i, c.Key, cause{minute: a.run.now(), text: c.Value.String()})
		}
	}
}

// react does the i-th reaction, now or in its time, if chance and limit let it.
func (a *actor) react(i int, to string, c cause) {
	rc := &a.Reacts[i]
	key := strconv.Itoa(i) + " " + to
	a.seen.Lock()
	a.fired[key]++
	rnd := a.run.draw(a.name, "reacts", key, a.fired[key])
	ok := rnd.Float64() < *rc.Chance
	if ok && rc.Limit > 0 {
		if ok = a.fired[strconv.Itoa(i)] < rc.Limit; ok {
			a.fired[strconv.Itoa(i)]++
		}
	}
	n := strconv.Itoa(a.fired[key])
	a.seen.Unlock()
	if !ok {
		return
	}
	c.minute += rc.After
	a.run.at(c.minute, a, func() { a.act(&rc.Act, rc.Reply, c, rnd, n) })
}

// pick returns who is meant by to: itself, or a draw for any.
func (r *run) pick(a *actor, to string, rnd *rand.Rand) string {
	rest, ok := strings.CutPrefix(to, anyone)
	rest = strings.TrimSpace(rest)
	if !ok || rest != "" && rest[0] != '@' {
		return to
	}
	var from []string
	for _, other := range r.cast {
		if other != a && (rest == "" || inGroup(other.Groups, rest[1:])) {
			from = append(from, other.name)
		}
	}
	if len(from) == 0 {
		return ""
	}
	return from[rnd.IntN(len(from))]
}

// is reports whether the actor of that name is who, a name or a @group.
func (r *run) is(name, who string) bool {
	group, isGroup := strings.CutPrefix(who, "@")
	if !isGroup {
		return name == who
	}
	a := r.byName[name]
	return a != nil && inGroup(a.Groups, group)
}

// resolve returns the target of a message, and who must get it.
func (r *run) resolve(from *actor, to string) (spec string, recipients []*actor) {
	if a := r.byName[to]; a != nil {
		return a.address(), []*actor{a}
	}
	group := strings.TrimPrefix(to, "@")
	for _, a := range r.cast {
		if a != from && (to == everyone || inGroup(a.Groups, group)) {
			recipients = append(recipients, a)
		}
	}
	if to == everyone {
		return "@" + r.group, recipients
	}
	return "@" + r.group + "/" + group, recipients
}

// present parts the recipients of a message into those who must get it and those who
// need not. In a mesh of the run's own each persona is a member, for whom mail waits.
// In one that was given all are sessions of one member, and what is for a group is
// for the sessions that are there.
func (r *run) present(m *message, recipients []*actor) (there, absent []*actor) {
	if r.opts.Broker.Own() != nil || r.byName[m.to] != nil {
		return recipients, nil
	}
	minute := Minutes(r.minute.Load())
	for _, a := range recipients {
		if a.isAway() || slices.ContainsFunc(a.Away, func(x Absence) bool { return x.From <= minute && minute < x.Until }) {
			absent = append(absent, a)
		} else {
			there = append(there, a)
		}
	}
	r.unsent.Add(int64(len(absent)))
	return there, absent
}

// valueOf returns a value of a scenario as the shared state has it.
func valueOf(v any) (out wire.Value, err error) {
	p, err := json.Marshal(v)
	if err == nil {
		err = out.UnmarshalJSON(p)
	}
	return out, err
}

// conventional returns the type of a text that is a JSON object with one.
func conventional(text string) string {
	if !strings.HasPrefix(text, "{") {
		return ""
	}
	var head struct {
		Type string `json:"type"`
	}
	if json.Unmarshal([]byte(text), &head) != nil {
		return ""
	}
	return head.Type
}

// sortedKeys returns the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
