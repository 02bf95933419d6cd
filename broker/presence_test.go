package broker

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

// group is a group as it is on the wire.
func group(name string, role ...string) map[string]any {
	g := map[string]any{"name": name}
	if len(role) > 0 {
		g["role"] = role[0]
	}
	return g
}

func TestAReturnWithinTheGraceIsSilent(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		alice := b.join("alice", &wire.Preset{Groups: []wire.Group{{Name: "eng"}}})
		watcher, key := b.join("watcher").modern("w"), must(seal.Generate())
		connect := func() *testPeer { return b.connect(alice.keyed(alice.hello("a"), key)) }
		p := connect()
		p.ask("ack", map[string]any{"type": "leave_group", "name": "eng"})
		p.ask("ack", map[string]any{"type": "set_summary", "summary": "at work"})
		p.ask("ack", map[string]any{"type": "set_profile", "title": "Dr"})
		p.ask("ack", map[string]any{"type": "set_status", "status": "dnd"})
		before := watcher.find(p.key)
		for _, groups := range [][]any{{}, {group("ops")}} {
			pass(time.Minute)
			p.drop()
			pass(wire.Grace - time.Second)
			if c := watcher.find(p.key)["connection"]; c != "grace" {
				t.Fatalf("while it is away it is %v", c)
			}
			p = connect()
			if p.ack["restored"] != true || p.ack["lastSummary"] != "at work" {
				t.Errorf("ack %v", p.ack)
			}
			after := watcher.find(p.key)
			for _, name := range []string{"summary", "profile", "status", "connectedAt", "visible", "connection"} {
				if !equalJSON(before[name], after[name]) {
					t.Errorf("%s was %v, is %v", name, before[name], after[name])
				}
			}
			if len(groups) == 0 && !equalJSON(after["groups"], groups) {
				t.Errorf("groups it had left are %v", after["groups"])
			}
			p.ask("ack", map[string]any{"type": "join_group", "name": "ops"})
		}
		pass(time.Second)
		if g := connect().ack["restoredGroups"]; !equalJSON(g, []any{group("ops")}) {
			t.Errorf("restored groups %v", g)
		}
		pass(10 * time.Minute)
		if events := eventsOf(watcher); !equalJSON(events, []string{"peer_joined"}) {
			t.Errorf("the watcher was told of %v", events)
		}
	})
}

// eventsOf returns the names of the events that are on their way to p.
func eventsOf(p *testPeer) []string {
	var names []string
	for _, f := range p.news() {
		if name, ok := f["event"].(string); ok {
			names = append(names, name)
		}
	}
	return names
}

func TestASessionEndsOnceAfterItsGrace(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		watcher, p := b.join("watcher").modern("w"), b.join("alice").modern("a")
		watcher.event("peer_joined")
		p.drop()
		pass(wire.Grace - time.Second)
		watcher.silent()
		pass(time.Second + maxTick)
		if d := watcher.event("peer_left"); d["name"] != "alice" || d["pubkey"] != p.key {
			t.Errorf("left: %v", d)
		}
		if len(watcher.peers()) != 1 {
			t.Errorf("peers %v", watcher.peers())
		}
		pass(time.Hour)
		watcher.silent()
	})
}

func TestWhoClosesHasLeft(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		watcher, alice := b.join("watcher").modern("w"), b.join("alice")
		for range 2 {
			p := alice.modern("a")
			p.leave()
			pass(0)
			if events := eventsOf(watcher); len(events) != 2 || events[1] != "peer_left" {
				t.Errorf("told of %v", events)
			}
		}
	})
}

