package broker

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

// A signedRequest is a request in the making, for tests that forge one.
type signedRequest struct {
	method, path string
	key          seal.PrivateKey
	body         []byte
	at           wire.Millis

	signedMethod, signedPath string // if they differ
	signedBody               []byte
	pubkey, signature        string
}

// ask sends r and returns what comes.
func (b *testBroker) ask(r signedRequest) (int, map[string]any) {
	b.t.Helper()
	if r.at == 0 {
		r.at = b.stamp()
	}
	if r.signedMethod == "" {
		r.signedMethod = r.method
	}
	if r.signedPath == "" {
		r.signedPath = r.path
	}
	if r.signedBody == nil {
		r.signedBody = r.body
	}
	if r.pubkey == "" {
		r.pubkey = r.key.Public().String()
	}
	if r.signature == "" {
		r.signature = r.key.Sign(must(seal.HTTPText(r.signedMethod, r.signedPath, r.pubkey, int64(r.at), sha256.Sum256(r.signedBody))))
	}
	req := must(http.NewRequestWithContext(b.t.Context(), r.method, b.base+r.path, bytes.NewReader(r.body)))
	req.Header.Set(wire.HeaderPubkey, r.pubkey)
	req.Header.Set(wire.HeaderTimestamp, fmt.Sprint(int64(r.at)))
	req.Header.Set(wire.HeaderSignature, r.signature)
	return b.do(req)
}

func TestOnlyASignatureOfThisRequestProvesWhoAsks(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice, stranger := b.join("alice"), must(seal.Generate())
	path := "/mesh/" + b.mesh + "/member/" + alice.id
	body := []byte(`{"roleTag":"x"}`)
	good := signedRequest{method: "PATCH", path: path, key: alice.key, body: body}
	change := func(fn func(*signedRequest)) signedRequest {
		r := good
		fn(&r)
		return r
	}
	sum := sha256.Sum256(body)
	used := change(func(r *signedRequest) { r.at = b.stamp() })
	used.signature = alice.key.Sign(must(seal.HTTPText("PATCH", path, alice.pub(), int64(used.at), sum)))
	upper := change(func(r *signedRequest) { r.at, r.signature = used.at, strings.ToUpper(used.signature) })
	for _, c := range []struct {
		name   string
		req    signedRequest
		status int
		code   string
	}{
		{"signed", used, 200, ""},
		{"a key in upper case", change(func(r *signedRequest) { r.pubkey = strings.ToUpper(alice.pub()) }), 200, ""},
		{"a query that is signed", change(func(r *signedRequest) { r.path += "?a=b%20c" }), 200, ""},
		{"repeated", used, 401, "unauthorized"},
		{"repeated in upper case", upper, 401, "unauthorized"},
		{"another path", change(func(r *signedRequest) { r.signedPath = "/mesh/" + b.mesh + "/member/other" }), 401, "bad_signature"},
		{"a query that is not signed", change(func(r *signedRequest) { r.path += "?a=b"; r.signedPath = path }), 401, "bad_signature"},
		{"another method", change(func(r *signedRequest) { r.signedMethod = "DELETE" }), 401, "bad_signature"},
		{"another body", change(func(r *signedRequest) { r.signedBody = []byte(`{}`) }), 401, "bad_signature"},
		{"another key", change(func(r *signedRequest) { r.key, r.pubkey = stranger, alice.pub() }), 401, "bad_signature"},
		{"a stranger's key", change(func(r *signedRequest) { r.key = stranger }), 401, "unauthorized"},
		{"too old", change(func(r *signedRequest) { r.at = wire.MillisOf(time.Now().Add(-2 * time.Minute)) }), 401, "timestamp_skew"},
		{"no hex", change(func(r *signedRequest) { r.signature = strings.Repeat("x", 128) }), 401, "bad_signature"},
		{"no key", change(func(r *signedRequest) { r.pubkey = "abc"; r.signature = "00" }), 401, "unauthorized"},
		{"a mesh that is not there", change(func(r *signedRequest) { r.path = "/mesh/Nothing0Nothing0/member/" + alice.id }), 401, "unauthorized"},
		{"not JSON", change(func(r *signedRequest) { r.body = []byte("{") }), 400, "bad_request"},
		{"too large", change(func(r *signedRequest) { r.body = bytes.Repeat([]byte("x"), maxBody+1) }), 413, "too_large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, res := b.ask(c.req)
			if code, _ := res["error"].(string); status != c.status || code != c.code || res["ok"] != (c.code == "") {
				t.Errorf("%d %v, want %d %s", status, res, c.status, c.code)
			}
		})
	}
	for _, header := range []string{wire.HeaderPubkey, wire.HeaderTimestamp, wire.HeaderSignature} {
		req := must(http.NewRequestWithContext(t.Context(), "GET", b.base+"/mesh/"+b.mesh+"/members", nil))
		for _, h := range []string{wire.HeaderPubkey, wire.HeaderTimestamp, wire.HeaderSignature} {
			if h != header {
				req.Header.Set(h, "1")
			}
		}
		if status, res := b.do(req); status != 401 {
			t.Errorf("without %s: %d %v", header, status, res)
		}
	}
}

