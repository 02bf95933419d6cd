package broker

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"claudemesh/seal"
	"claudemesh/wire"
)

// askFile asks for a file without waiting for it, and returns the _reqId.
func (p *testPeer) askFile(target, path string) string {
	p.t.Helper()
	p.n++
	id := fmt.Sprintf("f%d", p.n)
	p.say(map[string]any{"type": "peer_file_request", "_reqId": id, "targetPubkey": target, "filePath": path})
	return id
}

// told returns the answer with that _reqId.
func (p *testPeer) told(id string) map[string]any {
	p.t.Helper()
	return p.answer(func(f map[string]any) bool { return f["_reqId"] == id })
}

func TestPeerFilesAreRelayed(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice, bob, carol := b.join("alice"), b.join("bob"), b.join("carol")
	a, server, c := alice.modern("a"), bob.old("b"), carol.modern("c")

	id := a.askFile(bob.pub(), "src/x.go")
	asked := server.expect("peer_file_request_forward")
	if asked["requesterPubkey"] != a.key || asked["filePath"] != "src/x.go" || asked["_reqId"] == id {
		t.Fatalf("forwarded %v", asked)
	}
	answer := map[string]any{"type": "peer_file_response", "_reqId": asked["_reqId"], "requesterPubkey": a.key, "filePath": "other", "content": ""}
	c.say(answer) // who was not asked
	server.say(map[string]any{"type": "peer_file_response", "_reqId": "made up", "requesterPubkey": a.key, "filePath": "src/x.go", "content": "Zg=="})
	server.say(map[string]any{"type": "peer_dir_response", "_reqId": asked["_reqId"], "requesterPubkey": a.key, "dirPath": "src/x.go", "entries": []any{"x"}})
	c.quiet()
	server.quiet()
	a.quiet()
	server.say(answer)
	got := a.told(id)
	if got["type"] != "peer_file_response_forward" || got["filePath"] != "src/x.go" || got["content"] != "" || got["error"] != nil {
		t.Errorf("an empty file came as %v", got)
	}
	server.say(answer) // again
	server.quiet()
	a.quiet()

	a.say(map[string]any{"type": "peer_dir_request", "_reqId": "d", "targetPubkey": strings.ToUpper(bob.pub()), "dirPath": "", "pattern": "*.go"})
	asked = server.expectAny("peer_dir_request_forward")
	if asked["pattern"] != "*.go" || asked["dirPath"] != "" {
		t.Errorf("forwarded %v", asked)
	}
	server.say(map[string]any{"type": "peer_dir_response", "_reqId": asked["_reqId"], "requesterPubkey": a.key, "dirPath": "", "entries": []any{}})
	if got := a.told("d"); got["type"] != "peer_dir_response_forward" || !equalJSON(got["entries"], []any{}) || got["error"] != nil {
		t.Errorf("an empty directory came as %v", got)
	}
}

func TestAPeersFileOfTheLargestSizeComesThrough(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	a, server := b.join("alice").modern("a"), b.join("bob").modern("b")
	content := strings.Repeat("QUFB", (wire.MaxPeerFile+2)/3)
	var ids []string
	for range maxRelaysFrom {
		ids = append(ids, a.askFile(server.key, "big"))
	}
	for range ids {
		asked := server.expectAny("peer_file_request_forward")
		server.say(map[string]any{"type": "peer_file_response", "_reqId": asked["_reqId"], "content": content})
	}
	whole := 0
	for _, id := range ids {
		if got := a.told(id); got["content"] == content {
			whole++
		} else if got["error"] != relayBehind {
			t.Errorf("%v", got["error"])
		}
	}
	if whole == 0 {
		t.Error("none of them came")
	}
}

func TestPeerFileRequestsAreRefused(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice, bob := b.join("alice"), b.join("bob")
	a := alice.modern("a")
	for _, c := range []struct {
		target, path string
		code         wire.Code
	}{
		{bob.pub(), "x", wire.PeerNotFound}, // not connected
		{strings.Repeat("0", 64), "x", wire.PeerNotFound},
		{alice.pub(), "x", wire.PeerNotFound}, // nobody of the member but who asks
		{bob.pub()[:12], "x", wire.BadRequest},
		{"bob", "x", wire.BadRequest},
		{bob.pub(), strings.Repeat("x", wire.MaxPath+1), wire.TooLarge},
		{bob.pub(), "a\x00b", wire.BadRequest},
	} {
		if got := a.told(a.askFile(c.target, c.path)); got["type"] != "error" || got["code"] != string(c.code) {
			t.Errorf("%.20q %.20q: %v, want %s", c.target, c.path, got, c.code)
		}
	}
	server := bob.modern("b")
	for range maxRelaysFrom {
		a.askFile(server.key, "x")
	}
	if got := a.told(a.askFile(server.key, "one too many")); got["code"] != string(wire.Limit) {
		t.Errorf("one too many: %v", got)
	}
}

