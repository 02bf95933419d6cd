package broker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

func TestProfile(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	p := b.join("alice").modern("a")
	set := func(f map[string]any) map[string]any {
		f["type"] = "set_profile"
		return p.askAny(f)
	}
	long := func(n int) string { return strings.Repeat("é", n) }
	caps := func(n int) []any {
		var all []any
		for i := range n {
			all = append(all, fmt.Sprint(i))
		}
		return all
	}
	full := map[string]any{"avatar": long(wire.MaxAvatar), "title": long(wire.MaxTitle), "bio": long(wire.MaxBio), "capabilities": caps(wire.MaxCapabilities)}
	if f := set(map[string]any{"avatar": full["avatar"], "title": full["title"], "bio": full["bio"], "capabilities": full["capabilities"]}); f["type"] != "ack" {
		t.Fatalf("the longest profile: %v", f)
	}
	for name, v := range map[string]any{"avatar": long(wire.MaxAvatar + 1), "title": long(wire.MaxTitle + 1), "bio": long(wire.MaxBio + 1),
		"capabilities": caps(wire.MaxCapabilities + 1)} {
		if f := set(map[string]any{"avatar": "x", "bio": "x", name: v}); f["code"] != "bad_request" || !strings.Contains(f["message"].(string), name) {
			t.Errorf("%s too long: %v", name, f)
		}
	}
	if got := p.find(p.key)["profile"]; !equalJSON(got, full) {
		t.Errorf("a refusal changed it to %v", got)
	}
	set(map[string]any{"avatar": "", "bio": "me", "capabilities": []any{}})
	if got := p.find(p.key)["profile"]; !equalJSON(got, map[string]any{"title": full["title"], "bio": "me"}) {
		t.Errorf("it is %v", got)
	}
	set(map[string]any{"title": "", "bio": ""})
	if got := p.find(p.key)["profile"]; got != nil {
		t.Errorf("an empty profile is %v", got)
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	p := b.join("alice").modern("a")
	for _, c := range []struct {
		frame map[string]any
		want  any
		typ   string
	}{
		{map[string]any{"summary": strings.Repeat("é", wire.MaxSummary)}, strings.Repeat("é", wire.MaxSummary), "ack"},
		{map[string]any{"summary": strings.Repeat("é", wire.MaxSummary+1)}, strings.Repeat("é", wire.MaxSummary), "error"},
		{map[string]any{}, nil, "ack"},
		{map[string]any{"summary": "x"}, "x", "ack"},
	} {
		c.frame["type"] = "set_summary"
		p.ask(c.typ, c.frame)
		if got := p.find(p.key)["summary"]; got != c.want {
			t.Errorf("after %.40v: %.40v", c.frame, got)
		}
	}
	p.say(map[string]any{"type": "set_summary", "summary": "y"}) // older clients expect no answer
	if news := p.news(); len(news) > 0 {
		t.Errorf("answered by %v", news)
	}
}

func TestGroupsOfASession(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	p := b.join("alice").modern("a")
	join := func(name, role string) map[string]any {
		return p.askAny(map[string]any{"type": "join_group", "name": name, "role": role})
	}
	for _, bad := range [][2]string{{"", ""}, {"@", ""}, {"@@a", ""}, {"a//b", ""}, {"/a", ""}, {"a/", ""}, {"-a", ""}, {"a b", ""}, {"a'b", ""},
		{strings.Repeat("a", wire.MaxGroupName+1), ""}, {"a", "\n"}, {"a", strings.Repeat("r", wire.MaxRole+1)}} {
		if f := join(bad[0], bad[1]); f["code"] != "bad_request" {
			t.Errorf("%.20q as %.20q: %v", bad[0], bad[1], f)
		}
	}
	if g := p.find(p.key)["groups"]; !equalJSON(g, []any{}) {
		t.Errorf("a refusal joined %v", g)
	}
	join("@eng", "lead")
	join("eng", "")
	join("all", "x")
	if g := p.find(p.key)["groups"]; !equalJSON(g, []any{group("eng"), group("all", "x")}) {
		t.Errorf("groups %v", g)
	}
	for i := range wire.MaxGroups - 2 {
		p.say(map[string]any{"type": "join_group", "name": fmt.Sprint("g", i)})
	}
	if f := join("toomany", ""); f["code"] != "limit" {
		t.Errorf("one group too many: %v", f)
	}
	join("eng", "again") // is no other group
	for _, name := range []string{"@all", "never"} {
		if f := p.askAny(map[string]any{"type": "leave_group", "name": name}); f["type"] != "ack" {
			t.Errorf("leave %s: %v", name, f)
		}
	}
	if g := p.find(p.key)["groups"].([]any); len(g) != wire.MaxGroups-1 || !equalJSON(g[0], group("eng", "again")) {
		t.Errorf("groups %v", g)
	}
}

// A client that reports cumulative counters must not have them added twice.
func TestStatsAddUpOnce(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice, key := b.join("alice"), must(seal.Generate())
	watcher := b.join("watcher").modern("w")
	stats := func(in, tools float64) map[string]any { return map[string]any{"messagesIn": in, "toolCalls": tools} }
	for _, c := range []struct {
		name     string
		reported map[string]any
		total    map[string]any // at the next hello
	}{
		{"first", stats(5, 2), stats(5, 2)},
		{"cumulative", stats(8, 2), stats(8, 2)},
		{"of the session only", stats(3, 1), stats(11, 3)},
		{"nothing", nil, stats(11, 3)},
		{"one counter below", stats(20, 1), stats(31, 4)},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := b.connect(alice.keyed(alice.hello("a"), key))
			if c.reported != nil {
				p.ask("ack", map[string]any{"type": "set_stats", "stats": c.reported})
				if s := watcher.find(p.key)["stats"]; !equalJSON(s, c.reported) {
					t.Errorf("listed as %v", s)
				}
			}
			p.leave()
			watcher.event("peer_left")
			p = b.connect(alice.keyed(alice.hello("a"), key))
			got := p.ack["restoredStats"].(map[string]any)
			if got["messagesIn"] != c.total["messagesIn"] || got["toolCalls"] != c.total["toolCalls"] {
				t.Errorf("restored %v, want %v", got, c.total)
			}
			p.leave()
			watcher.event("peer_left")
		})
	}
	p := b.connect(alice.keyed(alice.hello("a"), key))
	for _, bad := range []float64{-1, 1e300} {
		if f := p.askAny(map[string]any{"type": "set_stats", "stats": stats(bad, 0)}); f["code"] != "bad_request" {
			t.Errorf("%g messages: %v", bad, f)
		}
	}
}

