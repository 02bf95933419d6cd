package broker

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"claudemesh/seal"
	"claudemesh/store"
	"claudemesh/wire"
)

// enroll joins with a new key and returns the answer.
func (b *testBroker) enroll(inv seal.Invite, change ...func(*wire.JoinRequest)) (int, map[string]any) {
	b.t.Helper()
	return b.enrollKey(must(seal.Generate()), inv, change...)
}

func (b *testBroker) enrollKey(key seal.PrivateKey, inv seal.Invite, change ...func(*wire.JoinRequest)) (int, map[string]any) {
	b.t.Helper()
	req := wire.JoinRequest{InviteToken: inv.Token(), InvitePayload: payload(inv), PeerPubkey: key.Public().String(), DisplayName: "new"}
	for _, fn := range change {
		fn(&req)
	}
	return b.post("/join", req)
}

// signedBy returns an invite for the mesh that is on no record.
func (b *testBroker) signedBy(owner seal.PrivateKey, change ...func(*seal.Invite)) seal.Invite {
	b.t.Helper()
	inv := seal.Invite{MeshID: b.mesh, MeshSlug: "home", BrokerURL: "ws://h/ws", Role: "member", MeshRootKey: b.root,
		ExpiresAt: time.Now().Add(time.Hour).Unix() + b.serial.Add(1)}
	for _, fn := range change {
		fn(&inv)
	}
	if err := inv.Sign(owner); err != nil {
		b.t.Fatal(err)
	}
	return inv
}

func TestJoiningIsRefused(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	good, adminOnly := b.invite(5, nil), b.invite(5, nil, func(i *seal.Invite) { i.Role = "admin" })
	revoked, spent := b.invite(5, nil), b.invite(1, nil)
	b.revokeInvites(revoked)
	if status, res := b.enroll(spent); status != 200 {
		t.Fatal(res)
	}
	edit := func(fn func(*seal.Invite)) func(*wire.JoinRequest) {
		return func(r *wire.JoinRequest) {
			i := good
			fn(&i)
			r.InviteToken, r.InvitePayload = i.Token(), payload(i)
		}
	}
	foreign := b.signedBy(must(seal.Generate()))
	other := b.anotherMesh().signedBy(b.owner)
	for _, c := range []struct {
		name   string
		inv    seal.Invite
		change func(*wire.JoinRequest)
		code   wire.Code
	}{
		{"the role is changed", good, edit(func(i *seal.Invite) { i.Role = "admin" }), wire.InviteBadSignature},
		{"the expiry is changed", good, edit(func(i *seal.Invite) { i.ExpiresAt++ }), wire.InviteBadSignature},
		{"the owner is changed", good, edit(func(i *seal.Invite) { i.OwnerPubkey = foreign.OwnerPubkey }), wire.InviteBadSignature},
		{"the signature is cut", good, edit(func(i *seal.Invite) { i.Signature = i.Signature[:10] }), wire.InviteBadSignature},
		{"the mesh is on another broker", b.signedBy(b.owner, func(i *seal.Invite) { i.MeshID = "Nothing0Nothing0" }), nil, wire.MeshNotFound},
		{"it is signed by somebody else", foreign, nil, wire.InviteOwnerMismatch},
		{"it is signed by the owner of another mesh", other, nil, wire.InviteOwnerMismatch},
		{"nobody has registered it", b.signedBy(b.owner), nil, wire.InviteNotFound},
		{"the token is another invite's", good, func(r *wire.JoinRequest) { r.InvitePayload = payload(adminOnly) }, wire.InviteNotFound},
		{"the token is nonsense", good, func(r *wire.JoinRequest) { r.InviteToken = "nonsense" }, wire.InviteNotFound},
		{"the token says the same in other words", good, func(r *wire.JoinRequest) { r.InviteToken = otherWords(r.InviteToken) }, wire.InviteNotFound},
		{"it was revoked", revoked, nil, wire.InviteRevoked},
		{"it is used up", spent, nil, wire.InviteExhausted},
		{"the key is cut", good, func(r *wire.JoinRequest) { r.PeerPubkey = r.PeerPubkey[:63] }, wire.BadRequest},
		{"the key is no point of the curve", good, func(r *wire.JoinRequest) { r.PeerPubkey = "02" + strings.Repeat("00", 31) }, wire.BadRequest},
		{"there is no token", good, func(r *wire.JoinRequest) { r.InviteToken = "" }, wire.BadRequest},
		{"there is no payload", good, func(r *wire.JoinRequest) { r.InvitePayload = nil }, wire.BadRequest},
		{"the payload is text", good, func(r *wire.JoinRequest) { r.InvitePayload = "x" }, wire.BadRequest},
		{"there is no name", good, func(r *wire.JoinRequest) { r.DisplayName = "" }, wire.BadRequest},
		{"the name is empty but for what is not shown", good, func(r *wire.JoinRequest) { r.DisplayName = " \n\x00 " }, wire.BadRequest},
		{"the key is not proven", good, func(r *wire.JoinRequest) { r.Signature = strings.Repeat("0", 128) }, wire.BadSignature},
	} {
		t.Run(c.name, func(t *testing.T) {
			fn := c.change
			if fn == nil {
				fn = func(*wire.JoinRequest) {}
			}
			status, res := b.enroll(c.inv, fn)
			want := 400
			if c.code == wire.BadSignature {
				want = 401
			}
			if status != want || res["error"] != string(c.code) || res["ok"] != false || res["memberId"] != nil {
				t.Errorf("%d %v, want %s", status, res, c.code)
			}
		})
	}
	if uses := b.uses(good); uses != 0.0 {
		t.Errorf("refusals have used the invite %v times", uses)
	}
	req := must(json.Marshal("x"))
	if status, res := b.post("/join", json.RawMessage(req)); status != 400 || res["error"] != "bad_request" {
		t.Errorf("what is no object: %d %v", status, res)
	}
	if status, res := b.post("/join", map[string]any{"pad": strings.Repeat("x", maxBody)}); status != 413 || res["error"] != "too_large" {
		t.Errorf("what is too large: %d %v", status, res)
	}
}

