package broker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"claudemesh/seal"
	"claudemesh/store"
	"claudemesh/wire"
)

// What stopped for want of room in an outbox goes on when it was written,
// whatever had filled it.
func TestAnswersThatFillAnOutboxDoNotHoldMailForGood(t *testing.T) {
	inBubble(t, func(t *testing.T, b *testBroker) {
		bob := b.join("bob")
		a, first := b.join("alice").modern("a"), bob.modern("b0")
		first.ask("ack", map[string]any{"type": "set_summary", "summary": strings.Repeat("s", 1000)})
		second := bob.modern("b")
		for i := range 900 { // answers that nobody reads for now
			second.say(map[string]any{"type": "list_peers", "_reqId": fmt.Sprintf("l%d", i)})
		}
		pass(time.Millisecond)
		ack := a.send(second.key, "hello")
		if m := second.mail(); m["messageId"] != ack["messageId"] {
			t.Errorf("got %v", m)
		}
	})
}

func TestASessionThatReturnsWhileItEndsStaysOnline(t *testing.T) {
	inBubble(t, func(t *testing.T, b *testBroker) {
		alice, key := b.join("alice"), must(seal.Generate())
		old := b.connect(alice.keyed(alice.hello("a"), key))
		m := b.srv.meshByID(b.mesh)
		release := b.holdWriter()
		returned := b.dial()
		returned.write(must(wire.Append(nil, "", alice.keyed(alice.hello("a"), key))))
		pass(10 * time.Millisecond)
		go old.leave()
		pass(10 * time.Millisecond)
		release()
		returned.expect("hello_ack")
		pass(time.Second)
		err := m.db.Read(t.Context(), func(rx *store.Rx) error {
			online, err := rx.OnlineSessions()
			if len(online) != 1 || online[0].HostSession != "a" {
				t.Errorf("online on disk: %v", online)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestWhoReadsByCommandCountsAsHere(t *testing.T) {
	inBubble(t, func(t *testing.T, b *testBroker) {
		alice, carol := b.join("alice"), b.join("carol")
		for day := range 9 {
			c := b.connect(carol.hello("", func(h *wire.Hello) { h.Transient, h.Drain, h.Proto = true, true, wire.Proto }))
			a := alice.modern("a")
			if ack := a.send("*", "to all"); ack["outcome"] == "nobody" {
				t.Errorf("day %d: %v", day, ack)
			}
			c.leave()
			a.leave()
			pass(24 * time.Hour)
		}
	})
}

func TestARevokedMembersLastSendIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, b *testBroker) {
		alice, bob := b.join("alice"), b.join("bob")
		a, bb := alice.modern("a"), bob.modern("b")
		release := b.holdWriter()
		go b.call("DELETE", "/mesh/"+b.mesh+"/member/"+bob.id, b.owner, nil)
		pass(10 * time.Millisecond)
		bb.say(map[string]any{"type": "send", "id": "x", "targetSpec": a.key, "priority": "now", "nonce": "", "ciphertext": "after"})
		pass(10 * time.Millisecond)
		release()
		a.event("peer_left")
		a.quiet()
	})
}

// For the race detector: an older client's connections supersede each other
// while its member's mail is pushed and noted as taken.
func TestSupersededOlderClientsTakeTurns(t *testing.T) {
	b := newBroker(t)
	bob := b.join("bob")
	a := b.join("alice").modern("a")
	bob.old("b")
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		for range 100 {
			bob.old("b")
		}
	}()
	for {
		select {
		case <-stop:
			return
		default:
			a.send(bob.pub(), "x", map[string]any{"priority": "now"})
		}
	}
}

func TestAcknowledgementsThatPileUpAreRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, b *testBroker) {
		a, bb := b.join("alice").modern("a"), b.join("bob").modern("b")
		a.send(bb.key, "x")
		m := bb.mail()
		release := b.holdWriter()
		for i := range maxMarkings + 1 {
			bb.say(map[string]any{"type": "client_ack", "_reqId": fmt.Sprintf("c%d", i), "messageIds": []any{m["messageId"]}, "state": "seen"})
		}
		last := bb.answer(func(f map[string]any) bool { return f["_reqId"] == fmt.Sprintf("c%d", maxMarkings) })
		if last["code"] != "rate_limited" {
			t.Errorf("one too many: %v", last)
		}
		release()
		pass(time.Second)
		bb.acked("seen", m)
	})
}
