package broker

import (
	"fmt"
	"testing"
	"time"

	"claudemesh/seal"
)

func TestDirectMessageReachesItsSession(t *testing.T) {
	b := newBroker(t)
	alice, bob := b.join("alice"), b.join("bob")
	a, bb := alice.modern("a"), bob.modern("b")
	ack := a.send(bb.key, "hello")
	if ack["type"] != "ack" || ack["queued"] != true || ack["outcome"] != "sent" {
		t.Fatalf("ack %v", ack)
	}
	m := bb.mail()
	if m["ciphertext"] != "hello" || m["senderPubkey"] != a.key || m["messageId"] != ack["messageId"] || m["senderName"] != "alice" {
		t.Fatalf("push %v", m)
	}
	bb.acked("delivered", m)
	st := a.ask("message_status_result", map[string]any{"type": "message_status", "messageId": ack["messageId"]})
	if r := recipient(st); r["state"] != "delivered" || r["status"] != "delivered" || st["delivered"] != true {
		t.Fatalf("after delivered: %v", st)
	}
	bb.acked("seen", m)
	st = a.ask("message_status_result", map[string]any{"type": "message_status", "messageId": ack["messageId"]})
	if r := recipient(st); r["state"] != "seen" || r["seenAt"] == nil || r["name"] != "bob" {
		t.Fatalf("after seen: %v", st)
	}
	if f := bb.askAny(map[string]any{"type": "message_status", "messageId": ack["messageId"]}); f["code"] != "not_found" {
		t.Fatalf("somebody else's message: %v", f)
	}
}

func recipient(status map[string]any) map[string]any {
	return status["recipients"].([]any)[0].(map[string]any)
}

func TestOlderClientHasMailDeliveredByTheWrite(t *testing.T) {
	b := newBroker(t)
	a, bb := b.join("alice").old("a"), b.join("bob").old("b")
	ack := a.send(bb.key, "hello")
	bb.mail()
	for { // the write is noted after the frame has arrived
		st := a.ask("message_status_result", map[string]any{"type": "message_status", "messageId": ack["messageId"]})
		if recipient(st)["status"] == "delivered" {
			break
		}
	}
	bb.drop()
	bb = b.join("carol").old("c")
	bb.quiet()
}

func TestMailWaitsForWhoIsOffline(t *testing.T) {
	b := newBroker(t)
	alice, bob := b.join("alice"), b.join("bob")
	a := alice.modern("a")
	for i := range 150 {
		if ack := a.send(bob.pub(), fmt.Sprint(i)); ack["outcome"] != "queued" || ack["unknown"] != nil {
			t.Fatalf("ack %v", ack)
		}
	}
	b.restart()
	bb := bob.modern("b")
	for i := range 150 {
		m := bb.mail()
		if m["ciphertext"] != fmt.Sprint(i) {
			t.Fatalf("message %d is %v", i, m["ciphertext"])
		}
		bb.acked("seen", m)
	}
	bb.leave()
	bob.modern("b2").quiet()
}

func TestUnseenMailComesAgain(t *testing.T) {
	b := newBroker(t)
	alice, bob := b.join("alice"), b.join("bob")
	key := must(seal.Generate())
	connect := func(instance string) *testPeer {
		h := bob.keyed(bob.hello("b"), key)
		h.Instance = instance
		return b.connect(h)
	}
	a, bb := alice.modern("a"), connect("one")
	a.send(bb.key, "first")
	m := bb.mail()
	bb.acked("delivered", m)
	bb.drop()
	bb = connect("one")
	bb.quiet() // the same process has it still
	bb.drop()
	bb = connect("two")
	if again := bb.mail(); again["messageId"] != m["messageId"] {
		t.Fatalf("another process got %v", again)
	}
	bb.acked("seen", m)
	bb.drop()
	connect("three").quiet()
}

func TestLapsedLeaseIsOfferedAgain(t *testing.T) {
	b := newBroker(t, func(c *Config) { c.Lease = 50 * time.Millisecond })
	a, bb := b.join("alice").modern("a"), b.join("bob").modern("b")
	a.send(bb.key, "hello")
	first, again := bb.mail(), bb.mail()
	if first["messageId"] != again["messageId"] {
		t.Fatalf("%v then %v", first, again)
	}
	bb.acked("seen", first)
}