// Who is nobody cannot fill what remembers signatures.
func TestSignaturesOfStrangersAreNotRemembered(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	remembered := func() int {
		b.srv.replays.mu.Lock()
		defer b.srv.replays.mu.Unlock()
		return len(b.srv.replays.used)
	}
	before := remembered()
	for _, mesh := range []string{b.mesh, "Nothing0Nothing0"} {
		b.ask(signedRequest{method: "DELETE", path: "/mesh/" + mesh + "/member/x", key: must(seal.Generate())})
	}
	(&testMember{b: b, key: must(seal.Generate())}).hook(wire.HookStatus{Status: wire.Idle})
	if n := remembered(); n != before {
		t.Errorf("%d signatures of strangers", n-before)
	}
}

func TestRememberedSignaturesAreBounded(t *testing.T) {
	t.Parallel()
	var r replays
	for i := range maxReplays {
		if err := r.request(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.request("one more"); !errors.Is(err, &wire.Error{Code: wire.Capacity}) {
		t.Errorf("one more: %v", err)
	}
	r.next = time.Time{}
	for k, u := range r.used {
		u.at = u.at.Add(-replayTime)
		r.used[k] = u
	}
	if err := r.request("one more"); err != nil {
		t.Errorf("when their time is over: %v", err)
	}
	if err := r.request("ONE MORE"); !errors.Is(err, &wire.Error{Code: wire.Unauthorized}) {
		t.Errorf("the same again: %v", err)
	}
}

// Who may do what: the rows of the table in docs/SECURITY.md that HTTP serves.
func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	admin := b.joinAs("admin", "admin")
	mesh := "/mesh/" + b.mesh
	token := func() wire.AddInvite { return wire.AddInvite{Token: b.token("member"), MaxUses: 1} }
	type world struct{ self, other *testMember }
	for _, c := range []struct {
		name   string
		method string
		path   func(world) string
		body   func() any
		may    string // of owner, admin, self, member, stranger
	}{
		{"list members", "GET", func(world) string { return mesh + "/members" }, nil, "owner admin self member"},
		{"rename a member", "PATCH", func(w world) string { return mesh + "/member/" + w.self.id }, func() any { return map[string]any{"displayName": "n"} }, "owner admin self"},
		{"make an admin", "PATCH", func(w world) string { return mesh + "/member/" + w.self.id }, func() any { return map[string]any{"permission": "admin"} }, "owner admin"},
		{"revoke a member", "DELETE", func(w world) string { return mesh + "/member/" + w.self.id }, nil, "owner admin self"},
		{"list invites", "GET", func(world) string { return mesh + "/invites" }, nil, "owner admin"},
		{"register an invite", "POST", func(world) string { return mesh + "/invites" }, func() any { return token() }, "owner admin"},
		{"revoke an invite", "DELETE", func(world) string { return mesh + "/invites/" + b.inviteID() }, nil, "owner admin"},
		{"change settings", "PATCH", func(world) string { return mesh + "/settings" }, func() any { return map[string]any{"messageTtl": 1000} }, "owner admin"},
	} {
		for _, who := range []string{"owner", "admin", "self", "member", "stranger"} {
			t.Run(c.name+" by "+who, func(t *testing.T) {
				w := world{self: b.join("self"), other: b.join("other")}
				key := map[string]seal.PrivateKey{"owner": b.owner, "admin": admin.key, "self": w.self.key, "member": w.other.key, "stranger": must(seal.Generate())}[who]
				var body []byte
				if c.body != nil {
					body = must(json.Marshal(c.body()))
				}
				status, res := b.ask(signedRequest{method: c.method, path: c.path(w), key: key, body: body})
				want := 403
				switch {
				case strings.Contains(" "+c.may+" ", " "+who+" "):
					want = 200
				case who == "stranger":
					want = 401
				}
				if status != want || res["ok"] != (want == 200) {
					t.Errorf("%d %v, want %d", status, res, want)
				}
			})
		}
	}
}

// joinAs enrolls a member by an invite for that role.
func (b *testBroker) joinAs(name, role string) *testMember {
	b.t.Helper()
	m := &testMember{b: b, key: must(seal.Generate()), name: name}
	inv := b.invite(1, nil, func(i *seal.Invite) { i.Role = role })
	status, res := b.post("/join", wire.JoinRequest{InviteToken: inv.Token(), InvitePayload: payload(inv), PeerPubkey: m.pub(), DisplayName: name})
	if status != 200 {
		b.t.Fatalf("join: %d %v", status, res)
	}
	m.id = res["memberId"].(string)
	return m
}

// token returns a token of the owner's that is not on record.
func (b *testBroker) token(role string) string {
	b.t.Helper()
	inv := seal.Invite{MeshID: b.mesh, MeshSlug: "home", BrokerURL: "ws://h/ws", Role: role, MeshRootKey: b.root,
		ExpiresAt: time.Now().Add(time.Hour).Unix() + b.serial.Add(1)}
	if err := inv.Sign(b.owner); err != nil {
		b.t.Fatal(err)
	}
	return inv.Token()
}

// inviteID registers an invite and returns its id.
func (b *testBroker) inviteID() string {
	b.t.Helper()
	status, res := b.call("POST", "/mesh/"+b.mesh+"/invites", b.owner, wire.AddInvite{Token: b.token("member"), MaxUses: 1})
	if status != 200 {
		b.t.Fatal(res)
	}
	return res["invite"].(map[string]any)["id"].(string)
}

func TestWhatMembersMayChangeOfThemselves(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice := b.join("alice")
	path := "/mesh/" + b.mesh + "/member/" + alice.id
	fields := map[string]any{"displayName": "n", "roleTag": "r", "groups": []any{group("@g")}, "messageMode": "inbox"}
	for name, v := range fields {
		policy := map[string]any{"displayName": true, "roleTag": true, "groups": true, "messageMode": true}
		policy[name] = false
		if status, res := b.call("PATCH", "/mesh/"+b.mesh+"/settings", b.owner, map[string]any{"selfEditable": policy}); status != 200 {
			t.Fatal(res)
		}
		if got := alice.old("policy").ack["meshPolicy"].(map[string]any)["selfEditable"]; !equalJSON(got, policy) {
			t.Errorf("the policy is told as %v", got)
		}
		if status, res := b.call("PATCH", path, alice.key, map[string]any{name: v}); status != 403 || !strings.Contains(fmt.Sprint(res["message"]), name) {
			t.Errorf("%s where it may not: %d %v", name, status, res)
		}
		for other, v := range fields {
			if status, res := b.call("PATCH", path, alice.key, map[string]any{other: v}); (status == 200) != (other != name) {
				t.Errorf("%s where it may not change %s: %d %v", other, name, status, res)
			}
		}
		if status, res := b.call("PATCH", path, alice.key, fields); status != 403 {
			t.Errorf("all of them: %d %v", status, res)
		}
	}
	if status, res := b.call("PATCH", path, alice.key, map[string]any{"permission": "member"}); status != 403 {
		t.Errorf("permission: %d %v", status, res)
	}
}

func TestChangesOfAMember(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice, watcher := b.join("alice"), b.join("watcher").modern("w")
	p := alice.modern("a")
	path := "/mesh/" + b.mesh + "/member/" + alice.id
	watcher.event("peer_joined")
	status, res := b.call("PATCH", path, b.owner, map[string]any{"displayName": "Al", "roleTag": "lead", "groups": []any{group("@eng", "x")},
		"messageMode": "off", "permission": "admin"})
	changes := map[string]any{"displayName": "Al", "roleTag": "lead", "groups": []any{group("eng", "x")}, "messageMode": "off"}
	if status != 200 || !equalJSON(res["changes"], changes) {
		t.Fatalf("%d %v", status, res)
	}
	m := res["member"].(map[string]any)
	for name, want := range map[string]any{"id": alice.id, "pubkey": alice.pub(), "displayName": "Al", "roleTag": "lead", "messageMode": "off", "permission": "admin"} {
		if m[name] != want {
			t.Errorf("%s is %v, want %v", name, m[name], want)
		}
	}
	if d := p.event("profile_updated"); !equalJSON(d, changes) {
		t.Errorf("told %v", d)
	}
	watcher.noEvent("profile_updated")
	if e := watcher.find(p.key); e["displayName"] != "alice" || !equalJSON(e["groups"], []any{}) {
		t.Errorf("a live session keeps its name and groups: %v", e)
	}
	b.restart()
	ack := alice.modern("b").ack["memberProfile"]
	if !equalJSON(ack, map[string]any{"roleTag": "lead", "groups": []any{group("eng", "x")}, "messageMode": "off"}) {
		t.Errorf("after a restart: %v", ack)
	}
	if status, _ := b.call("GET", "/mesh/"+b.mesh+"/invites", alice.key, nil); status != 200 {
		t.Errorf("the new admin may not: %d", status)
	}
	b.call("PATCH", path, b.owner, map[string]any{"permission": "member"})
	if status, _ := b.call("GET", "/mesh/"+b.mesh+"/invites", alice.key, nil); status != 403 {
		t.Errorf("who is no admin any more still may: %d", status)
	}
}

func TestChangesThatAreRefused(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice, gone := b.join("alice"), b.join("gone")
	if status, _ := b.call("DELETE", "/mesh/"+b.mesh+"/member/"+gone.id, b.owner, nil); status != 200 {
		t.Fatal(status)
	}
	other := b.anotherMesh()
	elsewhere := other.join("elsewhere")
	long := strings.Repeat("x", wire.MaxName+1)
	many := make([]any, wire.MaxGroups+1)
	for i := range many {
		many[i] = group(fmt.Sprint("g", i))
	}
	for _, c := range []struct {
		name   string
		id     string
		body   map[string]any
		status int
	}{
		{"nothing", alice.id, map[string]any{}, 400},
		{"nothing known", alice.id, map[string]any{"color": "red"}, 400},
		{"an empty name", alice.id, map[string]any{"displayName": ""}, 400},
		{"a long name", alice.id, map[string]any{"displayName": long}, 400},
		{"a name with control characters", alice.id, map[string]any{"displayName": "a\nb"}, 400},
		{"a long role", alice.id, map[string]any{"roleTag": long}, 400},
		{"a bad group", alice.id, map[string]any{"groups": []any{group("a//b")}}, 400},
		{"too many groups", alice.id, map[string]any{"groups": many}, 400},
		{"a mode", alice.id, map[string]any{"messageMode": "loud"}, 400},
		{"a permission", alice.id, map[string]any{"permission": "owner"}, 400},
		{"a good and a bad field", alice.id, map[string]any{"displayName": "ok", "permission": "owner"}, 400},
		{"nobody", "nobody", map[string]any{"displayName": "x"}, 404},
		{"a member who was revoked", gone.id, map[string]any{"displayName": "x"}, 404},
		{"a member of another mesh", elsewhere.id, map[string]any{"displayName": "x"}, 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			if status, res := b.call("PATCH", "/mesh/"+b.mesh+"/member/"+c.id, b.owner, c.body); status != c.status || res["ok"] != false {
				t.Errorf("%d %v, want %d", status, res, c.status)
			}
		})
	}
	for _, id := range []string{"nobody", gone.id, elsewhere.id} {
		if status, _ := b.call("DELETE", "/mesh/"+b.mesh+"/member/"+id, b.owner, nil); status != 404 {
			t.Errorf("revoke %s: %d", id, status)
		}
	}
	if name := alice.old("a").ack["memberDisplayName"]; name != "alice" {
		t.Errorf("a refusal renamed her to %v", name)
	}
	for _, c := range []map[string]any{{}, {"messageTtl": 0}, {"messageTtl": -1}, {"messageTtl": 1 << 40}, {"messageTtl": "x"}, {"selfEditable": 7}} {
		if status, res := b.call("PATCH", "/mesh/"+b.mesh+"/settings", b.owner, c); status != 400 {
			t.Errorf("settings %v: %d %v", c, status, res)
		}
	}
}

