package broker

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/adhocore/gronx"

	"claudemesh/cron"
	"claudemesh/wire"
)

func TestARecurringScheduleGoesOn(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		ann, bob := b.join("ann").modern("a"), b.join("bob").old("b")
		ann.later(bob.key, "daily", map[string]any{"cron": "30 9 * * *", "tz": "Europe/Berlin", "deliverAt": 0})
		berlin := must(time.LoadLocation("Europe/Berlin"))
		last := time.Time{}
		for i := range 5 {
			pass(24 * time.Hour)
			push, _ := bob.due()
			at := must(time.Parse(time.RFC3339, push["createdAt"].(string))).In(berlin)
			if at.Hour() != 9 || at.Minute() != 30 || i > 0 && at.YearDay() == last.YearDay() {
				t.Fatalf("it came at %s after %s", at, last)
			}
			last = at
		}
		e := ann.pending()
		if len(e) != 1 || e[0]["firedCount"].(float64) != 5 || e[0]["cron"] != "30 9 * * *" || e[0]["lastMessageId"] == nil {
			t.Fatalf("pending: %v", e)
		}
		if ok := ann.ask("cancel_scheduled_ack", map[string]any{"type": "cancel_scheduled", "scheduledId": e[0]["id"].(string)[:8]})["ok"]; ok != true {
			t.Error("it cannot be cancelled")
		}
		pass(48 * time.Hour)
		bob.undue()
	})
}

// A broker that has nothing else to do rings every day of years when it is due,
// as a second library says.
func TestYearsOfCron(t *testing.T) {
	t.Parallel()
	const expr = "30 9 * * MON-FRI"
	e := must(cron.Parse(expr))
	synctest.Test(t, func(t *testing.T) {
		srv := &Server{cfg: Defaults(), alarms: newAlarms(), wake: make(chan struct{}, 1)}
		var rung []time.Time
		al := new(alarm)
		al.ring = func(now time.Time) {
			rung = append(rung, now)
			srv.alarms.set(al, e.Next(now, time.UTC))
		}
		start := time.Now()
		srv.alarms.set(al, e.Next(start, time.UTC))
		ctx, stop := context.WithCancel(t.Context())
		var clock sync.WaitGroup
		clock.Go(func() { srv.runClock(ctx) })
		pass(3 * 366 * 24 * time.Hour)
		stop()
		clock.Wait()
		at := start
		for i := 0; ; i++ {
			at = must(gronx.NextTickAfter(expr, at, false))
			if at.After(time.Now()) {
				break
			}
			if i >= len(rung) || !rung[i].Equal(at) {
				t.Fatalf("it rang at %v, and should have at %s", rung[min(i, len(rung)):], at)
			}
		}
		if len(rung) < 780 {
			t.Errorf("it rang %d times", len(rung))
		}
	})
}

func TestWhatWasMissedFollowsThePolicy(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		ann, bob := b.join("ann"), b.join("bob")
		p := ann.modern("a")
		for _, missed := range []string{"", "once", "skip", "all"} {
			p.later(bob.pub(), "cron "+missed, map[string]any{"cron": "@hourly", "missed": missed})
			p.later(bob.pub(), "at "+missed, map[string]any{"delay": 60_000, "missed": missed})
		}
		p.later(bob.pub(), "minutes", map[string]any{"cron": "* * * * *", "missed": "all"})
		b.stop()
		pass(5*time.Hour + 30*time.Minute) // from midnight
		b.start()
		pass(time.Second)
		q := bob.modern("b")
		pass(time.Second)
		got := map[string]int{}
		for _, f := range q.news() {
			if f["scheduleId"] != nil {
				got[string(must(base64.StdEncoding.DecodeString(f["ciphertext"].(string))))]++
			}
		}
		want := map[string]int{"cron ": 1, "cron once": 1, "cron all": 5, "at ": 1, "at once": 1, "at all": 1, "minutes": wire.MaxMissed}
		if !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		_, at := b.scrape()
		for policy, want := range map[wire.Missed]string{wire.MissedOnce: "4", wire.MissedSkip: "2", wire.MissedAll: "3"} {
			if got := at[`broker_schedules_missed_total{policy="`+string(policy)+`"}`]; got != want {
				t.Errorf("%s: %s counted as missed, want %s", policy, got, want)
			}
		}
		if n := at["broker_schedules_fired_total"]; n != fmt.Sprint(1+1+5+3+wire.MaxMissed) {
			t.Errorf("%s counted as sent", n)
		}
		pass(30 * time.Minute)
		q.due()
	})
}
