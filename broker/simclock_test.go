package broker

import (
	"testing"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

func (p *testPeer) clock(typ string, more ...any) map[string]any {
	p.t.Helper()
	f := map[string]any{"type": typ}
	for i := 0; i < len(more); i += 2 {
		f[more[i].(string)] = more[i+1]
	}
	return p.ask("clock_status", f)
}

// ticks returns the ticks that have come to p.
func (p *testPeer) ticks() []map[string]any {
	p.t.Helper()
	var all []map[string]any
	for _, f := range p.news() {
		if f["event"] == "tick" {
			all = append(all, f["eventData"].(map[string]any))
		}
	}
	return all
}

func TestTheClockOfAMeshThatHasNone(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		p := b.join("ann").modern("a")
		now := wire.Time(time.Now()).String()
		if c := p.clock("get_clock"); c["speed"] != 0.0 || c["paused"] != true || c["tick"] != 0.0 || c["simTime"] != now || c["startedAt"] != now {
			t.Errorf("the clock shows %v", c)
		}
		for _, typ := range []string{"pause_clock", "resume_clock"} {
			if a := p.askAny(map[string]any{"type": typ}); a["code"] != "no_clock" {
				t.Errorf("%s: %v", typ, a)
			}
		}
	})
}

func TestSpeedsAreTakenAsTheNearestPossible(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	p := b.join("ann").modern("a")
	for _, c := range []struct{ speed, want any }{
		{1, 1.0}, {100, 100.0}, {2.5, 2.5}, {0, 1.0}, {-3, 1.0}, {1e9, 100.0}, {0.5, 1.0}, {"fast", 1.0}, {nil, 1.0}, {true, 1.0},
	} {
		if got := p.clock("set_clock", "speed", c.speed)["speed"]; got != c.want {
			t.Errorf("speed %v becomes %v, want %v", c.speed, got, c.want)
		}
	}
	if got := p.clock("set_clock")["speed"]; got != 1.0 {
		t.Errorf("no speed becomes %v", got)
	}
}

// Every speed gives the ticks that it should, and each tick a minute.
func TestTicksDoNotDrift(t *testing.T) {
	t.Parallel()
	for _, speed := range []float64{1, 2, 5, 10, 50, 100, 1.7, 33.3} {
		inBubble(t, func(t *testing.T, b *testBroker) {
			ann := b.join("ann")
			p, hidden, command := ann.modern("a"), ann.modern("h"), b.connect(ann.hello("c", func(h *wire.Hello) { h.Transient = true }))
			hidden.ask("ack", map[string]any{"type": "set_visible", "visible": false})
			start := time.Now()
			first := p.clock("set_clock", "speed", speed)
			if first["tick"] != 0.0 || first["paused"] != false || first["simTime"] != wire.Time(start).String() {
				t.Fatalf("it begins as %v", first)
			}
			want := 60
			if speed > 10 {
				want = 333
			}
			pass(time.Duration(float64(want) / speed * float64(time.Minute)))
			for who, q := range map[string]*testPeer{"the caller": p, "a hidden session": hidden} {
				all := q.ticks()
				if len(all) != want {
					t.Fatalf("at speed %g %s gets %d ticks, want %d", speed, who, len(all), want)
				}
				for i, tick := range all {
					if tick["tick"] != float64(i+1) || tick["simTime"] != wire.Time(start.Add(time.Duration(i+1)*time.Minute)).String() || tick["speed"] != speed {
						t.Fatalf("tick %d is %v", i+1, tick)
					}
				}
			}
			if all := command.ticks(); len(all) != 0 {
				t.Errorf("a command gets %d ticks", len(all))
			}
		})
	}
}

