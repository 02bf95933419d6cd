package peer

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"claudemesh/seal"
	"claudemesh/wire"
)

func box(t *testing.T, from seal.PrivateKey, to, text string) (nonce, ciphertext string) {
	t.Helper()
	key, err := seal.ParsePublicKey(to)
	if err != nil {
		t.Fatal(err)
	}
	b, err := seal.NewBox(from, key)
	if err != nil {
		t.Fatal(err)
	}
	nonce, ciphertext, err = b.Seal([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return nonce, ciphertext
}

func TestAPushIsReadOnlyAsItsTargetAllows(t *testing.T) {
	bob, eve, gone := newKey(t), newKey(t), newKey(t)
	o := (&testBroker{t: t}).options()
	o.KeyByPubkey = func(pubkey string) (seal.PrivateKey, error) {
		if pubkey == gone.Public().String() {
			return gone, nil
		}
		return seal.PrivateKey{}, errors.New("none")
	}
	c, err := newClient(o)
	if err != nil {
		t.Fatal(err)
	}
	mesh, err := seal.NewMulticast(testRoot)
	if err != nil {
		t.Fatal(err)
	}
	multicast := func(from seal.PrivateKey, meshID, target string) func(*wire.Push) {
		return func(p *wire.Push) {
			if p.Nonce, p.Ciphertext, err = mesh.Seal(from, meshID, target, "hi"); err != nil {
				t.Fatal(err)
			}
		}
	}
	boxed := func(from seal.PrivateKey, to string) func(*wire.Push) {
		return func(p *wire.Push) { p.Nonce, p.Ciphertext = box(t, from, to, "hi") }
	}
	plain := func(p *wire.Push) { p.Nonce, p.Ciphertext = seal.PlainEnvelope(seal.NewNonce(), "hi") }
	noNonce := func(p *wire.Push) { p.Ciphertext = "aGk=" }
	direct, readable := opened{"hi", Direct, true}, opened{"hi", Broadcast, false}
	signed, unreadable := opened{"hi", Broadcast, true}, opened{}
	session, member := c.Address(), o.Mesh.Pubkey

	tests := []struct {
		name   string
		target string
		make   func(*wire.Push)
		want   opened
	}{
		{"sealed to the session", session, boxed(bob, session), direct},
		{"target in upper case", strings.ToUpper(session), boxed(bob, session), direct},
		{"sealed to the member", member, boxed(bob, member), direct},
		{"sealed to the session, sent to the member", member, boxed(bob, session), direct},
		{"sealed to a session that is gone", gone.Public().String(), boxed(bob, gone.Public().String()), direct},
		{"no target given", "", boxed(bob, session), direct},
		{"no target given, to the member", "", boxed(bob, member), direct},
		{"by another than it shows", session, boxed(eve, session), unreadable},
		{"to another", session, boxed(bob, eve.Public().String()), unreadable},
		{"plain text to a key", session, plain, unreadable},
		{"plain text, no target given", "", plain, readable},
		{"reminder to a key", session, noNonce, readable},
		{"another's box, no target given", "", boxed(bob, eve.Public().String()), unreadable},
		{"plain to all", "*", plain, readable},
		{"plain to a group", "@eng", plain, readable},
		{"a box to all", "*", boxed(bob, session), unreadable},
		{"sealed to a group", "@eng", multicast(bob, testMesh, "@eng"), signed},
		{"sealed to all", "*", multicast(bob, testMesh, "*"), signed},
		{"sealed by another than it shows", "@eng", multicast(eve, testMesh, "@eng"), unreadable},
		{"sealed to another group", "@eng", multicast(bob, testMesh, "@ops"), unreadable},
		{"sealed in another mesh", "@eng", multicast(bob, "mesh02", "@eng"), unreadable},
		{"sealed multicast to a key", session, multicast(bob, testMesh, session), unreadable},
		{"sealed multicast, no target given", "", multicast(bob, testMesh, "@eng"), unreadable},
		{"no envelope at all", "*", func(p *wire.Push) { p.Ciphertext = "%%%" }, unreadable},
	}
	for i, tt := range tests {
		p := wire.Push{MessageID: string(rune('a' + i)), MeshID: testMesh, SenderPubkey: bob.Public().String(), TargetSpec: tt.target}
		tt.make(&p)
		r := c.open(&p)
		got := opened{r.Text(), r.Kind, r.Authenticated}
		if tt.want == unreadable {
			if r.Plaintext != nil || r.Authenticated || r.Kind != Broadcast || r.Failure == "" || r.Ciphertext != p.Ciphertext {
				t.Errorf("%s: %+v", tt.name, r)
			}
			continue
		}
		if got != tt.want || r.Failure != "" || r.Ciphertext != "" {
			t.Errorf("%s: %+v, want %+v; %s", tt.name, got, tt.want, r.Failure)
		}
	}
}

func TestWhatNoPeerWroteIsShown(t *testing.T) {
	c, err := newClient((&testBroker{t: t}).options())
	if err != nil {
		t.Fatal(err)
	}
	hook := wire.Push{SenderPubkey: "webhook:ci", Subtype: wire.SubtypeWebhook, Event: "ci", EventData: []byte(`{"a": 1}`)}
	filled, event := hook, wire.Push{SenderPubkey: "system", Subtype: wire.SubtypeSystem, Event: wire.EventWatchTriggered, Seq: 1,
		EventData: []byte(`{"watchId":"w_1","url":"http://x/","label":"up","oldValue":"","newValue":"error: no","failing":true}`)}
	filled.Text = "built"
	gone, unknown := event, event
	gone.Event, gone.EventData = wire.EventEventsMissed, []byte(`{"total":110,"sources":[{"kind":"webhook","name":"ci","count":100},{"kind":"watch","count":7},{"count":3}]}`)
	unknown.Event, unknown.EventData = "of_later", []byte(`{"a":1}`)
	for _, tc := range []struct {
		push wire.Push
		text string
	}{
		{hook, `[webhook:ci] {"a":1}`},
		{filled, "built"},
		{event, "[WATCH] up: (nothing) → error: no\nhttp://x/\nIt is looked at more and more seldom; you are told when it answers again.\n(watch w_1)"},
		{gone, "[MISSED] 110 older messages of webhooks and watches gave way before the broker heard that you have them; what has not come will not:\n" +
			"100 of the webhook ci\n7 of a watch that was deleted\n3 of others"},
		{unknown, `[of_later] {"a":1}`},
	} {
		tc.push.MessageID, tc.push.MeshID = "m", testMesh
		if r := c.open(&tc.push); r.Text() != tc.text || r.Failure != "" || r.Authenticated || string(r.EventData) != string(tc.push.EventData) {
			t.Errorf("%+v", r)
		}
	}
}

func TestCopiesOfAMessageAreNotTakenForAnother(t *testing.T) {
	c, err := newClient((&testBroker{t: t}).options())
	if err != nil {
		t.Fatal(err)
	}
	bob := newKey(t)
	p := wire.Push{MessageID: "1", MeshID: testMesh, SenderPubkey: bob.Public().String(), TargetSpec: c.Address()}
	p.Nonce, p.Ciphertext = box(t, bob, c.Address(), "pay")
	for range 2 { // the same push may have to be opened twice
		if r := c.open(&p); r.Failure != "" {
			t.Fatalf("%+v", r)
		}
	}
	p.MessageID = "2"
	if r := c.open(&p); r.Plaintext != nil || r.Failure == "" {
		t.Errorf("the copy reads %+v", r)
	}

	// A box opens at both ends, so what went to Bob could come back as his.
	nonce, ciphertext, err := c.seal(t.Context(), wire.Target{Kind: wire.ToKey, Name: bob.Public().String()}, "yes")
	if err != nil {
		t.Fatal(err)
	}
	back := wire.Push{MessageID: "3", MeshID: testMesh, SenderPubkey: bob.Public().String(), TargetSpec: c.Address(), Nonce: nonce, Ciphertext: ciphertext}
	if r := c.open(&back); r.Plaintext != nil || r.Failure == "" {
		t.Errorf("what was sent came back as %+v", r)
	}

	// A schedule sends one envelope over and over, which nobody else may.
	often := wire.Push{MessageID: "5", MeshID: testMesh, SenderPubkey: bob.Public().String(), TargetSpec: c.Address(), ScheduleID: "daily"}
	often.Nonce, often.Ciphertext = box(t, bob, c.Address(), "stand-up")
	for i := range 3 {
		often.MessageID = fmt.Sprint("daily", i)
		if r := c.open(&often); r.Text() != "stand-up" || !r.Authenticated || r.Own || r.ScheduleID != "daily" {
			t.Errorf("time %d of a schedule reads %+v", i, r)
		}
	}
	for _, id := range []string{"", "another"} {
		if often.ScheduleID = id; c.open(&often).Failure == "" {
			t.Errorf("what a schedule sent is taken as that of schedule %q", id)
		}
	}
	p.MessageID, p.ScheduleID = "6", "forged"
	if r := c.open(&p); r.Failure == "" {
		t.Errorf("a copy is taken as that of a schedule: %+v", r)
	}

	// A message to oneself is no copy.
	nonce, ciphertext, err = c.seal(t.Context(), wire.Target{Kind: wire.ToKey, Name: c.Address()}, "me")
	if err != nil {
		t.Fatal(err)
	}
	own := wire.Push{MessageID: "4", MeshID: testMesh, SenderPubkey: c.Address(), TargetSpec: c.Address(), Nonce: nonce, Ciphertext: ciphertext}
	if r := c.open(&own); r.Text() != "me" || r.Kind != Direct {
		t.Errorf("a message to oneself reads %+v", r)
	}
}
