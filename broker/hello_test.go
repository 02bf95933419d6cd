package broker

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"claudemesh/seal"
	"claudemesh/wire"
)

// refuse says hello with those fields and returns the code it was refused with.
func (b *testBroker) refuse(fields map[string]any) string {
	b.t.Helper()
	p := b.dial()
	p.say(fields)
	how, last := p.end()
	if last == nil || last["type"] != "error" || last["message"] == "" {
		b.t.Fatalf("before the close came %v", last)
	}
	if how.Code != wire.CloseRefused || how.Reason != last["code"] {
		b.t.Fatalf("closed with %d %q after %v", how.Code, how.Reason, last)
	}
	return how.Reason
}

func TestHelloIsRefused(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice, bob, stranger := b.join("alice"), b.join("bob"), &testMember{b: b, key: must(seal.Generate()), id: "none"}
	bobs := must(seal.Generate())
	b.connect(bob.keyed(bob.hello("b"), bobs)).leave()
	mine := must(seal.Generate())
	put := func(name string, v any) func(map[string]any) { return func(f map[string]any) { f[name] = v } }
	drop := func(name string) func(map[string]any) { return func(f map[string]any) { delete(f, name) } }
	late := func(h *wire.Hello) { h.Timestamp -= 120_000 }
	old := func(change ...func(*wire.Hello)) wire.Hello { return alice.hello("a", change...) }
	session := func(key string) wire.Hello { return alice.hello("a", func(h *wire.Hello) { h.SessionPubkey = key }) }
	for _, c := range []struct {
		name   string
		hello  wire.Hello
		change func(map[string]any)
		code   wire.Code
	}{
		{"timestamp is text", old(), put("timestamp", "1700000000000"), wire.TimestampSkew},
		{"timestamp is null", old(), put("timestamp", nil), wire.TimestampSkew},
		{"timestamp is missing", old(), drop("timestamp"), wire.TimestampSkew},
		{"timestamp is old", old(late), nil, wire.TimestampSkew},
		{"key is short", old(), put("pubkey", "abcd"), wire.Malformed},
		{"key is missing", old(), drop("pubkey"), wire.Malformed},
		{"key is no hex", old(), put("pubkey", strings.Repeat("g", 64)), wire.Malformed},
		{"key is a number", old(), put("pubkey", 7), wire.Malformed},
		{"signature is short", old(), put("signature", "abcd"), wire.Malformed},
		{"signature is missing", old(), drop("signature"), wire.Malformed},
		{"signature is no hex", old(), put("signature", strings.Repeat("x", 128)), wire.Malformed},
		{"signature is a number", old(), put("signature", 7), wire.Malformed},
		{"signature is somebody else's", old(), put("signature", bob.hello("a").Signature), wire.BadSignature},
		{"signature is of another member id", old(), put("memberId", bob.id), wire.BadSignature},
		{"signature is of another mesh", old(), put("meshId", "other"), wire.BadSignature},
		{"a field has a separator", old(), put("memberId", "a|b"), wire.BadSignature},
		{"session key is short", session("abcd"), nil, wire.Malformed},
		{"mesh is unknown", old(func(h *wire.Hello) { h.MeshID = "Nothing0Nothing0" }), nil, wire.Unauthorized},
		{"member is unknown", stranger.hello("x"), nil, wire.Unauthorized},
		{"the owner is no member", (&testMember{b: b, key: b.owner, id: alice.id}).hello("o"), nil, wire.Unauthorized},
		{"member id is another's", old(func(h *wire.Hello) { h.MemberID = bob.id }), nil, wire.Unauthorized},
		{"session key is another member's", session(bob.pub()), nil, wire.Unauthorized},
		{"session key is another member's, in upper case", session(strings.ToUpper(bob.pub())), nil, wire.Unauthorized},
		{"session key was another member's session", session(bobs.Public().String()), nil, wire.Unauthorized},
		{"session key is proven but another member's", alice.keyed(old(), bobs), nil, wire.Unauthorized},
		{"session key is proven by another key", alice.keyed(old(), mine), put("sessionSignature", alice.keyed(old(), bobs).SessionSignature), wire.Unauthorized},
		{"an older client's proof is wrong", alice.keyed(old(), mine), put("proto", 0), ""},
		{"session key is not proven", alice.keyed(old(), mine), drop("sessionSignature"), wire.Unauthorized},
		{"mesh id is a number", old(), put("meshId", 7), wire.BadRequest},
		{"pid is text", old(), put("pid", "one"), wire.BadRequest},
		{"cwd is an object", old(), put("cwd", map[string]any{}), wire.BadRequest},
		{"groups is text", old(), put("groups", "eng"), wire.BadRequest},
		{"transient is text", old(), put("transient", "yes"), wire.BadRequest},

		{"skew comes before shape", old(late), put("pubkey", "abcd"), wire.TimestampSkew},
		{"shape comes before signature", old(), put("signature", "00"), wire.Malformed},
		{"signature comes before membership", stranger.hello("x"), put("signature", alice.hello("x").Signature), wire.BadSignature},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := fieldsOf(c.hello)
			if c.change != nil {
				c.change(f)
			}
			if c.code == "" { // a wrong proof counts even where none is needed
				f["sessionSignature"], c.code = strings.Repeat("0", 128), wire.Unauthorized
			}
			if got := b.refuse(f); got != string(c.code) {
				t.Errorf("refused as %s, want %s", got, c.code)
			}
		})
	}
	if n := len(alice.old("a").peers()); n != 1 {
		t.Errorf("%d peers after the refusals", n)
	}
}