func TestRepeatedSendIsOneMessage(t *testing.T) {
	b := newBroker(t)
	a, bb := b.join("alice").modern("a"), b.join("bob").modern("b")
	id := map[string]any{"id": "same"}
	first := a.send(bb.key, "hello", id)
	second := a.send(bb.key, "hello", id)
	if second["messageId"] != first["messageId"] || second["duplicate"] != true {
		t.Fatalf("%v then %v", first, second)
	}
	if e := a.send(bb.key, "other", id); e["code"] != "conflict" {
		t.Fatalf("other content: %v", e)
	}
	bb.mail()
	bb.quiet()
	if e := a.send("nonsense", "x", map[string]any{"id": "again"}); e["code"] != "invalid_target" {
		t.Fatalf("bad target: %v", e)
	}
	if ack := a.send(bb.key, "x", map[string]any{"id": "again"}); ack["type"] != "ack" || ack["duplicate"] != nil {
		t.Fatalf("a refused send used up its id: %v", ack)
	}
}

func TestBusyRecipientHoldsMail(t *testing.T) {
	b := newBroker(t)
	a, bb := b.join("alice").modern("a"), b.join("bob").modern("b")
	bb.ask("ack", map[string]any{"type": "set_status", "status": "dnd"})
	if ack := a.send(bb.key, "low", map[string]any{"priority": "low"}); ack["outcome"] != "held" {
		t.Fatalf("low: %v", ack)
	}
	a.send(bb.key, "next")
	a.send("*", "all", map[string]any{"priority": "next"})
	if ack := a.send(bb.key, "now", map[string]any{"priority": "now"}); ack["outcome"] != "sent" {
		t.Fatalf("now: %v", ack)
	}
	if m := bb.mail(); m["ciphertext"] != "now" {
		t.Fatalf("pushed %v to a busy peer", m["ciphertext"])
	}
	bb.quiet()
	bb.say(map[string]any{"type": "set_status", "status": "idle"})
	for _, want := range []string{"low", "next", "all"} {
		if m := bb.mail(); m["ciphertext"] != want {
			t.Fatalf("released %v, want %s", m["ciphertext"], want)
		}
	}
}

func TestGroupsAreHierarchical(t *testing.T) {
	b := newBroker(t)
	a := b.join("alice").modern("a")
	peers := map[string]*testPeer{}
	for _, group := range []string{"eng", "eng/backend", "eng/backend/db", "engine", "ops"} {
		p := b.join(group).modern(group)
		p.ask("ack", map[string]any{"type": "join_group", "name": "@" + group})
		peers[group] = p
	}
	ack := a.send("@eng/backend", "one")
	if got := ack["recipients"].(map[string]any); got["sent"] != 2.0 {
		t.Fatalf("ack %v", ack)
	}
	a.send("@eng", "two")
	for group, want := range map[string][]string{"eng": {"two"}, "eng/backend": {"one", "two"}, "eng/backend/db": {"one", "two"}, "engine": nil, "ops": nil} {
		for _, text := range want {
			if m := peers[group].mail(); m["ciphertext"] != text {
				t.Errorf("%s got %v, want %s", group, m["ciphertext"], text)
			}
		}
		peers[group].quiet()
	}
	if ack := a.send("@nobody", "x"); ack["outcome"] != "nobody" {
		t.Errorf("a group of nobody: %v", ack)
	}
}

func TestMulticastReachesMembersWhoAreOffline(t *testing.T) {
	b := newBroker(t)
	alice, bob := b.join("alice"), b.join("bob", nil)
	carol := b.join("carol")
	a := alice.modern("a")
	other := alice.modern("a2")
	c := carol.modern("c")
	c.ask("ack", map[string]any{"type": "join_group", "name": "eng"})
	c.leave()
	a.event("peer_left")
	a.send("*", "all")
	a.send("@eng", "eng")
	if m := other.mail(); m["ciphertext"] != "all" {
		t.Fatalf("the sender's other session got %v", m)
	}
	a.quiet()
	bb := bob.modern("b")
	if m := bb.mail(); m["ciphertext"] != "all" || m["targetSpec"] != "*" {
		t.Fatalf("bob got %v", m)
	}
	bb.quiet()
	c = carol.modern("c9")
	for _, want := range []string{"all", "eng"} {
		if m := c.mail(); m["ciphertext"] != want {
			t.Fatalf("carol got %v, want %s", m["ciphertext"], want)
		}
	}
}