// anotherMesh returns the same broker with a second mesh of another owner.
func (b *testBroker) anotherMesh() *testBroker {
	b.t.Helper()
	other := &testBroker{t: b.t, cfg: b.cfg, srv: b.srv, base: b.base, http: b.http, owner: must(seal.Generate()), root: seal.NewRootKey(), slug: "other"}
	other.mesh = strings.Repeat("Other", 5)
	other.create()
	return other
}

func TestMembersAreListed(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		zoe := b.join("zoe")
		pass(time.Second)
		alice := b.join("alice", &wire.Preset{RoleTag: "r", Groups: []wire.Group{{Name: "g"}}})
		gone := b.join("gone")
		b.call("DELETE", "/mesh/"+b.mesh+"/member/"+gone.id, b.owner, nil)
		alice.modern("a")
		alice.modern("b").drop()
		alice.command(false)
		zoe.modern("z").leave()
		pass(time.Second)
		status, res := b.call("GET", "/mesh/"+b.mesh+"/members", zoe.key, nil)
		var members []map[string]any
		for _, e := range res["members"].([]any) {
			members = append(members, e.(map[string]any))
		}
		if status != 200 || len(members) != 2 {
			t.Fatalf("%d %v", status, res)
		}
		for i, want := range []map[string]any{
			{"displayName": "zoe", "online": false, "sessionCount": 0, "roleTag": nil, "groups": []any{}, "joinedAt": "2000-01-01T00:00:00.000Z",
				"lastSeenAt": "2000-01-01T00:00:01.000Z", "permission": "member", "messageMode": "push", "pubkey": zoe.pub(), "id": zoe.id},
			{"displayName": "alice", "online": true, "sessionCount": 2, "roleTag": "r", "groups": []any{group("g")}},
		} {
			for name, v := range want {
				if !equalJSON(members[i][name], v) {
					t.Errorf("%s of %s is %v, want %v", name, want["displayName"], members[i][name], v)
				}
			}
		}
	})
}