// otherWords returns a token whose payload is the same but for its spelling.
func otherWords(token string) string {
	inv := must(seal.DecodeToken(token))
	inv.Signature = strings.ToUpper(inv.Signature)
	return inv.Token()
}

// revokeInvites revokes an invite.
func (b *testBroker) revokeInvites(inv seal.Invite) {
	b.t.Helper()
	id := b.onRecord(inv)["id"].(string)
	if status, res := b.call("DELETE", "/mesh/"+b.mesh+"/invites/"+id, b.owner, nil); status != 200 {
		b.t.Fatal(res)
	}
}

// onRecord returns what the broker lists of an invite.
func (b *testBroker) onRecord(inv seal.Invite) map[string]any {
	b.t.Helper()
	_, res := b.call("GET", "/mesh/"+b.mesh+"/invites", b.owner, nil)
	expires := wire.Time(time.Unix(inv.ExpiresAt, 0)).String()
	for _, e := range res["invites"].([]any) {
		if e := e.(map[string]any); e["expiresAt"] == expires {
			return e
		}
	}
	b.t.Fatalf("no invite until %s in %v", expires, res)
	return nil
}

func (b *testBroker) uses(inv seal.Invite) any { return b.onRecord(inv)["uses"] }

func TestJoiningAnArchivedMeshIsRefused(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	inv, alice := b.invite(1, nil), b.join("alice")
	b.stop()
	path := must(store.MeshFile(b.cfg.Data, b.mesh))
	db := must(store.Open(t.Context(), path, store.Options{}))
	if err := db.Write(t.Context(), func(tx *store.Tx) error { return tx.Archive(time.Now()) }); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b.start()
	if status, res := b.enroll(inv); status != 400 || res["error"] != "mesh_not_found" {
		t.Errorf("join: %d %v", status, res)
	}
	if got := b.refuse(fieldsOf(alice.hello("a"))); got != "unauthorized" {
		t.Errorf("hello: %s", got)
	}
}