// A store that cannot write for a while makes ticks late, and none is missing.
func TestLateTicksAreMadeUpFor(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		p := b.join("ann").modern("a")
		p.clock("set_clock", "speed", 100)
		pass(time.Minute)
		release := b.holdWriter()
		time.Sleep(10 * time.Minute)
		release()
		pass(time.Minute)
		all := p.ticks()
		for i, tick := range all {
			if tick["tick"] != float64(i+1) {
				t.Fatalf("tick %d is %v", i+1, tick)
			}
		}
		if len(all) != 1200 {
			t.Errorf("%d ticks in 12 minutes", len(all))
		}
	})
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		p := b.join("ann").modern("a")
		p.clock("set_clock", "speed", 10)
		pass(15 * time.Second) // two ticks and a half
		if c := p.clock("pause_clock"); c["paused"] != true || c["tick"] != 2.0 {
			t.Errorf("paused: %v", c)
		}
		if c := p.clock("pause_clock"); c["paused"] != true || c["tick"] != 2.0 {
			t.Errorf("paused again: %v", c)
		}
		pass(time.Hour)
		if c := p.clock("set_clock", "speed", 20); c["paused"] != true || c["speed"] != 20.0 {
			t.Errorf("set while it is paused: %v", c)
		}
		pass(time.Hour)
		if n := len(p.ticks()); n != 2 {
			t.Errorf("%d ticks", n)
		}
		if c := p.clock("resume_clock"); c["paused"] != false || c["tick"] != 2.0 {
			t.Errorf("resumed: %v", c)
		}
		pass(2 * time.Second)
		if c := p.clock("resume_clock"); c["paused"] != false {
			t.Errorf("resumed again: %v", c)
		}
		pass(time.Second) // which has changed nothing
		if n := len(p.ticks()); n != 1 {
			t.Errorf("%d ticks after it was resumed", n)
		}
		pass(2 * time.Second)
		p.clock("set_clock", "speed", 60) // restarts the interval
		pass(999 * time.Millisecond)
		if n := len(p.ticks()); n != 0 {
			t.Errorf("%d ticks before the new interval is over", n)
		}
		pass(time.Millisecond)
		if n := len(p.ticks()); n != 1 {
			t.Errorf("%d ticks after it", n)
		}
	})
}

func TestTheClockPausesWithTheLastConnection(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		ann := b.join("ann")
		p, q := ann.modern("a"), ann.modern("b")
		p.clock("set_clock", "speed", 60)
		p.leave()
		pass(time.Minute)
		if c := q.clock("get_clock"); c["paused"] != false || c["tick"] != 60.0 {
			t.Fatalf("with one left: %v", c)
		}
		q.drop()
		pass(time.Hour)
		p = ann.modern("a")
		if c := p.clock("get_clock"); c["paused"] != true || c["tick"] != 60.0 {
			t.Errorf("with nobody there: %v", c)
		}
		pass(time.Hour)
		if n := len(p.ticks()); n != 0 {
			t.Errorf("it goes on by itself: %d ticks", n)
		}
	})
}

func TestTheClockSurvivesARestart(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		ann := b.join("ann")
		p := ann.modern("a")
		p.clock("set_clock", "speed", 33.3)
		pass(10 * time.Minute)
		before := p.clock("get_clock")
		b.restart()
		p = ann.modern("a")
		after := p.clock("get_clock")
		before["paused"] = true
		delete(before, "_reqId")
		delete(after, "_reqId")
		if !equalJSON(before, after) {
			t.Errorf("before %v, after %v", before, after)
		}
		p.clock("resume_clock")
		pass(time.Minute)
		if all := p.ticks(); len(all) != 33 || all[0]["tick"] != before["tick"].(float64)+1 {
			t.Errorf("it goes on with %d ticks, %v", len(all), all[0])
		}
		p.clock("pause_clock")
		p.leave()
		pass(26 * time.Hour)
		if c := ann.modern("a").clock("get_clock"); c["speed"] != 0.0 {
			t.Errorf("nobody needed it for a day: %v", c)
		}
	})
}

