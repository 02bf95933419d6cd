package broker

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"claudemesh/wire"
)

// with is a frame of that type with more fields.
func with(typ string, pairs ...any) map[string]any {
	f := map[string]any{"type": typ}
	for i := 0; i < len(pairs); i += 2 {
		f[pairs[i].(string)] = pairs[i+1]
	}
	return f
}

// changes returns the state changes that are on their way to p.
func (p *testPeer) changes() (all []map[string]any) {
	p.t.Helper()
	for _, f := range p.news() {
		if f["type"] == "state_change" {
			all = append(all, f)
		}
	}
	return all
}

func TestStateAsOlderClientsKnowIt(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice := b.connect(b.join("enrolled").hello("a", func(h *wire.Hello) { h.DisplayName = "alice" }))
	bob, hidden := b.join("bob").old("b"), b.join("hidden").old("h")
	hidden.ask("ack", with("set_visible", "visible", false))
	cmd := b.join("cmd").command(false)

	got := alice.ask("state_result", with("get_state", "key", "build"))
	delete(got, "_reqId")
	if !equalJSON(got, with("state_result", "key", "build", "value", nil, "updatedBy", "", "updatedAt", "")) {
		t.Errorf("a key that is not set: %v", got)
	}
	if got := alice.ask("state_list", with("list_state"))["entries"]; !equalJSON(got, []any{}) {
		t.Errorf("no state: %v", got)
	}
	alice.news()
	alice.say(with("set_state", "key", "build", "value", map[string]any{"ok": true, "n": 1}))
	alice.say(with("set_state", "key", "a/null", "value", nil))
	if news := alice.news(); len(news) > 0 {
		t.Errorf("the setter was answered by %v", news)
	}
	for name, p := range map[string]*testPeer{"another": bob, "a hidden one": hidden, "a command": cmd} {
		all := p.changes()
		if len(all) != 2 || all[0]["key"] != "build" || !equalJSON(all[0]["value"], map[string]any{"n": 1, "ok": true}) || all[0]["updatedBy"] != "alice" {
			t.Errorf("%s was told %v", name, all)
		}
	}
	got = bob.ask("state_result", with("get_state", "key", "a/null"))
	if v, there := got["value"]; v != nil || !there || got["updatedBy"] != "alice" || len(got["updatedAt"].(string)) != len("2006-01-02T15:04:05.000Z") {
		t.Errorf("null is %v", got)
	}
	entries := bob.ask("state_list", with("list_state"))["entries"].([]any)
	if len(entries) != 2 || entries[0].(map[string]any)["key"] != "a/null" || len(entries[1].(map[string]any)) != 4 {
		t.Errorf("list %v", entries)
	}
	if keys := bob.ask("mesh_info_result", with("mesh_info"))["stateKeys"]; !equalJSON(keys, []any{"a/null", "build"}) {
		t.Errorf("mesh_info has the keys %v", keys)
	}
}

func TestStateIsSetOnlyIfItIsAsKnown(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice, bob := b.join("alice").modern("a"), b.join("bob").modern("b")
	at := func() any { return bob.ask("state_result", with("get_state", "key", "k"))["updatedAt"] }
	alice.ask("ack", with("set_state", "key", "k", "value", 1, "ifUpdatedAt", ""))
	first := at()
	alice.ask("ack", with("set_state", "key", "k", "value", 2, "ifUpdatedAt", first))
	for name, f := range map[string]map[string]any{
		"set by another meanwhile":     with("set_state", "key", "k", "value", 3, "ifUpdatedAt", first),
		"set at all":                   with("set_state", "key", "k", "value", 3, "ifUpdatedAt", ""),
		"deleted":                      with("set_state", "key", "other", "value", 3, "ifUpdatedAt", first),
		"to be deleted, and not as is": with("delete_state", "key", "k", "ifUpdatedAt", first),
	} {
		if e := bob.ask("error", f); e["code"] != "conflict" {
			t.Errorf("%s: %v", name, e)
		}
	}
	if e := bob.ask("error", with("set_state", "key", "k", "value", 3, "ifUpdatedAt", "yesterday")); e["code"] != "bad_request" {
		t.Errorf("what is no time: %v", e)
	}
	if got := alice.changes(); len(got) > 0 {
		t.Errorf("refused changes were told: %v", got)
	}
	bob.ask("ack", with("delete_state", "key", "k", "ifUpdatedAt", at()))
	if got := alice.changes(); len(got) != 1 || got[0]["deleted"] != true || got[0]["value"] != nil || got[0]["updatedBy"] != "bob" {
		t.Errorf("told of the deletion: %v", got)
	}
	if e := bob.ask("error", with("delete_state", "key", "k")); e["code"] != "not_found" {
		t.Errorf("deleted twice: %v", e)
	}
}