func TestARelayEndsWithItsPeers(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		bob := b.join("bob")
		a, server := b.join("alice").modern("a"), bob.modern("b")
		relays := &b.srv.meshByID(b.mesh).relays
		none := func(when string) {
			synctest.Wait()
			if n := len(relays.by); n != 0 {
				t.Errorf("%s: %d relays are kept", when, n)
			}
		}

		id := a.askFile(server.key, "slow")
		asked := server.expectAny("peer_file_request_forward")
		pass(wire.RelayDeadline)
		if got := a.told(id); got["error"] != relayTimeout || got["filePath"] != "slow" || got["type"] != "peer_file_response_forward" {
			t.Errorf("after the deadline: %v", got)
		}
		none("after the deadline")
		server.say(map[string]any{"type": "peer_file_response", "_reqId": asked["_reqId"], "content": "bGF0ZQ=="})
		server.quiet()
		a.quiet()

		id = a.askFile(bob.pub(), "lost")
		server.expectAny("peer_file_request_forward")
		server.ws.CloseNow()
		if got := a.told(id); got["error"] != relayGone {
			t.Errorf("after the target went: %v", got)
		}
		none("after the target went")

		server = bob.modern("b2")
		a.askFile(server.key, "unwanted")
		asked = server.expectAny("peer_file_request_forward")
		a.ws.CloseNow()
		none("after the requester went")
		server.say(map[string]any{"type": "peer_file_response", "_reqId": asked["_reqId"], "content": ""})
		server.quiet()
	})
}

func TestAMembersFilesComeFromOneOfItsSessions(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	bob := b.join("bob")
	a, one := b.join("alice").modern("a"), bob.modern("one")
	two := bob.modern("two")
	for range 3 {
		a.askFile(bob.pub(), "x")
		one.expectAny("peer_file_request_forward")
	}
	two.askFile(bob.pub(), "y") // of the member's other session
	if f := one.expectAny("peer_file_request_forward"); f["filePath"] != "y" || f["requesterPubkey"] != two.key {
		t.Errorf("%v", f)
	}
	command := b.connect(bob.hello("", func(h *wire.Hello) { h.Transient = true }))
	command.askFile(two.key, "z")
	if f := two.expectAny("peer_file_request_forward"); f["filePath"] != "z" {
		t.Errorf("%v", f)
	}
}

// TestWhoMayAskForFilesOfPeers holds the rows of docs/SECURITY.md on files of
// peers and on the overview, a case for each cell.
func TestWhoMayAskForFilesOfPeers(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	serving := b.join("bob")
	server := serving.modern("b")
	admin, member := b.join("admin"), b.join("member")
	if status, res := b.call("PATCH", "/mesh/"+b.mesh+"/member/"+admin.id, b.owner, map[string]any{"permission": "admin"}); status != 200 {
		t.Fatalf("make an admin: %d %v", status, res)
	}
	owner := b.dial()
	owner.say(fieldsOf((&testMember{b: b, key: b.owner, id: member.id, name: "owner"}).hello("o")))
	if f := owner.read(); f["code"] != string(wire.Unauthorized) {
		t.Fatalf("an owner who is no member: %v", f)
	}
	who := map[string]*testPeer{
		"admin": admin.modern("a"), "member": member.modern("m"), "command": member.commandOf(must(seal.Generate()), false), "unsigned": b.dial(),
	}
	for name, p := range who {
		want := name != "unsigned"
		for _, kind := range []struct{ request, forward, response string }{
			{"peer_file_request", "peer_file_request_forward", "peer_file_response"},
			{"peer_dir_request", "peer_dir_request_forward", "peer_dir_response"},
		} {
			p.say(map[string]any{"type": kind.request, "_reqId": kind.request, "targetPubkey": server.key, "filePath": "x", "dirPath": "x"})
			if !want {
				if f := p.told(kind.request); f["code"] != string(wire.NoHello) {
					t.Errorf("%s: %v", name, f)
				}
				continue
			}
			asked := server.expectAny(kind.forward)
			for _, stranger := range who { // nobody answers in the place of who was asked
				if stranger != p {
					stranger.say(map[string]any{"type": kind.response, "_reqId": asked["_reqId"], "content": "Zm9yZ2Vk", "entries": []any{"forged"}})
				}
			}
			for stranger, other := range who {
				if stranger != "unsigned" && other != p {
					other.quiet() // it has been read
				}
			}
			server.say(map[string]any{"type": kind.response, "_reqId": asked["_reqId"], "content": "eA==", "entries": []any{"x"}})
			if f := p.told(kind.request); f["content"] != "eA==" && !equalJSON(f["entries"], []any{"x"}) {
				t.Errorf("%s is answered %v", name, f)
			}
		}
		if f := p.askAny(map[string]any{"type": "mesh_info"}); (f["type"] == "mesh_info_result") != want {
			t.Errorf("%s asks for the overview: %v", name, f)
		}
	}
	if f := who["member"].told(who["member"].askFile(who["command"].key, "x")); f["code"] != string(wire.PeerNotFound) {
		t.Errorf("a command is asked for files: %v", f)
	}
	other := newBroker(t)
	stranger := other.join("stranger").modern("s")
	if f := stranger.told(stranger.askFile(server.key, "x")); f["code"] != string(wire.PeerNotFound) {
		t.Errorf("a peer of another mesh is asked: %v", f)
	}
	for _, f := range server.news() {
		if typ, _ := f["type"].(string); strings.HasSuffix(typ, "_forward") {
			t.Errorf("unexpected %v", f)
		}
	}
}