func TestRefusalsByThePolicyOfTheBroker(t *testing.T) {
	t.Parallel()
	b := newBroker(t, func(c *Config) { c.RequireSessionProof, c.MaxConnections = true, 1 })
	alice, bob, stranger := b.join("alice"), b.join("bob"), &testMember{b: b, key: must(seal.Generate()), id: "none"}
	unproven := alice.hello("a", func(h *wire.Hello) { h.SessionPubkey = must(seal.Generate()).Public().String() })
	if got := b.refuse(fieldsOf(unproven)); got != "unauthorized" {
		t.Errorf("a session key without proof: %s", got)
	}
	alice.modern("a")
	if got := b.refuse(fieldsOf(bob.hello("b"))); got != "capacity" {
		t.Errorf("a second session: %s", got)
	}
	if got := b.refuse(fieldsOf(stranger.hello("b"))); got != "unauthorized" {
		t.Errorf("membership comes before capacity: %s", got)
	}
	m := b.srv.meshByID(b.mesh)
	m.mu.Lock()
	m.info.Archived = time.Now()
	m.mu.Unlock()
	if got := b.refuse(fieldsOf(bob.hello("b"))); got != "unauthorized" {
		t.Errorf("an archived mesh: %s", got)
	}
}

func TestClocksMayDifferByAMinuteInclusive(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		alice := b.join("alice")
		at := func(off wire.Millis) wire.Hello {
			return alice.hello("a", func(h *wire.Hello) { h.Timestamp = wire.MillisOf(time.Now()) + off })
		}
		for _, off := range []wire.Millis{-60_000, 60_000} {
			b.connect(at(off)).leave()
		}
		for _, off := range []wire.Millis{-60_001, 60_001} {
			if got := b.refuse(fieldsOf(at(off))); got != "timestamp_skew" {
				t.Errorf("%d ms off: %s", off, got)
			}
		}
	})
}

