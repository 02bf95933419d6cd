package broker

import (
	"strings"
	"testing"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

// command connects m as a command, which takes mail if drain.
func (m *testMember) command(drain bool) *testPeer {
	m.b.t.Helper()
	return m.b.connect(m.hello("cmd", func(h *wire.Hello) { h.Proto, h.Transient, h.Drain = wire.Proto, true, drain }))
}

// commandOf connects m as a command inside the session with that key.
func (m *testMember) commandOf(key seal.PrivateKey, drain bool) *testPeer {
	m.b.t.Helper()
	h := m.keyed(m.hello("cmd"), key)
	h.Transient, h.Drain = true, drain
	return m.b.connect(h)
}

func TestACommandIsNoPresence(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		watcher, alice := b.join("watcher").modern("w"), b.join("alice")
		for _, drain := range []bool{false, true} {
			cmd := alice.command(drain)
			if cmd.ack["restored"] != nil || cmd.ack["presenceId"] == "" {
				t.Errorf("ack %v", cmd.ack)
			}
			if n := len(cmd.peers()); n != 1 {
				t.Errorf("%d peers", n)
			}
			watcher.ask("ack", map[string]any{"type": "set_visible", "visible": false})
			watcher.ask("ack", map[string]any{"type": "set_visible", "visible": true})
			for _, f := range cmd.news() {
				if f["type"] == "push" {
					t.Errorf("it was told of %v", f)
				}
			}
			cmd.send(watcher.key, "from a command")
			if m := watcher.mail(); m["senderName"] != "alice" || m["senderPubkey"] != alice.pub() {
				t.Errorf("got %v", m)
			}
			cmd.leave()
			pass(0)
			alice.command(drain).drop()
			pass(time.Hour)
			if got := eventsOf(watcher); len(got) > 0 {
				t.Errorf("others were told of %v", got)
			}
		}
	})
}

func TestACommandSavesNoState(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		alice := b.join("alice")
		p := alice.modern("a")
		p.ask("ack", map[string]any{"type": "set_summary", "summary": "mine"})
		p.ask("ack", map[string]any{"type": "join_group", "name": "eng"})
		p.leave()
		pass(time.Second)
		b.connect(alice.hello("cmd", func(h *wire.Hello) { h.Transient, h.Groups = true, []wire.Group{{Name: "cmd"}} })).leave()
		pass(time.Second)
		if ack := alice.modern("a2").ack; ack["lastSummary"] != "mine" || !equalJSON(ack["restoredGroups"], []any{group("eng")}) {
			t.Errorf("restored %v", ack)
		}
	})
}

func TestMailWaitsWhileACommandIsThere(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	a, bob := b.join("alice").modern("a"), b.join("bob")
	cmd := bob.command(false)
	if ack := a.send(bob.pub(), "direct"); ack["outcome"] != "queued" {
		t.Errorf("ack %v", ack)
	}
	a.send("*", "all")
	cmd.quiet()
	p := bob.modern("b")
	for _, want := range []string{"direct", "all"} {
		if m := p.mail(); m["ciphertext"] != want {
			t.Errorf("got %v, want %s", m, want)
		}
	}
}