// Of many that add one to the same number, each adds one.
func TestACounterInTheStateLosesNothing(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice := b.join("alice")
	const peers, each = 8, 10
	var wg sync.WaitGroup
	for i := range peers {
		p := alice.modern(fmt.Sprint(i))
		wg.Go(func() {
			for done := 0; done < each; {
				got := p.askAny(with("get_state", "key", "n"))
				n, _ := got["value"].(float64)
				if p.askAny(with("set_state", "key", "n", "value", n+1, "ifUpdatedAt", got["updatedAt"]))["type"] == "ack" {
					done++
				}
			}
		})
	}
	wg.Wait()
	if n := alice.modern("last").ask("state_result", with("get_state", "key", "n"))["value"]; n != float64(peers*each) {
		t.Errorf("%v, not %d", n, peers*each)
	}
}

func TestStateIsBounded(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	p := b.join("alice").modern("a")
	for name, c := range map[string]struct {
		frame map[string]any
		code  string
	}{
		"no key":      {with("set_state", "value", 1), "bad_request"},
		"no value":    {with("set_state", "key", "k"), "bad_request"},
		"a long key":  {with("set_state", "key", strings.Repeat("é", wire.MaxStateKey+1), "value", 1), "too_large"},
		"a big value": {with("set_state", "key", "k", "value", strings.Repeat("x", wire.MaxStateValue)), "too_large"},
	} {
		if e := p.ask("error", c.frame); e["code"] != c.code {
			t.Errorf("%s: %v", name, e)
		}
	}
	p.ask("ack", with("set_state", "key", strings.Repeat("é", wire.MaxStateKey), "value", strings.Repeat("x", wire.MaxStateValue-2)))
	n := 0
	for e := map[string]any{}; e["type"] != "error"; n++ {
		e = p.askAny(with("set_state", "key", fmt.Sprint(n), "value", strings.Repeat("<", (wire.MaxStateValue-2)/6))) // escaped, six bytes each
		if e["type"] == "error" && e["code"] != "limit" {
			t.Fatal(e)
		}
	}
	if n < 50 {
		t.Errorf("full after %d values", n)
	}
	p.ask("ack", with("set_state", "key", "0", "value", 1))
	p.ask("ack", with("set_state", "key", "another", "value", strings.Repeat("x", wire.MaxStateValue/2)))
	if entries := p.ask("state_list", with("list_state"))["entries"].([]any); len(entries) != n+1 {
		t.Errorf("%d entries are listed, not %d", len(entries), n+1)
	}
}

func TestSharedKnowledgeSurvivesARestart(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice := b.join("alice")
	p := alice.modern("a")
	p.ask("ack", with("set_state", "key", "k", "value", "v"))
	id := p.ask("memory_stored", with("remember", "content", "the deploy key is in the vault"))["id"]
	shared := p.ask("context_shared", with("share_context", "summary", "vaults"))["id"]
	b.restart()
	p = alice.modern("b")
	if got := p.ask("state_result", with("get_state", "key", "k")); got["value"] != "v" || got["updatedBy"] != "alice" {
		t.Errorf("state %v", got)
	}
	if got := p.ask("memory_results", with("recall", "query", "vaults deployed"))["memories"].([]any); len(got) != 1 || got[0].(map[string]any)["id"] != id {
		t.Errorf("memories %v", got)
	}
	if got := p.ask("context_shared", with("share_context", "summary", "again")); got["id"] != shared {
		t.Errorf("the context has another id: %v", got)
	}
}
