package broker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

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
