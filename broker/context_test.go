package broker

import (
	"fmt"
	"sync"
	"testing"

	"claudemesh/wire"
)

func TestContextsAsOlderClientsKnowThem(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	member := b.join("enrolled")
	alice := b.connect(member.hello("a", func(h *wire.Hello) { h.DisplayName = "alice" }))
	bob := b.join("bob").old("b")
	id := alice.ask("context_shared", with("share_context", "summary", "first", "filesRead", []any{"old.go"}))["id"]
	again := alice.ask("context_shared", with("share_context", "summary", "50% of the parser", "keyFindings", []any{"it caches"}, "tags", []any{"perf"}))
	if again["id"] != id {
		t.Errorf("the id became %v", again["id"])
	}
	if got := bob.changes(); len(got) != 2 || got[1]["key"] != "_context:alice" || got[1]["value"] != "50% of the parser" || got[1]["updatedBy"] != "alice" {
		t.Errorf("others were told %v", got)
	}
	if got := alice.changes(); len(got) > 0 {
		t.Errorf("who shared was told %v", got)
	}
	if got := bob.ask("state_result", with("get_state", "key", "_context:alice")); got["updatedAt"] != "" {
		t.Errorf("it is in the state: %v", got)
	}
	bob.ask("context_shared", with("share_context", "summary", "of bob"))
	for query, want := range map[string]int{"": 2, "PARSER": 1, "perf": 1, "caching": 1, "0% of": 1, "%": 1, "old.go": 0, "_": 0} {
		if got := bob.ask("context_results", with("get_context", "query", query))["contexts"].([]any); len(got) != want {
			t.Errorf("%q finds %v", query, got)
		}
	}
	all := bob.ask("context_results", with("get_context", "query", "parser"))["contexts"].([]any)
	c := all[0].(map[string]any)
	if at := c["updatedAt"]; at == "" || !equalJSON(c, map[string]any{"peerName": "alice", "summary": "50% of the parser", "filesRead": []any{},
		"keyFindings": []any{"it caches"}, "tags": []any{"perf"}, "updatedAt": at}) {
		t.Errorf("context %v", c)
	}
	list := bob.ask("context_list", with("list_contexts"))["contexts"].([]any)
	if len(list) != 2 || list[0].(map[string]any)["peerName"] != "bob" || len(list[1].(map[string]any)) != 4 {
		t.Errorf("list %v", list)
	}
}

// Sessions of a member that share for the first time at once make one context.
func TestAMemberHasOneContextHoweverManyShareAtOnce(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice := b.join("alice")
	const sessions = 8
	ids := make(chan any, sessions)
	var wg sync.WaitGroup
	for i := range sessions {
		p := alice.modern(fmt.Sprint(i))
		wg.Go(func() { ids <- p.askAny(with("share_context", "summary", fmt.Sprint("of session ", i)))["id"] })
	}
	wg.Wait()
	first := <-ids
	for range sessions - 1 {
		if id := <-ids; id != first || id == nil {
			t.Errorf("a second context: %v and %v", first, id)
		}
	}
	if all := alice.modern("last").ask("context_list", with("list_contexts"))["contexts"].([]any); len(all) != 1 {
		t.Errorf("%d contexts", len(all))
	}
}