// Who was there when a restart paused the clock is told when it is back, after
// further restarts too, until somebody turns the clock.
func TestARestartThatPausesTheClockIsTold(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		told := func(p *testPeer) (all []map[string]any) {
			pass(time.Second)
			for _, f := range p.news() {
				if f["event"] == "clock_paused" {
					all = append(all, f["eventData"].(map[string]any))
				}
			}
			return all
		}
		stands := func(all []map[string]any, c map[string]any) bool {
			return len(all) == 1 && all[0]["tick"] == c["tick"] && all[0]["simTime"] == c["simTime"] && all[0]["speed"] == 60.0
		}
		come := func(m *testMember, key seal.PrivateKey) *testPeer { return b.connect(m.keyed(m.hello("s"), key)) }
		ann, bob, annKey, bobKey := b.join("ann"), b.join("bob"), must(seal.Generate()), must(seal.Generate())
		come(ann, annKey)
		b.restart()
		p := come(ann, annKey)
		if all := told(p); len(all) != 0 {
			t.Errorf("without a clock: %v", all)
		}
		p.clock("set_clock", "speed", 60)
		come(bob, bobKey)
		pass(10 * time.Second)
		before := p.clock("get_clock")
		b.restart()
		p = come(ann, annKey)
		if all := told(p); !stands(all, before) {
			t.Errorf("told %v, and before it was %v", all, before)
		}
		b.restart()
		p = come(ann, annKey)
		if all := told(p); !stands(all, before) {
			t.Errorf("after another restart: %v", all)
		}
		b.restart()
		pass(wire.Grace + time.Minute)
		b.restart()
		if all := told(come(bob, bobKey)); !stands(all, before) {
			t.Errorf("who comes when its grace is over: %v", all)
		}
		p = come(ann, annKey)
		if all := told(b.join("dan").modern("d")); len(all) != 0 {
			t.Errorf("a newcomer is told %v", all)
		}
		p.clock("resume_clock")
		p.clock("pause_clock")
		b.restart()
		if all := told(come(bob, bobKey)); len(all) != 0 {
			t.Errorf("after somebody has turned it: %v", all)
		}
	})
}

func TestSchedulesOnTheSimulationClock(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		ann, bob := b.join("ann").modern("a"), b.join("bob").old("b")
		ann.clock("set_clock", "speed", 60) // a minute a second
		ann.later(bob.key, "once", map[string]any{"clock": "sim", "delay": 30 * 60_000})
		ann.later(bob.key, "hourly", map[string]any{"clock": "sim", "cron": "@hourly"})
		pass(29 * time.Second)
		bob.undue()
		pass(time.Second)
		push, text := bob.due()
		if text != "once" || push["createdAt"] != wire.Time(time.Now()).String() || push["scheduledFor"] == push["createdAt"] {
			t.Errorf("push %v", push)
		}
		ann.clock("pause_clock")
		pass(time.Hour)
		bob.undue()
		ann.clock("resume_clock")
		pass(2 * time.Minute) // two hours there
		for range 2 {
			if _, text := bob.due(); text != "hourly" {
				t.Errorf("got %q", text)
			}
		}
		bob.undue()
		e := ann.pending()
		if len(e) != 1 || e[0]["clock"] != "sim" || e[0]["firedCount"] != 2.0 {
			t.Errorf("pending: %v", e)
		}
	})
}

// One row per cell of the table in docs/SECURITY.md: whoever is connected to the
// mesh turns its clock, and nobody that of another.
func TestWhoMayTurnTheClock(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	ann := b.join("ann")
	other := b.anotherMesh()
	far := other.join("bob").modern("b")
	for who, p := range map[string]*testPeer{
		"an admin": b.joinAs("eve", "admin").modern("e"), "a member": ann.modern("a"),
		"a command": b.connect(ann.hello("c", func(h *wire.Hello) { h.Transient = true })),
	} {
		p.clock("set_clock", "speed", 2)
		p.clock("pause_clock")
		if c := p.clock("resume_clock"); c["paused"] != false {
			t.Errorf("%s: %v", who, c)
		}
		if c := far.clock("get_clock"); c["speed"] != 0.0 {
			t.Errorf("%s turns the clock of another mesh: %v", who, c)
		}
	}
	stranger := b.dial()
	stranger.say(map[string]any{"type": "set_clock", "speed": 2})
	if f := stranger.read(); f["code"] != "no_hello" {
		t.Errorf("one who has not said hello: %v", f)
	}
}
