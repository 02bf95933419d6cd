package broker

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

func TestWhichReportOfAStatusCounts(t *testing.T) {
	t.Parallel()
	const fresh, working = 30 * time.Second, time.Minute
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	hook, manual, jsonl := wire.SourceHook, wire.SourceManual, wire.SourceJSONL
	for _, c := range []struct {
		was    wire.Status
		by     wire.Source
		report wire.Status
		from   wire.Source
		after  time.Duration
		status wire.Status
		source wire.Source
		bumped bool // confirmed by the report
	}{
		// Another status from the same or a higher rank.
		{wire.Idle, jsonl, wire.Working, jsonl, 0, wire.Working, jsonl, true},
		{wire.Idle, jsonl, wire.Working, manual, 0, wire.Working, manual, true},
		{wire.Working, manual, wire.Idle, hook, 0, wire.Idle, hook, true},
		{wire.Working, hook, wire.Idle, hook, 0, wire.Idle, hook, true},
		// Another status from a lower rank has to wait.
		{wire.Working, hook, wire.Idle, jsonl, fresh, wire.Working, hook, false},
		{wire.Working, hook, wire.Idle, jsonl, fresh + 1, wire.Idle, jsonl, true},
		{wire.Working, hook, wire.Idle, manual, fresh, wire.Working, hook, false},
		{wire.Working, hook, wire.Idle, manual, fresh + 1, wire.Idle, manual, true},
		{wire.Working, manual, wire.Idle, jsonl, working, wire.Working, manual, false},
		{wire.Working, manual, wire.Idle, jsonl, working + 1, wire.Idle, jsonl, true},
		// The same status from the same or a higher rank is a confirmation.
		{wire.Working, hook, wire.Working, hook, time.Second, wire.Working, hook, true},
		{wire.Working, jsonl, wire.Working, hook, time.Second, wire.Working, hook, true},
		// From a lower rank it is one too, and takes over what is stale.
		{wire.Working, hook, wire.Working, jsonl, fresh, wire.Working, hook, true},
		{wire.Working, hook, wire.Working, jsonl, fresh + 1, wire.Working, jsonl, true},
		// Only a person ends a dnd of a person's, whose wish for it always counts.
		{wire.DND, manual, wire.Idle, hook, time.Hour, wire.DND, manual, false},
		{wire.DND, manual, wire.Working, jsonl, time.Hour, wire.DND, manual, false},
		{wire.DND, manual, wire.Idle, manual, 0, wire.Idle, manual, true},
		{wire.Working, hook, wire.DND, manual, 0, wire.DND, manual, true},
		{wire.Working, hook, wire.DND, jsonl, 0, wire.Working, hook, false},
	} {
		name := fmt.Sprintf("%s by %s, %s later %s by %s", c.was, c.by, c.after, c.report, c.from)
		t.Run(name, func(t *testing.T) {
			now := began.Add(c.after)
			r := statusRecord{c.was, c.by, began}
			changed := r.write(c.report, c.from, now, fresh, working)
			want := statusRecord{c.status, c.source, began}
			if c.bumped {
				want.at = now
			}
			if r != want || changed != (c.status != c.was) {
				t.Errorf("is %v, changed %v, want %v", r, changed, want)
			}
		})
	}
}

func TestWorkingLapsesAndReleasesMail(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		bob := b.join("bob")
		a, bb := b.join("alice").modern("a"), bob.modern("b")
		status := func() any { return a.find(bb.key)["status"] }
		bb.ask("ack", map[string]any{"type": "set_status", "status": "working"})
		if ack := a.send(bb.key, "held"); ack["outcome"] != "held" {
			t.Fatalf("ack %v", ack)
		}
		pass(50 * time.Second)
		bob.hook(wire.HookStatus{Status: wire.Working, SessionID: "b"}) // confirms it
		pass(50 * time.Second)
		bb.quiet()
		if status() != "working" {
			t.Fatalf("confirmed, but %v", status())
		}
		pass(20 * time.Second)
		if m := bb.mail(); m["ciphertext"] != "held" || status() != "idle" {
			t.Errorf("%v while %v", m["ciphertext"], status())
		}
		bb.ask("ack", map[string]any{"type": "set_status", "status": "dnd"})
		pass(time.Hour)
		if status() != "dnd" {
			t.Errorf("dnd lapsed to %v", status())
		}
	})
}

