package broker

import (
	"container/heap"
	"sync"
	"time"
)

// An alarm rings once when its time has come, on the goroutine of the clock:
// ring must not wait, and does what takes time in the background. Whatever is
// due at a moment has an alarm; what must outlive the process is in the store,
// and one alarm for the first of many entries there is enough.
type alarm struct {
	ring func(now time.Time)

	at    time.Time // guarded by alarms.mu, as index is
	index int       // in the heap, and one more: 0 is in none
}

// alarms are what the clock waits for, the next in front.
type alarms struct {
	mu    sync.Mutex
	queue alarmQueue
	moved chan struct{} // tells the clock that another alarm is the next
}

func newAlarms() *alarms { return &alarms{moved: make(chan struct{}, 1)} }

// set has al ring at that time, and not when it was set to before. A time from
// time.Now, or made of one, goes by the time that passes; any other, as from
// the store, by the calendar, and so also when the machine has slept or its
// clock was put right.
func (a *alarms) set(al *alarm, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	al.at = at
	if al.index == 0 {
		heap.Push(&a.queue, al)
	} else {
		heap.Fix(&a.queue, al.index-1)
	}
	if al.index == 1 {
		select {
		case a.moved <- struct{}{}:
		default:
		}
	}
}

// setOrStop is set, or stop for the zero time.
func (a *alarms) setOrStop(al *alarm, at time.Time) {
	if at.IsZero() {
		a.stop(al)
		return
	}
	a.set(al, at)
}

// stop has al not ring.
func (a *alarms) stop(al *alarm) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if al.index > 0 {
		heap.Remove(&a.queue, al.index-1)
	}
}

// ring rings what is due and returns how long the clock may sleep: for ever,
// with ok false, if nothing is set.
func (a *alarms) ring(now time.Time) (sleep time.Duration, ok bool) {
	for {
		al := a.pop(now)
		if al == nil {
			break
		}
		al.ring(now)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) == 0 {
		return 0, false
	}
	return nap(a.queue[0].at.Sub(now)), true
}

// pop takes the next alarm that is due, nil if none is.
func (a *alarms) pop(now time.Time) *alarm {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) == 0 || a.queue[0].at.After(now) {
		return nil
	}
	return heap.Pop(&a.queue).(*alarm)
}

// nap is how long to sleep for what is due after d: not to the end, for timers
// stand still while the machine sleeps and do not see its clock put right. What
// comes of that is late by a hundredth, or a minute.
func nap(d time.Duration) time.Duration { return min(d, max(time.Minute, d/100)) }

// alarmQueue is a heap by time. It keeps the index of each alarm.
type alarmQueue []*alarm

func (q alarmQueue) Len() int           { return len(q) }
func (q alarmQueue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }

func (q alarmQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i+1, j+1
}

func (q *alarmQueue) Push(x any) {
	al := x.(*alarm)
	*q = append(*q, al)
	al.index = len(*q)
}

func (q *alarmQueue) Pop() any {
	old := *q
	al := old[len(old)-1]
	old[len(old)-1] = nil
	*q, al.index = old[:len(old)-1], 0
	return al
}
