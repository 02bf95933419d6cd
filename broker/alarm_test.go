package broker

import (
	"fmt"
	"testing"
	"time"
)

func TestTheClockSleepsUntilSomethingIsDue(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]time.Duration{
		time.Second: time.Second, time.Minute: time.Minute, 90 * time.Second: time.Minute, 100 * time.Hour: time.Hour, 24 * time.Hour: 864 * time.Second,
	} {
		if got := nap(d); got != want {
			t.Errorf("for what is due after %s it sleeps %s, not %s", d, got, want)
		}
	}
	if nap(-time.Hour) > 0 {
		t.Error("it sleeps though something is due")
	}
}

func TestAlarmsRingOnceInTheirOrder(t *testing.T) {
	t.Parallel()
	a := newAlarms()
	now := time.Now().Round(0)
	var rung []int
	all := make([]*alarm, 20)
	for i := range all {
		all[i] = &alarm{ring: func(time.Time) { rung = append(rung, i) }}
		a.set(all[i], now.Add(time.Duration(20-i)*time.Second))
	}
	a.set(all[3], now.Add(time.Second/2))
	a.stop(all[7])
	a.stop(all[7])
	a.setOrStop(all[8], time.Time{})
	if sleep, ok := a.ring(now.Add(10 * time.Second)); !ok || sleep != time.Second {
		t.Errorf("it sleeps %s, %v", sleep, ok)
	}
	if want := "[3 19 18 17 16 15 14 13 12 11 10]"; fmt.Sprint(rung) != want {
		t.Errorf("rung %v, want %s", rung, want)
	}
	if _, ok := a.ring(now.Add(time.Hour)); ok || len(rung) != 18 {
		t.Errorf("rung %v", rung)
	}
}

// What goes by the time that passes and what goes by the calendar never stand
// in each other's way, whatever is done to the machine's clock.
func TestAlarmsOfEachKindHaveAQueue(t *testing.T) {
	t.Parallel()
	a := newAlarms()
	now := time.Now()
	var rung []string
	alarmOf := func(name string) *alarm { return &alarm{ring: func(time.Time) { rung = append(rung, name) }} }
	moved := alarmOf("moved")
	a.set(moved, now.Add(-time.Second).Round(0))
	a.set(moved, now.Add(time.Second))
	a.set(alarmOf("calendar"), now.Add(2*time.Hour).Round(0))
	if len(a.passing) != 1 || len(a.calendar) != 1 {
		t.Errorf("%d go by the time that passes, %d by the calendar", len(a.passing), len(a.calendar))
	}
	for _, c := range []struct {
		after, sleep time.Duration
		rung         string
	}{{0, time.Second, "[]"}, {time.Second, 72 * time.Second, "[moved]"}, {2 * time.Hour, 0, "[moved calendar]"}} {
		sleep, ok := a.ring(now.Add(c.after))
		if sleep.Round(time.Second) != c.sleep || ok != (c.sleep > 0) || fmt.Sprint(rung) != c.rung {
			t.Errorf("after %s it sleeps %s, rang %v", c.after, sleep, rung)
		}
	}
}