func TestSetStatus(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	p := b.join("alice").modern("a")
	for _, c := range []struct {
		frame map[string]any
		code  any
		want  string
	}{
		{map[string]any{"status": "working"}, nil, "working"},
		{map[string]any{"status": "idle", "source": "jsonl"}, nil, "working"},
		{map[string]any{"status": "dnd"}, nil, "dnd"},
		{map[string]any{"status": "idle", "source": "manual"}, nil, "idle"},
		{map[string]any{"status": "busy"}, "bad_request", "idle"},
		{map[string]any{}, "bad_request", "idle"},
		{map[string]any{"status": "working", "source": "hook"}, "bad_request", "idle"},
		{map[string]any{"status": "working", "source": "x"}, "bad_request", "idle"},
	} {
		c.frame["type"] = "set_status"
		f := p.askAny(c.frame)
		if f["code"] != c.code || p.find(p.key)["status"] != c.want {
			t.Errorf("%v: %v, then %v", c.frame, f, p.find(p.key)["status"])
		}
	}
	p.say(map[string]any{"type": "set_status", "status": "idle"}) // older clients expect no answer
	if news := p.news(); len(news) > 0 {
		t.Errorf("answered by %v", news)
	}
}

// hook reports h as m, signed.
func (m *testMember) hook(h wire.HookStatus) (int, map[string]any) {
	m.b.t.Helper()
	return m.b.post("/hook/set-status", m.signHook(h))
}

func (m *testMember) signHook(h wire.HookStatus) wire.HookStatus {
	h.MeshID, h.Pubkey = m.b.mesh, m.pub()
	if h.Timestamp == 0 {
		h.Timestamp = m.b.stamp()
	}
	h.Signature = m.key.Sign(must(seal.HookText(h.MeshID, h.Pubkey, string(h.Status), h.SessionID, h.Cwd, int64(h.Timestamp))))
	return h
}

func TestAHookUpdatesTheSessionsThatFitBest(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice, bob := b.join("alice"), b.join("bob")
	connect := func(m *testMember, session string, pid int, cwd string) *testPeer {
		return b.connect(m.keyed(m.hello(session, func(h *wire.Hello) { h.PID, h.Cwd = pid, cwd }), must(seal.Generate())))
	}
	peers := []*testPeer{connect(alice, "one", 1, "/w"), connect(alice, "two", 2, "/w"), connect(alice, "three", 3, "/x"), connect(bob, "one", 1, "/w")}
	for _, c := range []struct {
		name string
		hook wire.HookStatus
		fits []int
	}{
		{"the session", wire.HookStatus{SessionID: "two", PID: 1, Cwd: "/x"}, []int{1}},
		{"else process and directory", wire.HookStatus{SessionID: "other", PID: 1, Cwd: "/w"}, []int{0}},
		{"process and directory", wire.HookStatus{PID: 2, Cwd: "/w"}, []int{1}},
		{"a process elsewhere", wire.HookStatus{PID: 3, Cwd: "/w"}, []int{0, 1}},
		{"the directory, all of them", wire.HookStatus{Cwd: "/w"}, []int{0, 1}},
		{"nobody", wire.HookStatus{Cwd: "/nowhere"}, nil},
		{"nothing to go by", wire.HookStatus{}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.hook.Status = wire.Working
			status, res := alice.hook(c.hook)
			if n, _ := res["updated"].(float64); status != 200 || int(n) != len(c.fits) || (res["pending"] == true) != (len(c.fits) == 0) {
				t.Errorf("answered by %d %v", status, res)
			}
			for i, p := range peers {
				want := "idle"
				for _, fit := range c.fits {
					if fit == i {
						want = "working"
					}
				}
				if got := peers[3].find(p.key)["status"]; got != want {
					t.Errorf("session %d is %v, want %s", i, got, want)
				}
			}
			c.hook.Status = wire.Idle
			alice.hook(c.hook)
		})
	}
}