func TestWhoReturnsIsAnnouncedSo(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		watcher, alice, key := b.join("watcher").modern("w"), b.join("alice"), must(seal.Generate())
		p := b.connect(alice.keyed(alice.hello("a"), key))
		if p.ack["restored"] != nil || p.ack["restoredStats"] != nil {
			t.Errorf("at first: %v", p.ack)
		}
		if d := watcher.event("peer_joined"); d["name"] != "alice" || d["pubkey"] != p.key {
			t.Errorf("joined: %v", d)
		}
		p.ask("ack", map[string]any{"type": "set_summary", "summary": "at work"})
		p.ask("ack", map[string]any{"type": "join_group", "name": "eng", "role": "lead"})
		p.leave()
		watcher.event("peer_left")
		left := wire.Time(time.Now()).String()
		pass(time.Hour)
		for _, h := range []wire.Hello{alice.keyed(alice.hello("a"), key), alice.keyed(alice.hello("b"), must(seal.Generate()))} {
			p = b.connect(h)
			if a := p.ack; a["restored"] != true || a["lastSummary"] != "at work" || a["lastSeenAt"] != left || !equalJSON(a["restoredGroups"], []any{group("eng", "lead")}) {
				t.Errorf("ack %v", a)
			}
			d := watcher.event("peer_returned")
			if d["lastSeenAt"] != left || d["summary"] != "at work" || !equalJSON(d["groups"], []any{group("eng", "lead")}) {
				t.Errorf("returned: %v", d)
			}
			if s := watcher.find(p.key)["summary"]; s != nil {
				t.Errorf("the summary is reported, not restored: %v", s)
			}
			p.ask("ack", map[string]any{"type": "set_summary", "summary": "at work"})
			p.leave()
			watcher.event("peer_left")
			left = wire.Time(time.Now()).String()
		}
	})
}

func TestStateIsHandedOnNotShared(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice, watcher := b.join("alice"), b.join("watcher").modern("w")
	first := alice.modern("a")
	first.ask("ack", map[string]any{"type": "join_group", "name": "eng"})
	first.ask("ack", map[string]any{"type": "set_profile", "bio": "x"})
	second := alice.modern("b")
	if second.ack["restored"] != nil {
		t.Errorf("beside another session: %v", second.ack)
	}
	watcher.event("peer_joined")
	watcher.event("peer_joined")
	if e := watcher.find(second.key); e["profile"] != nil || !equalJSON(e["groups"], []any{}) {
		t.Errorf("it has taken over %v", e)
	}
}

func TestWhichGroupsASessionBeginsWith(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice := b.join("alice", &wire.Preset{Groups: []wire.Group{{Name: "default"}}})
	key := must(seal.Generate())
	connect := func(groups ...wire.Group) *testPeer {
		return b.connect(alice.keyed(alice.hello("a", func(h *wire.Hello) { h.Groups = groups }), key))
	}
	check := func(p *testPeer, when string, restored any, groups ...any) {
		t.Helper()
		if e := p.find(p.key); !equalJSON(e["groups"], groups) || !equalJSON(p.ack["restoredGroups"], restored) {
			t.Errorf("%s: groups %v, restored %v", when, e["groups"], p.ack["restoredGroups"])
		}
	}
	leave := func(p *testPeer) {
		w := b.join("w").modern("w")
		p.leave()
		w.event("peer_left")
	}
	p := connect()
	check(p, "at first", nil, group("default"))
	p.ask("ack", map[string]any{"type": "join_group", "name": "eng"})
	leave(p)
	p = connect()
	check(p, "saved ones", []any{group("default"), group("eng")}, group("default"), group("eng"))
	leave(p)
	p = connect(wire.Group{Name: "own"})
	check(p, "those of the hello", nil, group("own"))
	p.ask("ack", map[string]any{"type": "leave_group", "name": "own"})
	leave(p)
	check(connect(), "defaults where none are saved", nil, group("default"))
}