func TestListPeers(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		var all []*testPeer
		for _, name := range []string{"zoe", "alice", "bob"} {
			p := b.join(name, &wire.Preset{RoleTag: "tag " + name}).modern(name)
			p.ask("ack", map[string]any{"type": "join_group", "name": map[string]string{"zoe": "eng/web", "alice": "eng", "bob": "engine"}[name]})
			all = append(all, p)
			pass(time.Second)
		}
		b.join("offline")
		keys := func(group string) (got []any) {
			for _, e := range all[0].peers(map[string]any{"group": group}) {
				got = append(got, e["pubkey"])
			}
			return got
		}
		for group, want := range map[string][]any{"": {all[0].key, all[1].key, all[2].key}, "eng": {all[0].key, all[1].key},
			"@eng/web": {all[0].key}, "nobody": nil} {
			if got := keys(group); !equalJSON(got, want) {
				t.Errorf("in %q are %v, want %v", group, got, want)
			}
		}
		if f := all[0].askAny(map[string]any{"type": "list_peers", "group": "a//b"}); f["code"] != "bad_request" {
			t.Errorf("an impossible group: %v", f)
		}
		e := all[0].find(all[0].key)
		for name, want := range map[string]any{"displayName": "zoe", "status": "idle", "summary": nil, "sessionId": "zoe", "cwd": "/work", "visible": true,
			"connection": "online", "connectedAt": "2000-01-01T00:00:00.000Z", "roleTag": "tag zoe", "role": "tag zoe", "proto": 2.0} {
			if e[name] != want {
				t.Errorf("%s is %v, want %v", name, e[name], want)
			}
		}
		res := all[0].ask("peers_list", map[string]any{"type": "list_peers", "members": true})
		var names []any
		for _, m := range res["members"].([]any) {
			m := m.(map[string]any)
			names = append(names, m["displayName"])
			if m["online"] != (m["displayName"] != "offline") || m["permission"] != "member" {
				t.Errorf("member %v", m)
			}
		}
		if !equalJSON(names, []string{"alice", "bob", "offline", "zoe"}) {
			t.Errorf("members %v", names)
		}
		if all[0].ask("peers_list", map[string]any{"type": "list_peers"})["members"] != nil {
			t.Error("members nobody asked for")
		}
	})
}

// Two changes that are written in one transaction both last.
func TestChangesAtTheSameTimeBothLast(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		alice, key := b.join("alice"), must(seal.Generate())
		p := b.connect(alice.keyed(alice.hello("a"), key))
		pass(time.Millisecond) // a hello of the same millisecond would be a repetition
		cmd := b.connect(alice.keyed(alice.hello("a", func(h *wire.Hello) { h.Transient = true }), key))
		release := b.holdWriter()
		p.say(map[string]any{"type": "join_group", "name": "eng"})
		cmd.say(map[string]any{"type": "set_summary", "summary": "both"})
		pass(0)
		release()
		check := func(p *testPeer, when string) {
			t.Helper()
			if e := p.find(p.key); e["summary"] != "both" || !equalJSON(e["groups"], []any{group("eng")}) {
				t.Errorf("%s: %v", when, e)
			}
		}
		check(p, "afterwards")
		release = b.holdWriter()
		p.say(map[string]any{"type": "join_group", "name": "ops"})
		pass(0)
		pass(time.Millisecond)
		next := b.dial() // takes over while the change is written
		next.say(fieldsOf(alice.keyed(alice.hello("a"), key)))
		pass(0)
		release()
		next.expect("hello_ack")
		if g := next.find(p.key)["groups"]; !equalJSON(g, []any{group("eng"), group("ops")}) {
			t.Errorf("the next connection has %v", g)
		}
		next.key = p.key
		next.ask("ack", map[string]any{"type": "leave_group", "name": "ops"})
		b.restart()
		pass(time.Millisecond)
		check(b.connect(alice.keyed(alice.hello("a"), key)), "after a restart")
	})
}