func TestADrainingCommandTakesWhatWaits(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		a, bob, key := b.join("alice").modern("a"), b.join("bob"), must(seal.Generate())
		b.connect(bob.keyed(bob.hello("b"), key)).leave()
		pass(time.Second)
		nothing := func(when string) {
			t.Helper()
			cmd := bob.commandOf(key, true)
			if d := cmd.expect("drained"); d["pushed"] != 0.0 || d["remaining"] != nil {
				t.Errorf("%s: %v", when, d)
			}
			cmd.leave()
			pass(time.Second)
		}
		nothing("before anything was sent")
		for i, to := range []string{key.Public().String(), bob.pub(), key.Public().String()} {
			a.send(to, string(rune('0'+i)))
		}
		drain := func(want string, report func(*testPeer, []map[string]any)) {
			t.Helper()
			cmd := bob.commandOf(key, true)
			var got string
			var pushes []map[string]any
			for range want {
				m := cmd.mail()
				got += m["ciphertext"].(string)
				pushes = append(pushes, m)
			}
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if len(cmd.news()) > 0 {
				t.Error("drained before anything was acknowledged")
			}
			report(cmd, pushes)
			cmd.leave()
			pass(time.Second)
		}
		drain("012", func(*testPeer, []map[string]any) {})
		drain("012", func(p *testPeer, all []map[string]any) { p.acked("delivered", all...) })
		drain("012", func(p *testPeer, all []map[string]any) {
			p.acked("seen", all[0], all[2])
			p.acked("delivered", all[1])
			if d := p.expect("drained"); d["pushed"] != 3.0 || d["remaining"] != nil {
				t.Errorf("drained %v", d)
			}
		})
		drain("1", func(p *testPeer, all []map[string]any) { p.acked("seen", all...) })
		nothing("after all was seen")
	})
}

func TestASessionIsToldWhenWhatWaitedHasCome(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		a, bob, key := b.join("alice").modern("a"), b.join("bob"), must(seal.Generate())
		begins := func() *testPeer {
			h := bob.keyed(bob.hello("b"), key)
			h.Drain = true
			return b.connect(h)
		}
		p := begins()
		if d := p.expect("drained"); d["pushed"] != 0.0 {
			t.Errorf("with nothing waiting: %v", d)
		}
		p.leave()
		pass(time.Second)
		a.send(key.Public().String(), "hello")
		p = begins()
		m := p.mail()
		p.quiet()
		p.acked("delivered", m)
		if d := p.expect("drained"); d["pushed"] != 1.0 || d["remaining"] != nil {
			t.Errorf("with a message waiting: %v", d)
		}
		a.send(key.Public().String(), "later")
		p.acked("seen", p.mail())
		p.quiet()
	})
}

func TestWhoIsAloneGetsWhatALostProcessHad(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		a, bob, key := b.join("alice").modern("a"), b.join("bob"), must(seal.Generate())
		server := b.connect(bob.keyed(bob.hello("b"), key))
		a.send(key.Public().String(), "0")
		server.acked("delivered", server.mail())
		asks := func(alone bool) *testPeer {
			h := bob.keyed(bob.hello("cmd"), key)
			h.Transient, h.Drain, h.Alone = true, true, alone
			return b.connect(h)
		}
		gets := func(when string, p *testPeer, want float64) {
			t.Helper()
			if d := p.expect("drained"); d["pushed"] != want {
				t.Errorf("%s: %v", when, d)
			}
			p.leave()
			pass(time.Second)
		}
		gets("while the process is connected", asks(true), 0)
		server.drop()
		pass(time.Second)
		gets("from one that does not say so", asks(false), 0)
		hook := asks(true)
		m := hook.mail()
		hook.acked("delivered", m)
		gets("when the process is gone", hook, 1)
		back := b.connect(bob.keyed(bob.hello("b"), key))
		back.acked("seen", back.mail())
		back.leave()
		pass(time.Second)
		gets("after it was seen", asks(true), 0)
	})
}

func TestADrainingCommandOfAMemberTakesItsMailOnly(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		a, bob, key := b.join("alice").modern("a"), b.join("bob"), must(seal.Generate())
		b.connect(bob.keyed(bob.hello("b"), key)).leave()
		pass(time.Second)
		a.send(key.Public().String(), "for the session")
		a.send(bob.pub(), "for the member")
		cmd := bob.command(true)
		m := cmd.mail()
		if m["ciphertext"] != "for the member" {
			t.Errorf("got %v", m)
		}
		cmd.acked("seen", m)
		cmd.expect("drained")
		cmd.quiet()
	})
}

