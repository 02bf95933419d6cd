package broker

import (
	"testing"

	"claudemesh/seal"
	"claudemesh/wire"
)

// TestWhoMayDoWhatWithSharedKnowledge holds the rows of docs/SECURITY.md on
// state, memories and contexts, a case for each cell.
func TestWhoMayDoWhatWithSharedKnowledge(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	author := b.join("author").modern("author")
	admin := b.join("admin")
	if status, res := b.call("PATCH", "/mesh/"+b.mesh+"/member/"+admin.id, b.owner, map[string]any{"permission": "admin"}); status != 200 {
		t.Fatalf("make an admin: %d %v", status, res)
	}
	member := b.join("member")
	other := newBroker(t)
	stranger := other.join("stranger").modern("s") // of another mesh
	stranger.ask("ack", with("set_state", "key", "build", "value", "theirs"))
	unsigned := b.dial()
	owner := b.dial()
	hello := fieldsOf((&testMember{b: b, key: b.owner, id: member.id, name: "owner"}).hello("o"))
	owner.say(hello)
	if f := owner.read(); f["code"] != string(wire.Unauthorized) {
		t.Fatalf("an owner who is no member: %v", f)
	}
	who := map[string]*testPeer{
		"admin": admin.modern("a"), "member": member.modern("m"), "command": member.commandOf(must(seal.Generate()), false), "unsigned": unsigned,
	}
	allowed := func(p *testPeer, f map[string]any) bool {
		t.Helper()
		res := p.askAny(f)
		if res["type"] == "error" && res["code"] != "no_hello" {
			t.Errorf("%v: %v", f, res)
		}
		return res["type"] != "error" && res["unknown"] != true
	}
	for _, row := range []struct {
		what  string
		frame func() map[string]any
	}{
		{"read a key another set", func() map[string]any { return with("get_state", "key", "build") }},
		{"list the state", func() map[string]any { return with("list_state") }},
		{"change a key another set", func() map[string]any { return with("set_state", "key", "build", "value", "changed") }},
		{"delete a key another set", func() map[string]any {
			author.ask("ack", with("set_state", "key", "gone", "value", 1))
			return with("delete_state", "key", "gone")
		}},
		{"remember", func() map[string]any { return with("remember", "content", "something") }},
		{"recall what another remembered", func() map[string]any { return with("recall", "query", "secret") }},
		{"forget what another remembered", func() map[string]any {
			return with("forget", "memoryId", author.ask("memory_stored", with("remember", "content", "secret"))["id"])
		}},
		{"share a context", func() map[string]any { return with("share_context", "summary", "mine") }},
		{"read the context of another", func() map[string]any { return with("get_context", "query", "of the author") }},
		{"list contexts", func() map[string]any { return with("list_contexts") }},
	} {
		author.ask("ack", with("set_state", "key", "build", "value", "first"))
		author.ask("memory_stored", with("remember", "content", "a secret"))
		author.ask("context_shared", with("share_context", "summary", "of the author"))
		for name, p := range who {
			if got, want := allowed(p, row.frame()), name != "unsigned"; got != want {
				t.Errorf("%s may %s: %v", name, row.what, got)
			}
		}
	}
	// Nobody replaces the context of another, and none of it is of another mesh.
	if all := author.ask("context_results", with("get_context", "query", "of the author"))["contexts"].([]any); len(all) != 1 {
		t.Errorf("the context of the author is gone: %v", all)
	}
	if got := stranger.ask("state_result", with("get_state", "key", "build"))["value"]; got != "theirs" {
		t.Errorf("in another mesh the key is %v", got)
	}
	if got := stranger.ask("memory_results", with("recall", "query", "secret"))["memories"].([]any); len(got) > 0 {
		t.Errorf("another mesh recalls %v", got)
	}
	if got := stranger.ask("context_list", with("list_contexts"))["contexts"].([]any); len(got) > 0 {
		t.Errorf("another mesh has the contexts %v", got)
	}
	if got := stranger.changes(); len(got) > 0 {
		t.Errorf("another mesh was told %v", got)
	}
}