func TestHelloIsAccepted(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice := b.join("alice")
	watcher := b.join("watcher").modern("w")
	key := must(seal.Generate())
	upper := alice.hello("a", func(h *wire.Hello) { h.Pubkey = strings.ToUpper(h.Pubkey) })
	upperKey := alice.hello("a", func(h *wire.Hello) { h.SessionPubkey = strings.ToUpper(key.Public().String()) })
	for _, c := range []struct {
		name   string
		hello  wire.Hello
		change func(map[string]any)
		key    string
		want   map[string]any
	}{
		{"keys in upper case are the same keys", upper, nil, alice.pub(), nil},
		{"a session key in upper case is the same key", upperKey, nil, key.Public().String(), nil},
		{"what is missing has a value", alice.hello("a"), func(f map[string]any) {
			for _, name := range []string{"sessionId", "pid", "cwd", "displayName"} {
				delete(f, name)
			}
		}, alice.pub(), map[string]any{"displayName": "alice"}},
		{"the member key as session key is the member", alice.hello("a", func(h *wire.Hello) { h.SessionPubkey = h.Pubkey }), nil, alice.pub(), nil},
		{"control characters are left out, what is long is cut", alice.hello("a", func(h *wire.Hello) {
			h.DisplayName, h.Hostname, h.PeerType = " a\x00\u0085b\x1b ", strings.Repeat("é", wire.MaxLabel+1), "robot"
		}), nil, alice.pub(), map[string]any{"displayName": "ab", "hostname": strings.Repeat("é", wire.MaxLabel), "peerType": nil}},
		{"invalid groups are dropped, the last of a name wins", alice.hello("a", func(h *wire.Hello) {
			h.Groups = []wire.Group{{Name: "@eng"}, {Name: "a//b"}, {Name: ""}, {Name: "eng", Role: "lead"}, {Name: "x", Role: "\n"}}
		}), nil, alice.pub(), map[string]any{"groups": []any{map[string]any{"name": "eng", "role": "lead"}}}},
		{"fields nobody knows are passed over", alice.hello("a"), func(f map[string]any) { f["future"] = []any{1} }, alice.pub(), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := fieldsOf(c.hello)
			if c.change != nil {
				c.change(f)
			}
			p := b.dial()
			p.say(f)
			if ack := p.read(); ack["type"] != "hello_ack" || ack["proto"] != float64(wire.Proto) || ack["meshSlug"] != "home" || ack["_reqId"] != nil {
				t.Fatalf("answered by %v", ack)
			}
			e := watcher.find(c.key)
			if e == nil || e["sessionId"] == "" {
				t.Fatalf("not listed under %s: %v", c.key, watcher.peers())
			}
			for name, want := range c.want {
				if !equalJSON(e[name], want) {
					t.Errorf("%s is %v, want %v", name, e[name], want)
				}
			}
			p.leave()
			watcher.event("peer_left")
		})
	}
}

func TestHelloAckIsTheFirstFrame(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice, bob := b.join("alice"), b.join("bob")
	a := alice.modern("a")
	for range 20 {
		a.send(bob.pub(), "waits")
		a.send("*", "waits too")
	}
	for range 10 {
		p := b.dial()
		p.write(must(wire.Append(nil, "r1", bob.keyed(bob.hello("b"), must(seal.Generate())))))
		if f := p.read(); f["type"] != "hello_ack" || f["_reqId"] != nil {
			t.Fatalf("the first frame is %v", f)
		}
		if m := p.mail(); m["ciphertext"] != "waits" {
			t.Fatalf("then comes %v", m)
		}
		p.leave()
	}
}

func TestASecondHelloChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice := b.join("alice")
	p := alice.old("a")
	f := fieldsOf(alice.hello("again"))
	if e := p.askAny(f); e["type"] != "error" || e["code"] != "bad_request" {
		t.Errorf("answered by %v", e)
	}
	if all := p.peers(); len(all) != 1 || all[0]["sessionId"] != "a" {
		t.Errorf("peers are %v", all)
	}
}

func TestBeforeHelloNothingIsServed(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice := b.join("alice")
	p := b.dial()
	for _, e := range wire.Index() {
		if e.Direction != wire.ToBroker || e.Type == "hello" {
			continue
		}
		if f := p.askAny(map[string]any{"type": string(e.Type), "id": "x"}); f["code"] != "no_hello" {
			t.Errorf("%s: %v", e.Type, f)
		}
	}
	if f := p.askAny(map[string]any{"type": "send", "id": "s1"}); f["id"] != "s1" {
		t.Errorf("the refusal of a send names no id: %v", f)
	}
	p.write(must(wire.Append(nil, "", alice.hello("a"))))
	p.expect("hello_ack")
}

func TestAHelloIsGoodForOneOpenConnection(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice := b.join("alice")
	h := alice.hello("a")
	p := b.connect(h)
	if got := b.refuse(fieldsOf(h)); got != "replayed" {
		t.Errorf("a repetition: %s", got)
	}
	f := fieldsOf(h)
	f["signature"] = strings.ToUpper(h.Signature)
	if got := b.refuse(f); got != "replayed" {
		t.Errorf("a repetition in upper case: %s", got)
	}
	p.ask("mesh_info_result", map[string]any{"type": "mesh_info"})
	p.leave()
	for { // the broker notes the end of the first soon
		p := b.dial()
		p.say(fieldsOf(h))
		if p.read()["type"] == "hello_ack" {
			break
		}
	}
}

