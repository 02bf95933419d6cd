package simulate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"claudemesh/peer"
	"claudemesh/peer/cli"
	"claudemesh/wire"
)

// nowhere is a Broker that nobody connects to.
type nowhere struct{}

func (nowhere) Mesh(context.Context) (peer.Mesh, error)            { return peer.Mesh{}, nil }
func (nowhere) Member(context.Context, string) (*peer.Mesh, error) { return nil, nil }
func (nowhere) Own() *cli.LocalBroker                              { return nil }

// rehearse returns a run whose actors are on no stage: what they are told to do
// waits in their queues.
func rehearse(t *testing.T, text string) *run {
	t.Helper()
	s, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	r := newRun(s, Options{Broker: nowhere{}}, peer.Mesh{})
	if err := r.assemble(); err != nil {
		t.Fatal(err)
	}
	return r
}

// spoken puts messages into the ledger as if they had been sent and had come to
// all their recipients, each a millisecond after the one before.
func spoken(r *run, messages ...*message) {
	for i, m := range messages {
		_, recipients := r.resolve(r.byName[m.from], m.to)
		r.ledger.sending(m, recipients, nil)
		m.sent = r.began.Add(time.Duration(i) * time.Millisecond)
		r.ledger.answered(m, wire.Ack{MessageID: fmt.Sprint("m", i+1)}, nil)
		for _, a := range recipients {
			r.ledger.deliver(m, a.name, m.sent.Add(10*time.Millisecond))
			m.deliveries[a.name].state = wire.StateSeen
		}
	}
}

const team = `simulation: 1
name: team
duration: 9m
personas:
  - {name: ann}
  - {name: bob, count: 2, groups: [team/bobs]}
  - {name: cleo, groups: [team]}
`

func TestExpectations(t *testing.T) {
	for _, c := range []struct {
		expect string
		ok     bool
	}{
		{"delivered: all", true},
		{"seen: all", true},
		{"messages: {from: ann, min: 2, max: 2}", true},
		{"messages: {from: ann, min: 3}", false},
		{"messages: {to: bob-2, min: 2, max: 2}", true}, // one to its group
		{"messages: {to: '@team', max: 1}", true},
		{"messages: {from: '@team', text: '^yes', min: 1}", true},
		{"messages: {text: ^no, max: 0}", true},
		{"order: [{text: come}, {text: yes}, {from: cleo}]", true},
		{"order: [{from: cleo}, {text: come}]", false},
		{"order: [{text: come}, {text: come}]", false},
		{"reply: {to: {text: come}, within: 2m}", true},
		{"reply: {to: {text: come}, within: 1m}", false},
		{"reply: {to: {text: come}, from: cleo, within: 2m}", false},
		{"reply: {to: {text: nothing}, within: 2m}", false}, // nobody asked
		{"latency: {max: 10ms}", true},
		{"latency: {max: 9ms}", false},
		{"state: {key: 'sim:a', is: {b: [1, true]}}", true},
		{"state: {key: 'sim:a', is: {b: [1, false]}}", false},
		{"state: {key: 'sim:c', is: 1}", false},
		{"runs: {failed: 0}", false},
		{"runs: {of: bob-1, min: 1, failed: 0}", true},
	} {
		t.Run(c.expect, func(t *testing.T) {
			r := rehearse(t, team+"expect: [{"+c.expect+"}]\n")
			spoken(r,
				&message{from: "ann", to: "@team", text: "who can come?", minute: 1},
				&message{from: "bob-1", to: "ann", text: "yes, soon", minute: 3, replyTo: "m1"},
				&message{from: "cleo", to: "ann", text: "I cannot", minute: 4},
				&message{from: "ann", to: "bob-2", text: "thanks", minute: 5},
			)
			r.final = []StateLine{{Key: "sim:a", Value: wire.Value(`{"b":[1,true]}`)}}
			r.runs = []CommandRun{{Persona: "bob-1"}, {Persona: "cleo", Failure: "it hung"}}
			rep := r.report(nil)
			if v := rep.Expect[0]; v.OK != c.ok || rep.OK != c.ok {
				t.Errorf("met is %v: %s", v.OK, v.Found)
			}
		})
	}
}

func TestWhatDoesNotArriveIsNamed(t *testing.T) {
	r := rehearse(t, team+"expect: [{delivered: all}, {seen: all}]\n")
	lost := &message{from: "ann", to: "everyone", text: "hear me"}
	spoken(r, lost, &message{from: "bob-1", to: "ann", text: "twice"})
	lost.deliveries["cleo"].times = 0
	r.ledger.deliver(r.ledger.all[1], "ann", time.Now())
	r.ledger.deliver(r.ledger.all[1], "cleo", time.Now())
	rep := r.report(errors.New("the broker is gone"))
	want := Totals{Sent: 2, Acked: 2, Expected: 4, Delivered: 3, Missing: 1, Twice: 1, Strange: 1, Seen: 3}
	if rep.Totals != want || rep.OK || rep.Ended != "the broker is gone" || len(rep.Failed()) != 2 {
		t.Errorf("the totals are %+v, want %+v; ended %q, failed %q", rep.Totals, want, rep.Ended, rep.Failed())
	}
}

