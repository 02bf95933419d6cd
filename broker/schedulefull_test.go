package broker

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"claudemesh/wire"
)

func TestAMemberHasAThousandSchedules(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	p := b.join("ann").modern("a")
	text := strings.Repeat("x", 2000)
	for range wire.MaxSchedules - 1 {
		p.say(map[string]any{"type": "schedule", "to": "*", "message": text, "delay": 3_600_000})
	}
	p.later("*", text, map[string]any{"delay": 3_600_000})
	if a := p.askAny(map[string]any{"type": "schedule", "to": "*", "message": "x", "deliverAt": 1}); a["code"] != string(wire.Limit) {
		t.Errorf("one more: %v", a)
	}
	all := p.pending() // in a frame that fits
	if len(all) != wire.MaxSchedules || all[0]["message"] != text || all[0]["cut"] != nil || all[len(all)-1]["cut"] != true || all[len(all)-1]["message"] != "" {
		t.Errorf("%d entries, the last %v", len(all), all[len(all)-1])
	}
	b.join("bob").modern("b").later("*", "x", map[string]any{"delay": 3_600_000})
}

// A recipient that is full gets what is due as soon as there is room.
func TestAFullMailboxIsTriedAgain(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		ann, bob := b.join("ann").modern("a"), b.join("bob")
		for range 3 {
			ann.send(bob.pub(), "fill")
		}
		ann.later(bob.pub(), "x", map[string]any{"delay": 1000})
		pass(time.Minute)
		if n := len(ann.pending()); n != 1 {
			t.Fatalf("%d pending", n)
		}
		q := bob.modern("b")
		for range 3 {
			q.acked("seen", q.mail())
		}
		pass(2 * time.Minute)
		if _, text := q.due(); text != "x" {
			t.Errorf("got %q", text)
		}
	}, func(c *Config) { c.MailboxCap = 3 })
}

// Of what was missed, all that there is no room for waits for it.
func TestAFullMailboxDropsNothingThatWasMissed(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		ann, bob := b.join("ann"), b.join("bob")
		p := ann.modern("a")
		p.later(bob.pub(), "all", map[string]any{"cron": "@hourly", "missed": "all"})
		b.stop()
		pass(7*time.Hour + 10*time.Minute) // from midnight
		b.start()
		ann.modern("a")
		pass(5 * time.Minute)
		b.restart()
		q := bob.modern("b")
		var hours []string
		have := map[any]bool{}
		for range 6 {
			pass(2 * time.Minute)
			for _, f := range q.news() {
				if f["scheduleId"] != nil && !have[f["messageId"]] {
					have[f["messageId"]] = true
					hours = append(hours, f["scheduledFor"].(string)[11:16])
					q.acked("seen", f)
				}
			}
		}
		if want := []string{"01:00", "02:00", "03:00", "04:00", "05:00", "06:00", "07:00"}; !slices.Equal(hours, want) {
			t.Errorf("sent for %v, want %v", hours, want)
		}
		pass(time.Hour)
		if push, _ := q.due(); push["scheduledFor"].(string)[11:16] != "08:00" {
			t.Errorf("and then for %v", push["scheduledFor"])
		}
	}, func(c *Config) { c.MailboxCap = 3 })
}

// What was due in time and found no room was not missed.
func TestWhatWaitsForRoomWasNotMissed(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		ann, bob := b.join("ann").modern("a"), b.join("bob")
		for range 3 {
			ann.send(bob.pub(), "fill")
		}
		ann.later(bob.pub(), "once", map[string]any{"delay": 60_000, "missed": "skip"})
		ann.later(bob.pub(), "again", map[string]any{"cron": "@hourly", "missed": "skip"})
		pass(90 * time.Minute)
		q := bob.modern("b")
		for range 3 {
			q.acked("seen", q.mail())
		}
		pass(2 * time.Minute)
		got := map[string]string{}
		for range 2 {
			push, text := q.due()
			got[text] = push["scheduledFor"].(string)[11:16]
		}
		if want := map[string]string{"once": "00:01", "again": "01:00"}; !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}, func(c *Config) { c.MailboxCap = 3 })
}

// What is due while it cannot be stored comes later, once.
func TestNothingIsDueTwice(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		ann, bob := b.join("ann").modern("a"), b.join("bob").old("b")
		for i := range 3 * batch {
			ann.later(bob.key, fmt.Sprint(i), map[string]any{"delay": 60_000})
		}
		pass(59 * time.Second)
		release := b.holdWriter()
		time.Sleep(30 * time.Second)
		go ann.later(bob.key, "one more", map[string]any{"delay": 0}) // sets the alarm again
		synctest.Wait()
		release()
		pass(time.Minute)
		seen := map[string]int{}
		for range 3*batch + 1 {
			_, text := bob.due()
			seen[text]++
		}
		bob.undue()
		if len(seen) != 3*batch+1 {
			t.Errorf("%d different ones", len(seen))
		}
	})
}
