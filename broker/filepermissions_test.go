package broker

import (
	"encoding/base64"
	"testing"

	"claudemesh/wire"
)

// A row is who is asking for which file; the cells are what becomes of each
// request: ok, or the code of the refusal. docs/SECURITY.md has the same table.
func TestWhoMayDoWhatWithFiles(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	ann, bob, cy, boss := b.join("ann"), b.join("bob"), b.join("cy"), b.join("boss")
	b.call("PATCH", "/mesh/"+b.mesh+"/member/"+boss.id, b.owner, wire.MemberPatch{Permission: new(wire.Admin)})
	two := b.anotherMesh()
	a, o, c, admin, stranger := ann.modern("a"), bob.modern("b"), cy.modern("c"), boss.modern("d"), two.join("stranger").modern("s")
	again, command, leaver := ann.modern("a2"), bob.command(false), b.join("leaver").modern("l")
	o.ask("ack", map[string]any{"type": "join_group", "name": "docs/api"})
	a.ask("ack", map[string]any{"type": "join_group", "name": "other"})
	for _, p := range []*testPeer{c, leaver} {
		p.ask("ack", map[string]any{"type": "join_group", "name": "docsx"})
	}

	share := func(kind string) string {
		u := a.upload(kind, "x")
		switch kind {
		case "everyone":
			u.header.Set(wire.HeaderTarget, "*")
		case "group":
			u.header.Set(wire.HeaderTarget, "@docs")
		case "member":
			u.header.Set(wire.HeaderTarget, bob.pub())
		case "session":
			u.header.Set(wire.HeaderTarget, o.key)
		case "sealed":
			for k, v := range sealedFor(ann.pub(), bob.pub()) {
				u.header.Set(k, v)
			}
		}
		return u.id()
	}
	outcome := func(f map[string]any) string {
		if f["type"] == "error" {
			return f["code"].(string)
		}
		return "ok"
	}
	box := base64.StdEncoding.EncodeToString(make([]byte, sealedKeySize))
	for _, row := range []struct {
		who                              string
		p                                *testPeer
		kind                             string
		list                             bool
		fetch, status, grant, deleteFile string
	}{
		{"who shared it", a, "plain", true, "ok", "ok", "bad_request", "ok"},
		{"another session of who shared it", again, "plain", true, "ok", "ok", "bad_request", "ok"},
		{"a member", c, "plain", true, "ok", "ok", "forbidden", "forbidden"},
		{"an admin", admin, "plain", true, "ok", "ok", "forbidden", "ok"},
		{"a command", command, "plain", true, "ok", "ok", "forbidden", "forbidden"},
		{"another mesh", stranger, "plain", false, "not_found", "not_found", "not_found", "ok"},

		{"a member", c, "everyone", true, "ok", "ok", "forbidden", "forbidden"},

		{"who shared it, not in the group", a, "group", true, "ok", "ok", "bad_request", "ok"},
		{"who is below the group", o, "group", true, "ok", "ok", "forbidden", "forbidden"},
		{"a command of who is", command, "group", true, "ok", "ok", "forbidden", "forbidden"},
		{"who is in one of a like name", c, "group", false, "forbidden", "forbidden", "forbidden", "forbidden"},
		{"an admin", admin, "group", false, "forbidden", "forbidden", "forbidden", "ok"},

		{"who shared it", a, "member", true, "ok", "ok", "bad_request", "ok"},
		{"who it is for", o, "member", true, "ok", "ok", "forbidden", "forbidden"},
		{"a command of who it is for", command, "member", true, "ok", "ok", "forbidden", "forbidden"},
		{"a member", c, "member", false, "forbidden", "forbidden", "forbidden", "forbidden"},
		{"an admin", admin, "member", false, "forbidden", "forbidden", "forbidden", "ok"},

		{"who it is for", o, "session", true, "ok", "ok", "forbidden", "forbidden"},
		{"another session of who it is for", command, "session", true, "ok", "ok", "forbidden", "forbidden"},
		{"a member", c, "session", false, "forbidden", "forbidden", "forbidden", "forbidden"},

		{"who shared it", a, "sealed", true, "ok", "ok", "ok", "ok"},
		{"another session of who shared it", again, "sealed", true, "ok", "ok", "ok", "ok"},
		{"who has a key", o, "sealed", true, "ok", "ok", "forbidden", "forbidden"},
		{"who has none", c, "sealed", false, "forbidden", "forbidden", "forbidden", "forbidden"},
		{"an admin", admin, "sealed", false, "forbidden", "forbidden", "forbidden", "ok"},
		{"another mesh", stranger, "sealed", false, "not_found", "not_found", "not_found", "ok"},
	} {
		id := share(row.kind)
		check := func(what, got, want string) {
			if got != want {
				t.Errorf("%s, a %s file: %s is %s, want %s", row.who, row.kind, what, got, want)
			}
		}
		if listed := row.p.files()[id] != nil; listed != row.list {
			t.Errorf("%s, a %s file: listed is %v", row.who, row.kind, listed)
		}
		check("fetch", outcome(row.p.get(id)), row.fetch)
		check("status", outcome(row.p.askAny(map[string]any{"type": "file_status", "fileId": id})), row.status)
		check("grant", outcome(row.p.askAny(map[string]any{"type": "grant_file_access", "fileId": id, "peerPubkey": leaver.key, "sealedKey": box})), row.grant)
		check("delete", outcome(row.p.askAny(map[string]any{"type": "delete_file", "fileId": id})), row.deleteFile)
		// Of a file that is not there, or not here, a deletion says what it
		// says of one that was: nothing.
		gone := outcome(a.get(id)) == "not_found"
		if want := row.deleteFile == "ok" && row.p != stranger; gone != want {
			t.Errorf("%s, a %s file: gone is %v", row.who, row.kind, gone)
		}
	}
}