func TestInvitesExpire(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		inv := b.invite(5, nil)
		key := must(seal.Generate())
		if status, res := b.enrollKey(key, inv); status != 200 {
			t.Fatal(res)
		}
		pass(time.Until(time.Unix(inv.ExpiresAt, 0))) // it is good through that second
		if status, res := b.enroll(inv); status != 200 {
			t.Errorf("in its last second: %d %v", status, res)
		}
		pass(time.Second)
		for _, k := range []seal.PrivateKey{must(seal.Generate()), key} {
			if status, res := b.enrollKey(k, inv); status != 400 || res["error"] != "invite_expired" {
				t.Errorf("after it: %d %v", status, res)
			}
		}
		expired := b.signedBy(b.owner, func(i *seal.Invite) { i.ExpiresAt = time.Now().Unix() - 1 })
		if status, res := b.call("POST", "/mesh/"+b.mesh+"/invites", b.owner, wire.AddInvite{Token: expired.Token(), MaxUses: 1}); status != 400 {
			t.Errorf("registered after its time: %d %v", status, res)
		}
	})
}

func TestAnInviteIsUsedAsOftenAsItMay(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	inv := b.invite(5, nil)
	var in, out atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			switch status, res := b.enroll(inv); {
			case status == 200:
				in.Add(1)
			case res["error"] == "invite_exhausted":
				out.Add(1)
			default:
				t.Errorf("%d %v", status, res)
			}
		})
	}
	wg.Wait()
	if in.Load() != 5 || out.Load() != 15 || b.uses(inv) != 5.0 {
		t.Errorf("%d came in, %d did not, %v uses", in.Load(), out.Load(), b.uses(inv))
	}
}

func TestWhoIsAMemberUsesNothingUp(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice := b.join("alice")
	inv := b.invite(1, nil)
	for _, pub := range []string{alice.pub(), strings.ToUpper(alice.pub())} {
		status, res := b.enrollKey(alice.key, inv, func(r *wire.JoinRequest) { r.PeerPubkey = pub })
		if status != 200 || res["memberId"] != alice.id || res["alreadyMember"] != true || res["displayName"] != "alice" {
			t.Errorf("%d %v", status, res)
		}
	}
	if uses := b.uses(inv); uses != 0.0 {
		t.Errorf("%v uses", uses)
	}
	key := must(seal.Generate())
	var ids sync.Map
	var wg sync.WaitGroup
	for range 10 { // one key at the same time is one member
		wg.Go(func() {
			status, res := b.enrollKey(key, inv)
			if status != 200 {
				t.Errorf("%d %v", status, res)
			}
			ids.Store(res["memberId"], true)
		})
	}
	wg.Wait()
	n := 0
	for range ids.Range {
		n++
	}
	if n != 1 || b.uses(inv) != 1.0 {
		t.Errorf("%d members, %v uses", n, b.uses(inv))
	}
}

func TestPresetsAreApplied(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	preset := &wire.Preset{DisplayName: "Worker", RoleTag: "builder", Groups: []wire.Group{{Name: "@eng", Role: "lead"}}, MessageMode: "inbox"}
	inv := b.invite(1, preset, func(i *seal.Invite) { i.Role = "admin" })
	if p := b.onRecord(inv)["preset"]; !equalJSON(p, map[string]any{"displayName": "Worker", "roleTag": "builder",
		"groups": []any{group("eng", "lead")}, "messageMode": "inbox"}) {
		t.Errorf("on record: %v", p)
	}
	m := &testMember{b: b, key: must(seal.Generate())}
	status, res := b.enrollKey(m.key, inv)
	if status != 200 || res["displayName"] != "Worker" {
		t.Fatalf("%d %v", status, res)
	}
	m.id = res["memberId"].(string)
	p := m.modern("a")
	if !equalJSON(p.ack["memberProfile"], map[string]any{"roleTag": "builder", "groups": []any{group("eng", "lead")}, "messageMode": "inbox"}) ||
		p.ack["memberDisplayName"] != "Worker" {
		t.Errorf("ack %v", p.ack)
	}
	brief := p.ask("peers_list", map[string]any{"type": "list_peers", "members": true})["members"].([]any)[0].(map[string]any)
	if brief["permission"] != "admin" || brief["roleTag"] != "builder" {
		t.Errorf("member %v", brief)
	}
	plain := b.join("plain").modern("p").ack
	if !equalJSON(plain["memberProfile"], map[string]any{"roleTag": nil, "groups": []any{}, "messageMode": "push"}) {
		t.Errorf("without a preset: %v", plain)
	}
}