// What a command leaves waiting goes to the session that is there.
func TestWhatACommandTookComesBack(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		a, bob := b.join("alice").modern("a"), b.join("bob")
		p := bob.modern("b")
		p.ask("ack", map[string]any{"type": "set_status", "status": "dnd"})
		a.send(bob.pub(), "x")
		cmd := bob.command(true)
		m := cmd.mail()
		p.ask("ack", map[string]any{"type": "set_status", "status": "idle"})
		p.quiet()
		cmd.acked("delivered", m)
		cmd.drop()
		if again := p.mail(); again["messageId"] != m["messageId"] {
			t.Errorf("got %v", again)
		}
	})
}

func TestACommandActsOnASession(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice, key := b.join("alice"), must(seal.Generate())
	change := func(p *testPeer, text string) map[string]any {
		for _, f := range []map[string]any{{"type": "set_status", "status": "working"}, {"type": "set_visible", "visible": true}} {
			p.askAny(f)
		}
		return p.askAny(map[string]any{"type": "set_summary", "summary": text})
	}
	if f := change(alice.command(false), "none"); f["code"] != "not_found" {
		t.Errorf("with no session: %v", f)
	}
	one := b.connect(alice.keyed(alice.hello("a"), key))
	if f := change(alice.command(false), "only"); f["type"] != "ack" {
		t.Errorf("with one session: %v", f)
	}
	if e := one.find(one.key); e["summary"] != "only" || e["status"] != "working" {
		t.Errorf("it is %v", e)
	}
	two := alice.modern("b")
	f := change(alice.command(false), "which")
	if f["code"] != "ambiguous" || len(f["candidates"].([]any)) != 2 {
		t.Errorf("with two sessions: %v", f)
	}
	if f := change(alice.commandOf(key, false), "mine"); f["type"] != "ack" {
		t.Errorf("inside one of two sessions: %v", f)
	}
	if e := one.find(one.key); e["summary"] != "mine" {
		t.Errorf("it is %v", e)
	}
	if e := one.find(two.key); e["summary"] != nil {
		t.Errorf("the other one is %v", e)
	}
	if f := change(alice.commandOf(must(seal.Generate()), false), "gone"); f["code"] != "not_found" {
		t.Errorf("inside a session that has gone: %v", f)
	}
	if f := change(b.join("bob").command(false), "another's"); f["code"] != "not_found" {
		t.Errorf("of another member: %v", f)
	}
}

func TestLeavingTheMesh(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	watcher, alice := b.join("watcher").modern("w"), b.join("alice")
	p, other, cmd := alice.modern("a"), alice.modern("b"), alice.command(false)
	p.say(map[string]any{"type": "leave_mesh", "_reqId": "bye"})
	if f := p.expect("ack"); f["_reqId"] != "bye" || f["id"] != "bye" || f["queued"] != false {
		t.Errorf("answered by %v", f)
	}
	for _, q := range []*testPeer{p, other, cmd} {
		if how, _ := q.end(); how.Code != wire.CloseRevoked || how.Reason != "revoked" {
			t.Errorf("closed by %v", how)
		}
	}
	left := []any{watcher.event("peer_left")["pubkey"], watcher.event("peer_left")["pubkey"]}
	if !equalJSON(left, []any{p.key, other.key}) && !equalJSON(left, []any{other.key, p.key}) {
		t.Errorf("left: %v", left)
	}
	if got := b.refuse(fieldsOf(alice.hello("a"))); got != "unauthorized" {
		t.Errorf("it may come back: %s", got)
	}
	if status, _ := b.call("GET", "/mesh/"+b.mesh+"/members", alice.key, nil); status != 401 {
		t.Errorf("it may still ask: %d", status)
	}
	inv := b.invite(1, nil)
	status, res := b.post("/join", wire.JoinRequest{InviteToken: inv.Token(), InvitePayload: payload(inv), PeerPubkey: strings.ToUpper(alice.pub()), DisplayName: "alice"})
	if status != 200 || res["alreadyMember"] != nil || res["memberId"] == alice.id {
		t.Fatalf("it cannot join again: %d %v", status, res)
	}
	alice.id = res["memberId"].(string)
	alice.modern("a")
	alice.old("b")
}