func TestTargets(t *testing.T) {
	b := newBroker(t)
	a, bb := b.join("alice").modern("a"), b.join("bob").modern("b")
	unknown := must(seal.Generate()).Public().String()
	if ack := a.send(unknown, "x"); ack["type"] != "ack" || ack["unknown"] != true {
		t.Errorf("unknown key: %v", ack)
	}
	a.send(bb.key[:8], "by prefix")
	if m := bb.mail(); m["targetSpec"] != bb.key {
		t.Errorf("prefix: %v", m)
	}
	if e := a.send("00000000", "x"); e["code"] != "unknown_recipient" {
		t.Errorf("no such prefix: %v", e)
	}
	for _, bad := range []string{"", "#x", "tag:x", "bob", "@", "@a//b", "1234567"} {
		if e := a.send(bad, "x"); e["code"] != "invalid_target" {
			t.Errorf("%q: %v", bad, e)
		}
	}
	if e := a.send(bb.key, "x", map[string]any{"priority": "soon"}); e["code"] != "bad_request" {
		t.Errorf("priority: %v", e)
	}
	a.send(a.key, "to myself")
	if m := a.mail(); m["ciphertext"] != "to myself" {
		t.Errorf("self: %v", m)
	}
}

func TestFullMailboxIsSaid(t *testing.T) {
	b := newBroker(t, func(c *Config) { c.MailboxCap = 3 })
	a, bob := b.join("alice").modern("a"), b.join("bob")
	for range 3 {
		a.send(bob.pub(), "x")
	}
	if e := a.send(bob.pub(), "x"); e["code"] != "limit" {
		t.Errorf("direct: %v", e)
	}
	if ack := a.send("*", "x"); ack["recipients"].(map[string]any)["full"] != 1.0 {
		t.Errorf("multicast: %v", ack)
	}
}

func TestReceiptsAreTold(t *testing.T) {
	b := newBroker(t)
	alice, bob := b.join("alice"), b.join("bob")
	a, bb := alice.modern("a"), bob.modern("b")
	ack := a.send(bb.key, "x", map[string]any{"receipt": "seen"})
	m := bb.mail()
	bb.acked("delivered", m)
	if r := a.expect("receipt"); r["state"] != "delivered" || r["messageId"] != ack["messageId"] || r["pubkey"] != bb.key {
		t.Fatalf("receipt %v", r)
	}
	a.leave()
	bb.event("peer_left")
	bb.acked("seen", m)
	a = alice.modern("a2")
	if r := a.expect("receipt"); r["state"] != "seen" {
		t.Fatalf("receipt %v", r)
	}
}

func TestExpiredMailIsTold(t *testing.T) {
	b := newBroker(t)
	alice, bob := b.join("alice"), b.join("bob")
	ttl := int64(1)
	if status, res := b.call("PATCH", "/mesh/"+b.mesh+"/settings", b.owner, map[string]any{"messageTtl": ttl}); status != 200 {
		t.Fatal(res)
	}
	a := alice.modern("a")
	ack := a.send(bob.pub(), "x")
	m := b.srv.meshByID(b.mesh)
	for m.sweep(time.Now().Add(time.Minute)); ; {
		f := a.read()
		if f["event"] != "message_expired" {
			continue
		}
		if d := f["eventData"].(map[string]any); d["messageId"] != ack["messageId"] || d["recipients"] == nil {
			t.Fatalf("expired %v", d)
		}
		break
	}
	bob.modern("b").quiet()
	st := a.ask("message_status_result", map[string]any{"type": "message_status", "messageId": ack["messageId"]})
	if recipient(st)["state"] != "expired" {
		t.Fatalf("status %v", st)
	}
}

func TestMailOfAGoneSessionGoesToItsMember(t *testing.T) {
	b := newBroker(t, func(c *Config) { c.Grace = 20 * time.Millisecond })
	alice, bob := b.join("alice"), b.join("bob")
	a, bb := alice.modern("a"), bob.modern("b")
	bb.drop()
	a.event("peer_left")
	ack := a.send(bb.key, "x")
	other := bob.modern("b2")
	other.quiet()
	b.srv.meshByID(b.mesh).sweep(time.Now().Add(25 * time.Hour))
	if m := other.mail(); m["messageId"] != ack["messageId"] {
		t.Fatalf("got %v", m)
	}
}