func TestRevokingAMember(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice, bob := b.join("alice"), b.join("bob").modern("b")
	key := must(seal.Generate())
	p, cmd := b.connect(alice.keyed(alice.hello("a"), key)), alice.command(false)
	bob.event("peer_joined")
	bob.send(p.key, "before")
	if status, res := b.call("DELETE", "/mesh/"+b.mesh+"/member/"+alice.id, b.owner, nil); status != 200 {
		t.Fatal(res)
	}
	how, last := p.end()
	if how.Code != wire.CloseRevoked || last["ciphertext"] != "before" {
		t.Errorf("closed by %v after %v", how, last)
	}
	if how, _ := cmd.end(); how.Code != wire.CloseRevoked {
		t.Errorf("the command was closed by %v", how)
	}
	if d := bob.event("peer_left"); d["pubkey"] != p.key {
		t.Errorf("left: %v", d)
	}
	if ack := bob.send("*", "x"); ack["outcome"] != "nobody" {
		t.Errorf("multicast: %v", ack)
	}
	check := func() {
		t.Helper()
		for _, h := range []wire.Hello{alice.hello("a"), alice.keyed(alice.hello("a"), key)} {
			if got := b.refuse(fieldsOf(h)); got != "unauthorized" {
				t.Errorf("its hello: %s", got)
			}
		}
		if status, _ := alice.hook(wire.HookStatus{Status: wire.Idle}); status != 401 {
			t.Errorf("its hook: %d", status)
		}
		if status, _ := b.call("GET", "/mesh/"+b.mesh+"/members", alice.key, nil); status != 401 {
			t.Errorf("its request: %d", status)
		}
	}
	check()
	b.restart()
	check()
	carol := b.join("carol")
	if got := b.refuse(fieldsOf(carol.keyed(carol.hello("a"), key))); got != "unauthorized" {
		t.Errorf("its session key by another member: %s", got)
	}
}
