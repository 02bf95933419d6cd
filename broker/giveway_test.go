package broker

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"claudemesh/wire"
)

// Who is away finds the newest of what a webhook sent, and the room for others is not
// used up by it.
func TestOldEventsOfAWebhookGiveWay(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		ann, bob := b.join("ann"), b.join("bob")
		a := ann.modern("a")
		url, _ := a.hook("ci", map[string]any{"target": bob.pub()})
		other, _ := a.hook("other", map[string]any{"target": bob.pub()})
		ids := map[string]any{}
		for i := range 3 * wire.KeptEvents {
			status, res := b.postTo(url, fmt.Sprintf(`{"n":%d}`, i))
			if status != 200 {
				t.Fatalf("post %d: %d %v", i, status, res)
			}
			ids[fmt.Sprint(i)] = res["messageId"]
			pass(time.Second)
		}
		b.postTo(other, `{"n":"other"}`)
		ack := a.send(bob.pub(), "from ann")
		state := func(n int) any {
			st := a.ask("message_status_result", map[string]any{"type": "message_status", "messageId": ids[fmt.Sprint(n)]})
			return recipient(st)["state"]
		}
		if state(0) != "expired" || state(2*wire.KeptEvents-1) != "expired" || state(2*wire.KeptEvents) != "queued" {
			t.Errorf("the trail of three of them: %v, %v, %v", state(0), state(2*wire.KeptEvents-1), state(2*wire.KeptEvents))
		}
		b.restart()
		a = ann.modern("a")
		q := bob.modern("b")
		pass(time.Second)
		var got []string
		for _, f := range q.news() {
			if f["type"] == "push" && f["subtype"] == "webhook" {
				got = append(got, fmt.Sprint(f["eventData"].(map[string]any)["n"]))
			} else if f["messageId"] == ack["messageId"] {
				got = append(got, "ann")
			}
		}
		var want []string
		for i := range wire.KeptEvents {
			want = append(want, fmt.Sprint(2*wire.KeptEvents+i))
		}
		if want = append(want, "other", "ann"); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		w := a.ask("webhook_list", map[string]any{"type": "list_webhooks"})["webhooks"].([]any)[0].(map[string]any)
		if w["givenUp"] != float64(2*wire.KeptEvents) || w["received"] != float64(3*wire.KeptEvents) {
			t.Errorf("its creator sees %v", w)
		}
	}, func(c *Config) { c.MailboxCap = wire.KeptEvents + 2; c.WebhookRate = 1000 })
}

func TestEventsOfAWebhookWaitForADay(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		ann, bob := b.join("ann"), b.join("bob")
		a := ann.modern("a")
		url, _ := a.hook("ci", map[string]any{"target": bob.pub()})
		a.send(bob.pub(), "before") // lives for longer
		_, first := b.postTo(url, `{"n":1}`)
		pass(23 * time.Hour)
		b.postTo(url, `{"n":2}`)
		pass(2 * time.Hour)
		q := bob.modern("b")
		if m := q.mail(); m["subtype"] != nil {
			t.Errorf("first %v", m)
		}
		if m := q.hooked(); !equalJSON(m["eventData"], map[string]any{"n": 2.0}) {
			t.Errorf("got %v", m)
		}
		st := a.ask("message_status_result", map[string]any{"type": "message_status", "messageId": first["messageId"]})
		w := a.ask("webhook_list", map[string]any{"type": "list_webhooks"})["webhooks"].([]any)[0].(map[string]any)
		if recipient(st)["state"] != "expired" || w["givenUp"] != 1.0 {
			t.Errorf("the trail says %v, its creator sees %v", recipient(st), w)
		}
		for _, f := range a.news() {
			if f["event"] == "message_expired" {
				t.Errorf("a notice: %v", f)
			}
		}
	})
}

// What a process has when it gives way it may still show; the trail says so.
func TestAnEventThatGaveWayMayBeSeen(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		a := b.join("ann").modern("a")
		url, _ := a.hook("ci", nil)
		b.postTo(url, `{}`)
		first := a.hooked()
		a.acked("delivered", first)
		for range wire.KeptEvents {
			b.postTo(url, `{}`)
		}
		status := func() map[string]any {
			return recipient(a.ask("message_status_result", map[string]any{"type": "message_status", "messageId": first["messageId"]}))
		}
		if got := status(); got["state"] != "expired" || got["deliveredAt"] == nil {
			t.Errorf("it is %v", got)
		}
		a.acked("seen", first)
		if got := status(); got["state"] != "seen" || got["expiredAt"] == nil {
			t.Errorf("then it is %v", got)
		}
	})
}
