package broker

import (
	"testing"
	"time"

	"claudemesh/wire"
)

// missed takes what has come, acknowledges it unless the peer is an older one, and
// returns of it what the peer is told it missed, and how much came of webhooks.
func (p *testPeer) missed(older bool) (told []map[string]any, came int) {
	pass(time.Second)
	for _, f := range p.news() {
		switch {
		case f["type"] != "push":
		case f["event"] == wire.EventEventsMissed:
			told = append(told, f)
		case f["subtype"] == "webhook":
			came++
		default:
			continue
		}
		if !older {
			p.acked("seen", f)
		}
	}
	return told, came
}

// sources are what an event_missed names.
func sources(push map[string]any) any { return push["eventData"].(map[string]any)["sources"] }

// Who comes back is told once how much gave way meanwhile, over restarts of the
// broker, and after a while when nothing of it is left to be delivered.
func TestWhoComesBackIsToldOnceWhatItMissed(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		ann, bob := b.join("ann"), b.join("bob")
		a := ann.modern("a")
		ci, _ := a.hook("ci", map[string]any{"target": bob.pub()})
		gone, _ := a.hook("gone", map[string]any{"target": bob.pub()})
		post := func(url string, n int) {
			for range n {
				b.postTo(url, `{}`)
			}
		}
		post(ci, wire.KeptEvents+7)
		post(gone, wire.KeptEvents+2)
		a.ask("webhook_ack", map[string]any{"type": "delete_webhook", "name": "gone"})
		b.restart()
		post(ci, 3)
		b.restart()
		q := bob.modern("b")
		told, came := q.missed(false)
		if len(told) != 1 || came != 2*wire.KeptEvents {
			t.Fatalf("%d events came, and it is told %v", came, told)
		}
		want := []any{map[string]any{"kind": "webhook", "name": "ci", "count": 10.0}, map[string]any{"kind": "webhook", "count": 2.0}}
		if push := told[0]; push["senderPubkey"] != "system" || push["subtype"] != "system" || push["seq"] == nil ||
			!equalJSON(sources(push), want) || push["eventData"].(map[string]any)["total"] != 12.0 {
			t.Errorf("it is told %v", push)
		}
		q.leave()
		b.restart()
		q = bob.modern("b")
		if told, came := q.missed(false); len(told) != 0 || came != 0 {
			t.Errorf("the next time %d come, and it is told %v", came, told)
		}
		q.leave()
		post(ci, 4)
		pass(wire.HookEventKept + time.Hour)
		q = bob.modern("b")
		if told, came := q.missed(false); came != 0 || len(told) != 1 || !equalJSON(sources(told[0]), []any{map[string]any{"kind": "webhook", "name": "ci", "count": 4.0}}) {
			t.Errorf("of what has waited for too long %d come, and it is told %v", came, told)
		}
	}, func(c *Config) { c.WebhookRate = 1000 })
}

// Until it was seen it is told again, and what gives way meanwhile is told after it.
func TestWhatWasMissedIsToldUntilItIsSeen(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		ann, bob := b.join("ann"), b.join("bob")
		a := ann.modern("a")
		url, _ := a.hook("ci", map[string]any{"target": bob.pub()})
		come := func() (push map[string]any, p *testPeer) {
			p = bob.modern("b")
			pass(time.Second)
			for _, f := range p.news() {
				if f["event"] == wire.EventEventsMissed {
					if push != nil {
						t.Errorf("a second one: %v", f)
					}
					push = f
				}
			}
			if push == nil {
				t.Fatal("told nothing")
			}
			return push, p
		}
		for range wire.KeptEvents + 1 {
			b.postTo(url, `{}`)
		}
		first, p := come()
		p.drop()
		b.restart()
		b.postTo(url, `{}`)
		again, p := come()
		if again["messageId"] != first["messageId"] {
			t.Errorf("told %v, then %v", first, again)
		}
		p.acked("seen", again)
		p.drop()
		if next, _ := come(); next["messageId"] == first["messageId"] || next["eventData"].(map[string]any)["total"] != 1.0 {
			t.Errorf("then it is told %v", next)
		}
	})
}

// Peers of the older protocol, which acknowledge nothing, and commands that read
// mail are told too; what a process had when it gave way is not missed.
func TestWhoIsToldWhatItMissed(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		ann, bob := b.join("ann"), b.join("bob")
		a := ann.modern("a")
		url, _ := a.hook("ci", map[string]any{"target": bob.pub()})
		overrun := func() {
			for range wire.KeptEvents + 1 {
				b.postTo(url, `{}`)
			}
		}
		overrun()
		old := bob.old("b")
		if told, _ := old.missed(true); len(told) != 1 {
			t.Errorf("a peer of the older protocol is told %v", told)
		}
		old.leave()
		if told, came := bob.modern("b").missed(false); len(told) != 0 || came != 0 {
			t.Errorf("after it another gets %d, and is told %v", came, told)
		}
		b.restart()
		overrun()
		if told, _ := b.connect(bob.hello("c", func(h *wire.Hello) { h.Transient = true })).missed(false); len(told) != 0 {
			t.Errorf("a command that takes no mail is told %v", told)
		}
		c := b.connect(bob.hello("c", func(h *wire.Hello) { h.Transient, h.Drain = true, true }))
		if told, _ := c.missed(false); len(told) != 1 {
			t.Errorf("a command that reads mail is told %v", told)
		}
		c.leave()
		p := bob.modern("b")
		b.postTo(url, `{}`)
		p.acked("delivered", p.hooked())
		overrun()
		pass(time.Second)
		p.news()
		p.leave()
		p = bob.modern("b")
		if told, came := p.missed(false); len(told) != 1 || !equalJSON(sources(told[0]), []any{map[string]any{"kind": "webhook", "name": "ci", "count": 1.0}}) || came != wire.KeptEvents {
			t.Errorf("of %d and one that it had it gets %d, and is told %v", wire.KeptEvents+1, came, told)
		}
	}, func(c *Config) { c.WebhookRate = 1000 })
}