func TestHooksThatAreRefused(t *testing.T) {
	t.Parallel()
	b := newBroker(t, func(c *Config) { c.LegacyClients = true })
	alice, stranger := b.join("alice"), &testMember{b: b, key: must(seal.Generate())}
	alice.modern("a")
	used := alice.signHook(wire.HookStatus{Status: wire.Idle, Cwd: "/used"})
	if status, res := b.post("/hook/set-status", used); status != 200 {
		t.Fatalf("%d %v", status, res)
	}
	again := used
	again.Signature = strings.ToUpper(used.Signature)
	good := alice.signHook(wire.HookStatus{Status: wire.Idle})
	moved := good
	moved.SessionID = "other"
	elsewhere := good
	elsewhere.MeshID = "Nothing0Nothing0"
	elsewhere.Signature = alice.key.Sign(must(seal.HookText(elsewhere.MeshID, elsewhere.Pubkey, "idle", "", "", int64(elsewhere.Timestamp))))
	noKey := good
	noKey.Pubkey = "abc"
	for _, c := range []struct {
		name   string
		body   any
		status int
		code   string
	}{
		{"dnd", alice.signHook(wire.HookStatus{Status: wire.DND}), 400, "bad_request"},
		{"an unknown status", alice.signHook(wire.HookStatus{Status: "busy"}), 400, "bad_request"},
		{"no status", alice.signHook(wire.HookStatus{}), 400, "bad_request"},
		{"not an object", []int{1}, 400, "bad_request"},
		{"a directory that is a number", map[string]any{"status": "idle", "cwd": 7}, 400, "bad_request"},
		{"unsigned without a directory", map[string]any{"status": "idle"}, 400, "bad_request"},
		{"a signature of other fields", moved, 401, "bad_signature"},
		{"a key of the wrong shape", noKey, 401, "unauthorized"},
		{"somebody who is no member", stranger.signHook(wire.HookStatus{Status: wire.Idle}), 401, "unauthorized"},
		{"a mesh that is not there", elsewhere, 401, "unauthorized"},
		{"an old one", alice.signHook(wire.HookStatus{Status: wire.Idle, Timestamp: wire.MillisOf(time.Now().Add(-2 * time.Minute))}), 401, "timestamp_skew"},
		{"a repetition", used, 401, "replayed"},
		{"a repetition in upper case", again, 401, "replayed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if status, res := b.post("/hook/set-status", c.body); status != c.status || res["error"] != c.code || res["ok"] != false {
				t.Errorf("%d %v, want %d %s", status, res, c.status, c.code)
			}
		})
	}
}

func TestAHookDoesNotLiftDND(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		alice, key := b.join("alice"), must(seal.Generate())
		p := b.connect(alice.keyed(alice.hello("one"), key))
		p.ask("ack", map[string]any{"type": "set_status", "status": "dnd"})
		if status, res := alice.hook(wire.HookStatus{Status: wire.Idle, SessionID: "one"}); status != 200 || res["pending"] != nil {
			t.Errorf("%d %v", status, res)
		}
		p.drop()
		pass(time.Second)
		alice.hook(wire.HookStatus{Status: wire.Idle, SessionID: "two"}) // waits for who comes
		p = b.connect(alice.keyed(alice.hello("two"), key))
		if got := p.find(p.key)["status"]; got != "dnd" {
			t.Errorf("it is %v", got)
		}
	})
}