func TestCapacityHoldsUnderConcurrency(t *testing.T) {
	t.Parallel()
	b := newBroker(t, func(c *Config) { c.MaxConnections = 5 })
	alice := b.join("alice")
	var hellos []wire.Hello
	for range 50 {
		hellos = append(hellos, alice.keyed(alice.hello("a"), must(seal.Generate())))
	}
	var in, out atomic.Int32
	var peers sync.Map
	var wg sync.WaitGroup
	for i, h := range hellos {
		wg.Go(func() {
			ws, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(b.base, "http")+"/ws", nil)
			if err != nil {
				t.Error(err)
				return
			}
			ws.Write(t.Context(), websocket.MessageText, must(wire.Append(nil, "", h)))
			_, data, err := ws.Read(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			switch f := must(unmarshal(data)); {
			case f["type"] == "hello_ack":
				in.Add(1)
				peers.Store(i, ws)
			case f["code"] == "capacity":
				out.Add(1)
			default:
				t.Errorf("answered by %v", f)
			}
		})
	}
	wg.Wait()
	if in.Load() != 5 || out.Load() != 45 {
		t.Fatalf("%d came in, %d did not", in.Load(), out.Load())
	}
	b.connect(alice.hello("cmd", func(h *wire.Hello) { h.Transient = true })) // commands take no place
	peers.Range(func(i, _ any) bool {                                         // a session's next connection neither
		h := alice.hello("a")
		h.Proto, h.SessionPubkey = 0, hellos[i.(int)].SessionPubkey
		b.connect(h)
		return false
	})
}

func TestPlacesAreGivenBack(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		alice, bob := b.join("alice"), b.join("bob")
		for i, end := range []func(*testPeer){(*testPeer).leave, (*testPeer).drop, (*testPeer).leave} {
			end(alice.modern("a"))
			pass(time.Second)
			if i == 1 {
				continue // in its grace a session takes no place
			}
			bob.modern("b").leave()
			pass(time.Second)
		}
	}, func(c *Config) { c.MaxConnections = 1 })
}

func TestTheNewestConnectionOfASessionWins(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice, watcher := b.join("alice"), b.join("watcher").modern("w")
	key := must(seal.Generate())
	first := b.connect(alice.keyed(alice.hello("a"), key))
	watcher.event("peer_joined")
	second := b.connect(alice.keyed(alice.hello("a"), key))
	if how, _ := first.end(); how.Code != wire.CloseSuperseded || how.Reason != "superseded" {
		t.Errorf("the older one was closed by %v", how)
	}
	watcher.noEvent("peer_joined", "peer_returned", "peer_left")
	if len(second.peers()) != 2 {
		t.Errorf("peers %v", second.peers())
	}
	other := b.connect(alice.hello("x")) // a session without a key goes by its host session
	b.connect(alice.hello("y"))
	b.connect(alice.hello("x"))
	if how, _ := other.end(); how.Code != wire.CloseSuperseded {
		t.Errorf("the older one was closed by %v", how)
	}
	if n := len(second.peers()); n != 4 {
		t.Errorf("%d peers", n)
	}
}

// A member whose key is revoked while its hello is under way stays outside.
func TestARevokedMemberDoesNotSlipIn(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		alice := b.join("alice")
		release := b.holdWriter()
		done := make(chan int, 1)
		go func() {
			status, _ := b.call("DELETE", "/mesh/"+b.mesh+"/member/"+alice.id, b.owner, nil)
			done <- status
		}()
		pass(time.Second)
		p := b.dial()
		p.say(fieldsOf(alice.hello("a")))
		pass(time.Second)
		release()
		if status := <-done; status != 200 {
			t.Fatalf("revoke: %d", status)
		}
		if how, last := p.end(); how.Code != wire.CloseRefused || last["code"] != "unauthorized" {
			t.Errorf("closed by %v after %v", how, last)
		}
	})
}