func TestInvitesThatCannotBeRegistered(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	path := "/mesh/" + b.mesh + "/invites"
	have := b.invite(3, nil)
	foreign := b.signedBy(must(seal.Generate()))
	elsewhere := b.signedBy(b.owner, func(i *seal.Invite) { i.MeshID = "Nothing0Nothing0" })
	altered := b.signedBy(b.owner)
	altered.Role = "admin"
	for _, c := range []struct {
		name   string
		body   any
		status int
		code   wire.Code
	}{
		{"on record already", wire.AddInvite{Token: have.Token(), MaxUses: 1}, 409, wire.Conflict},
		{"signed by somebody else", wire.AddInvite{Token: foreign.Token(), MaxUses: 1}, 400, wire.InviteOwnerMismatch},
		{"for another mesh", wire.AddInvite{Token: elsewhere.Token(), MaxUses: 1}, 400, wire.InviteMeshMismatch},
		{"altered", wire.AddInvite{Token: altered.Token(), MaxUses: 1}, 400, wire.BadRequest},
		{"nonsense", wire.AddInvite{Token: "nonsense", MaxUses: 1}, 400, wire.BadRequest},
		{"nothing", map[string]any{}, 400, wire.BadRequest},
		{"without a use", map[string]any{"token": b.token("member"), "maxUses": 0}, 400, wire.BadRequest},
		{"with too many uses", wire.AddInvite{Token: b.token("member"), MaxUses: maxInviteUses + 1}, 400, wire.BadRequest},
		{"with a bad preset", wire.AddInvite{Token: b.token("member"), MaxUses: 1, Preset: &wire.Preset{MessageMode: "loud"}}, 400, wire.BadRequest},
		{"with a bad group", wire.AddInvite{Token: b.token("member"), MaxUses: 1, Preset: &wire.Preset{Groups: []wire.Group{{Name: "a//b"}}}}, 400, wire.BadRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			if status, res := b.call("POST", path, b.owner, c.body); status != c.status || res["error"] != string(c.code) {
				t.Errorf("%d %v, want %d %s", status, res, c.status, c.code)
			}
		})
	}
	status, res := b.call("POST", path, b.owner, map[string]any{"token": b.token("admin")})
	if got := res["invite"].(map[string]any); status != 200 || got["maxUses"] != 1.0 || got["uses"] != 0.0 || got["role"] != "admin" ||
		got["creator"] != b.owner.Public().String() || got["revokedAt"] != nil {
		t.Errorf("%d %v", status, res)
	}
	if n := len(must(json.Marshal(res))); strings.Contains(fmt.Sprint(res), have.Token()) || n > 1000 {
		t.Errorf("the answer has the token: %v", res)
	}
	if status, _ := b.call("DELETE", path+"/nothing", b.owner, nil); status != 404 {
		t.Errorf("revoke what is not there: %d", status)
	}
	id := b.onRecord(have)["id"].(string)
	for range 2 { // to revoke it again is no error
		status, res := b.call("DELETE", path+"/"+id, b.owner, nil)
		if got, _ := res["invite"].(map[string]any); status != 200 || got["id"] != id || got["revokedAt"] == nil {
			t.Errorf("revoke: %d %v", status, res)
		}
	}
	if b.onRecord(have)["revokedAt"] == nil {
		t.Error("it is not shown as revoked")
	}
}

func TestAKeyThatIsASessionsCannotBecomeAnothersMember(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice, key := b.join("alice"), must(seal.Generate())
	b.connect(alice.keyed(alice.hello("a"), key))
	inv := b.invite(1, nil)
	if status, res := b.enrollKey(key, inv); status != 409 || res["error"] != "conflict" {
		t.Errorf("%d %v", status, res)
	}
	if uses := b.uses(inv); uses != 0.0 {
		t.Errorf("%v uses", uses)
	}
}