func TestAHookWaitsForItsSession(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		alice, bob := b.join("alice"), b.join("bob")
		for _, c := range []struct {
			name  string
			hooks []wire.HookStatus
			wait  time.Duration
			by    *testMember
			want  string
		}{
			{"applied", []wire.HookStatus{{Status: wire.Working, SessionID: "s"}}, pendingTime, alice, "working"},
			{"the newest counts", []wire.HookStatus{{Status: wire.Working, SessionID: "s"}, {Status: wire.Idle, SessionID: "s", PID: 9}}, 0, alice, "idle"},
			{"by process and directory", []wire.HookStatus{{Status: wire.Working, PID: 1, Cwd: "/work"}}, 0, alice, "working"},
			{"too late", []wire.HookStatus{{Status: wire.Working, SessionID: "s"}}, pendingTime + time.Millisecond, alice, "idle"},
			{"another session", []wire.HookStatus{{Status: wire.Working, SessionID: "other", Cwd: "/work", PID: 1}}, 0, alice, "idle"},
			{"another member's", []wire.HookStatus{{Status: wire.Working, SessionID: "s"}}, 0, bob, "idle"},
		} {
			pass(time.Minute)
			for _, h := range c.hooks {
				if status, res := alice.hook(h); status != 200 || res["pending"] != true {
					t.Fatalf("%s: %d %v", c.name, status, res)
				}
				pass(0)
			}
			pass(c.wait)
			p := c.by.modern("s")
			if got := p.find(p.key)["status"]; got != c.want {
				t.Errorf("%s: %v", c.name, got)
			}
			p.leave()
			pass(time.Millisecond)
		}
		alice.hook(wire.HookStatus{Status: wire.Working, SessionID: "twice"})
		for _, want := range []string{"working", "idle"} { // it is spent by the first
			p := alice.modern("twice")
			if got := p.find(p.key)["status"]; got != want {
				t.Errorf("%v, want %s", got, want)
			}
			p.leave()
			pass(time.Millisecond)
		}
	})
}

func TestUnsignedHooks(t *testing.T) {
	t.Parallel()
	for _, allowed := range []bool{false, true} {
		inBubble(t, func(t *testing.T, b *testBroker) {
			here, there, nobody := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")
			near := b.join("alice").old("a")
			b.from = there
			far := b.join("bob").old("b")
			hook := map[string]any{"cwd": "/work", "status": "working"}
			b.from = nobody
			if status, res := b.post("/hook/set-status", hook); status != 401 {
				t.Errorf("from where nobody is connected: %d %v", status, res)
			}
			b.from = here
			status, res := b.post("/hook/set-status", hook)
			want := "idle"
			if allowed {
				want = "working"
			}
			if (status == 200) != allowed || allowed && res["updated"] != 1.0 {
				t.Errorf("%d %v", status, res)
			}
			if got := far.find(near.key)["status"]; got != want {
				t.Errorf("the session there is %v, want %s", got, want)
			}
			if got := far.find(far.key)["status"]; got != "idle" {
				t.Errorf("the session elsewhere is %v", got)
			}
			if status, res := b.post("/hook/set-status", map[string]any{"cwd": "/nowhere", "status": "idle"}); allowed && (status != 200 || res["pending"] != nil) {
				t.Errorf("nothing waits for a session, but %d %v", status, res)
			}
		}, func(c *Config) { c.LegacyClients = allowed })
	}
}

func TestStatusDecidesWhatIsPushed(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	a, bob := b.join("alice").modern("a"), b.join("bob")
	for _, st := range []wire.Status{wire.Idle, wire.Working, wire.DND} {
		for _, prio := range wire.Priorities {
			p := bob.modern(string(st) + string(prio))
			p.ask("ack", map[string]any{"type": "set_status", "status": st})
			want := "sent"
			if !st.Allows(prio) {
				want = "held"
			}
			if ack := a.send(p.key, "x", map[string]any{"priority": prio}); ack["outcome"] != want {
				t.Errorf("%s to %s: %v", prio, st, ack)
			}
			if want == "held" {
				p.quiet()
				p.ask("ack", map[string]any{"type": "set_status", "status": "idle"})
			}
			p.mail()
		}
	}
}
