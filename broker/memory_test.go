package broker

import (
	"slices"
	"strings"
	"testing"

	"claudemesh/wire"
)

func TestMemoriesAsOlderClientsKnowThem(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice := b.connect(b.join("enrolled").hello("a", func(h *wire.Hello) { h.DisplayName = "alice" }))
	bob := b.join("bob").old("b")
	id := alice.ask("memory_stored", with("remember", "content", "Migrations run at deploy", "tags", []any{"db"}))["id"].(string)
	alice.ask("memory_stored", with("remember", "content", "nothing of interest"))
	found := func(query string) []any {
		return bob.ask("memory_results", with("recall", "query", query))["memories"].([]any)
	}
	got := found("the deployed migration")
	if len(got) != 1 {
		t.Fatalf("found %v", got)
	}
	m := got[0].(map[string]any)
	if m["id"] != id || m["content"] != "Migrations run at deploy" || !equalJSON(m["tags"], []any{"db"}) || m["rememberedBy"] != "alice" || m["rememberedAt"] == "" || len(m) != 5 {
		t.Errorf("found %v", m)
	}
	for _, query := range []string{"", "the", "deploy elsewhere", `"`} {
		if got := found(query); len(got) > 0 {
			t.Errorf("%q finds %v", query, got)
		}
	}
	if n := bob.ask("mesh_info_result", with("mesh_info"))["memoryCount"]; n != 2.0 {
		t.Errorf("mesh_info counts %v", n)
	}
	for _, times := range []string{"once", "twice"} {
		ack := bob.ask("ack", with("forget", "memoryId", id))
		if ack["id"] != id || ack["messageId"] != id || ack["queued"] != false || (ack["unknown"] == true) != (times == "twice") {
			t.Errorf("forgotten %s: %v", times, ack)
		}
	}
	if got := found("deploy"); len(got) > 0 {
		t.Errorf("a forgotten memory is found: %v", got)
	}
}

func TestRecallNarrowsAndForgetTakesAPrefix(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice, bob := b.join("alice").modern("a"), b.join("bob").modern("b")
	first := alice.ask("memory_stored", with("remember", "content", "use port 7900", "tags", []any{"Ops", "net"}))["id"].(string)
	second := bob.ask("memory_stored", with("remember", "content", "port 7901 is taken"))["id"].(string)
	all := alice.ask("memory_results", with("recall", "query", "ports", "limit", 2))["memories"].([]any)
	at := all[0].(map[string]any)["rememberedAt"]
	if len(all) != 2 {
		t.Fatal(all)
	}
	for name, c := range map[string]struct {
		frame map[string]any
		want  []string
	}{
		"by tag":     {with("recall", "query", "", "tag", "ops"), []string{first}},
		"by author":  {with("recall", "query", "port", "author", "bob"), []string{second}},
		"by time":    {with("recall", "query", "port", "after", "2999-01-01T00:00:00Z"), nil},
		"until then": {with("recall", "query", "", "before", "2999-01-01T00:00:00Z", "after", at, "author", "bob"), []string{second}},
	} {
		var got []string
		for _, m := range bob.ask("memory_results", c.frame)["memories"].([]any) {
			got = append(got, m.(map[string]any)["id"].(string))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if ack := bob.ask("ack", with("forget", "memoryId", first[:wire.MinPrefix])); ack["id"] != first {
		t.Errorf("a prefix: %v", ack)
	}
	if ack := bob.ask("ack", with("forget", "memoryId", second[:wire.MinPrefix-1])); ack["unknown"] != true {
		t.Errorf("too short a prefix: %v", ack)
	}
}

func TestMemoriesAndContextsAreBounded(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	p := b.join("alice").modern("a")
	many := func(n int, s string) (list []any) {
		for range n {
			list = append(list, s)
		}
		return list
	}
	long := func(n int) string { return strings.Repeat("x", n+1) }
	for name, c := range map[string]struct {
		frame map[string]any
		code  string
	}{
		"no content":       {with("remember", "content", " \n"), "bad_request"},
		"a long content":   {with("remember", "content", long(wire.MaxMemoryBytes)), "too_large"},
		"content escaped":  {with("remember", "content", strings.Repeat("<", wire.MaxMemoryBytes/2)), "too_large"},
		"many tags":        {with("remember", "content", "c", "tags", many(wire.MaxTags+1, "t")), "too_large"},
		"a long tag":       {with("remember", "content", "c", "tags", many(1, long(wire.MaxTag))), "too_large"},
		"an empty tag":     {with("remember", "content", "c", "tags", many(1, "")), "bad_request"},
		"a tag of 2 lines": {with("remember", "content", "c", "tags", many(1, "a\nb")), "bad_request"},
		"a long query":     {with("recall", "query", long(wire.MaxQuery)), "too_large"},
		"too many results": {with("recall", "query", "a", "limit", wire.MaxRecall+1), "bad_request"},
		"no summary":       {with("share_context", "summary", ""), "bad_request"},
		"a long summary":   {with("share_context", "summary", long(wire.MaxContextSummary)), "too_large"},
		"many files":       {with("share_context", "summary", "s", "filesRead", many(wire.MaxContextList+1, "f")), "too_large"},
		"a long finding":   {with("share_context", "summary", "s", "keyFindings", many(1, long(wire.MaxContextItem))), "too_large"},
		"much of all":      {with("share_context", "summary", "s", "keyFindings", many(60, long(wire.MaxContextItem-1))), "too_large"},
		"a long search":    {with("get_context", "query", long(wire.MaxQuery)), "too_large"},
	} {
		if e := p.ask("error", c.frame); e["code"] != c.code {
			t.Errorf("%s: %v", name, e)
		}
	}
}