// The messages of a minute are the same for the same seed, whatever happened
// before, and others for another.
func TestChanceComesFromTheSeed(t *testing.T) {
	plan := func(seed uint64) (said []string) {
		r := rehearse(t, team+"  - {name: dora, does: [{every: 1m, to: any, times: 5, chance: 0.5, text: '{n}'}, {every: 1m, to: any @team, text: x}]}\n")
		r.seed = seed
		dora := r.byName["dora"]
		for i := range dora.Does {
			d := &dora.Does[i]
			for n := range d.Times {
				rnd := r.draw(dora.name, "does", i, 3, n)
				said = append(said, fmt.Sprintf("%v %s", rnd.Float64() < *d.Chance, r.pick(dora, d.To, rnd)))
			}
		}
		return said
	}
	if a, b := plan(1), plan(1); !slices.Equal(a, b) {
		t.Errorf("with one seed it is %q, then %q", a, b)
	}
	if a, b := plan(1), plan(2); slices.Equal(a, b) {
		t.Errorf("with two seeds it is %q both times", a)
	}
	for _, who := range plan(1)[5:] {
		if !strings.Contains("true bob-1 true bob-2 true cleo", who) {
			t.Errorf("any @team is %q", who)
		}
	}
}

func TestAnswersToAnswersEnd(t *testing.T) {
	r := rehearse(t, team)
	ann := r.byName["ann"]
	m := &message{from: "bob-1", to: "ann", id: "m", hops: maxHops - 1}
	ann.sendPlain(&Act{To: "bob-1", Text: "again"}, cause{m: m}, m.id)
	m.hops++
	ann.sendPlain(&Act{To: "bob-1", Text: "again"}, cause{m: m}, m.id)
	if sent, cut := len(ann.queue), r.cut.Load(); sent != 1 || cut != 1 {
		t.Errorf("%d are sent and %d cut", sent, cut)
	}
	if notes := r.report(nil).Notes; len(notes) != 1 || !strings.Contains(notes[0], "1 messages were not sent") {
		t.Errorf("the report notes %q", notes)
	}
}

const works = `simulation: 1
name: works
duration: 9m
world:
  controller: boss
  domain: d
  zones: {a: [b], b: [a, c], c: [b]}
  values: {light: on}
  actions:
    move: {moves: true}
    fix: {zone: b, role: smith, sets: {light: fixed}, says: it is light}
personas:
  - {name: boss}
  - {name: ann, zone: a, role: smith}
  - {name: bob, zone: c}
`

func TestTheControllerChecksActions(t *testing.T) {
	for _, c := range []struct {
		name, who, asks, says string
		zone, light           string
	}{
		{"a move to the next zone", "ann", `{"action":"move","target":"b"}`, "ann did move", "b", "on"},
		{"a move too far", "ann", `{"action":"move","target":"c"}`, "refused: c is not next to a", "a", "on"},
		{"a place that is not there", "ann", `{"action":"move"}`, "refused:  is not next to a", "a", "on"},
		{"an action elsewhere", "ann", `{"action":"fix"}`, "refused: fix can be done in b, and you are in a", "a", "on"},
		{"two in a row", "ann", `{"action":"move","target":"b"},{"action":"fix"}`, "it is light", "b", "fixed"},
		{"another's role", "bob", `{"action":"move","target":"b"},{"action":"fix"}`, "refused: fix is for the role smith", "b", "on"},
		{"no action", "bob", `{"action":"fly"}`, "refused: fly is no action here", "c", "on"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rehearse(t, works)
			r.stage.step(0)
			r.stage.asked(c.who, `{"type":"sim_action","actions":[`+c.asks+`]}`)
			var last happening
			for _, p := range r.stage.asks() {
				last = r.stage.apply(p, map[string]any{})
			}
			if zone, light := r.stage.zones[c.who], r.stage.values["light"]; last.says != c.says || zone != c.zone || light != c.light {
				t.Errorf("it says %q, and %s is in %s with light %v", last.says, c.who, zone, light)
			}
		})
	}
}

func TestOneSeesOwnAndNeighbouringZones(t *testing.T) {
	r := rehearse(t, works)
	for _, c := range []struct {
		from, zone string
		want       bool
	}{{"a", "a", true}, {"a", "b", true}, {"a", "c", false}, {"", "c", true}, {"a", "", true}} {
		if got := r.stage.sees(c.from, c.zone); got != c.want {
			t.Errorf("from %q one sees %q: %v", c.from, c.zone, got)
		}
	}
}

func TestTheReportIsTextAndNothingElse(t *testing.T) {
	r := rehearse(t, team)
	r.Description = "<script>alert(1)</script>"
	spoken(r, &message{from: "ann", to: "everyone", text: "<img src=x onerror=alert(1)>\x1b[2J\u202e"})
	r.note("%s", `"><a href="javascript:x">`)
	page, err := r.report(nil).HTML()
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for _, never := range []string{"<script", "<img", "<a ", "http:", "https:", "\x1b", "\u202e"} {
		if strings.Contains(text, never) {
			t.Errorf("the page has %q", never)
		}
	}
	for _, must := range []string{"&lt;img src=x", "default-src &#39;none&#39;", "<svg"} {
		if !strings.Contains(text, must) && !strings.Contains(text, strings.ReplaceAll(must, "&#39;", "'")) {
			t.Errorf("the page has no %q", must)
		}
	}
}