func TestHiddenSessionsAreNotToBeSeen(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		watcher, alice, key := b.join("watcher").modern("w"), b.join("alice"), must(seal.Generate())
		connect := func() *testPeer { return b.connect(alice.keyed(alice.hello("a"), key)) }
		p := connect()
		own := alice.modern("own")
		own.ask("ack", map[string]any{"type": "set_visible", "visible": false})
		for range 2 { // once is enough
			if ack := p.ask("ack", map[string]any{"type": "set_visible", "visible": false}); ack["id"] != ack["_reqId"] || ack["queued"] != false {
				t.Errorf("ack %v", ack)
			}
		}
		if got := eventsOf(watcher); !equalJSON(got, []string{"peer_joined", "peer_joined", "peer_hidden", "peer_hidden"}) {
			t.Errorf("told of %v", got)
		}
		hidden := func(when string) {
			t.Helper()
			res := watcher.ask("peers_list", map[string]any{"type": "list_peers", "members": true})
			if n := len(res["peers"].([]any)); n != 1 {
				t.Errorf("%s: listed: %v", when, res["peers"])
			}
			for _, m := range res["members"].([]any) {
				if m := m.(map[string]any); m["displayName"] == "alice" && m["online"] != false {
					t.Errorf("%s: its member is online", when)
				}
			}
			if info := watcher.ask("mesh_info_result", map[string]any{"type": "mesh_info"}); info["peers"] != 1.0 {
				t.Errorf("%s: counted: %v", when, info)
			}
			if ack := watcher.send("*", "x"); ack["outcome"] != "nobody" {
				t.Errorf("%s: multicast: %v", when, ack)
			}
			if got := eventsOf(watcher); len(got) > 0 {
				t.Errorf("%s: told of %v", when, got)
			}
		}
		hidden("while it is here")
		if e := own.find(p.key); e == nil || e["visible"] != false {
			t.Errorf("its member sees %v", e)
		}
		if _, res := b.call("GET", "/mesh/"+b.mesh+"/members", b.owner, nil); !strings.Contains(fmt.Sprint(res), "online:false permission:member") || !strings.Contains(fmt.Sprint(res), "sessionCount:0") {
			t.Errorf("the list of members shows %v", res)
		}
		watcher.send(p.key, "direct")
		if m := p.mail(); m["ciphertext"] != "direct" {
			t.Errorf("got %v", m)
		}
		p.drop()
		pass(wire.Grace + maxTick)
		hidden("when it has gone")
		p = connect()
		hidden("when it has come back")
		p.leave()
		pass(0)
		hidden("when it has left")
		p = connect()
		p.ask("ack", map[string]any{"type": "set_visible", "visible": true})
		if d := watcher.event("peer_visible"); d["pubkey"] != p.key || d["name"] != "alice" {
			t.Errorf("visible: %v", d)
		}
		if watcher.find(p.key) == nil {
			t.Error("it is not listed again")
		}
		p.noEvent("peer_visible", "peer_hidden")
	})
}

func TestARestartIsNoEvent(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		alice, bob, carol := b.join("alice"), b.join("bob"), b.join("carol")
		keys := []seal.PrivateKey{must(seal.Generate()), must(seal.Generate())}
		alices := func() *testPeer { return b.connect(alice.keyed(alice.hello("a"), keys[0])) }
		bobs := func() *testPeer { return b.connect(bob.keyed(bob.hello("b"), keys[1])) }
		a := alices()
		bobs().ask("ack", map[string]any{"type": "join_group", "name": "eng"})
		c := carol.modern("c")
		c.ask("ack", map[string]any{"type": "set_summary", "summary": "does not return"})
		b.restart()
		if how, _ := a.end(); how.Code != wire.CloseShutdown || how.Reason != "shutting down" {
			t.Errorf("closed by %v", how)
		}
		a = alices()
		if e := a.find(c.key); e["connection"] != "grace" || e["summary"] != "does not return" || e["proto"] != float64(wire.Proto) {
			t.Errorf("who is not back yet is %v", e)
		}
		bb := bobs()
		if !equalJSON(a.find(bb.key)["groups"], []any{group("eng")}) {
			t.Errorf("bob is %v", a.find(bb.key))
		}
		a.silent()
		pass(wire.Grace + maxTick)
		if got := eventsOf(a); !equalJSON(got, []string{"peer_left"}) {
			t.Errorf("told of %v", got)
		}
	})
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// Events are pushed at once, whatever the status, and are not kept.
func TestEventsHaveOneForm(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice, bob := b.join("alice"), b.join("bob")
	p := alice.modern("a")
	p.ask("ack", map[string]any{"type": "set_status", "status": "dnd"})
	other := bob.modern("b")
	other.ask("ack", map[string]any{"type": "set_visible", "visible": false})
	other.ask("ack", map[string]any{"type": "set_visible", "visible": true})
	other.leave()
	seen := map[any]bool{}
	for _, event := range []string{"peer_joined", "peer_hidden", "peer_visible", "peer_left"} {
		f := p.read()
		for name, want := range map[string]any{"type": "push", "subtype": "system", "event": event, "senderPubkey": "system", "priority": "low",
			"nonce": "", "ciphertext": "", "meshId": b.mesh, "_reqId": nil, "seq": nil} {
			if f[name] != want {
				t.Errorf("%s: %s is %v", event, name, f[name])
			}
		}
		if id, _ := f["messageId"].(string); !uuid.MatchString(id) || seen[id] {
			t.Errorf("%s: id %v", event, f["messageId"])
		}
		seen[f["messageId"]] = true
		if d := f["eventData"].(map[string]any); d["name"] != "bob" || d["pubkey"] != other.key {
			t.Errorf("%s: %v", event, d)
		}
	}
	p.drop()
	if news := alice.modern("a2").news(); len(news) > 0 {
		t.Errorf("kept: %v", news)
	}
}
