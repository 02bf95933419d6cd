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

	at    time.Time   // guarded by alarms.mu, as all below
	queue *alarmQueue // that it is in, nil for none
	index int         // there
}

// alarms are what the clock waits for. Those that go by the time that passes
// cannot be compared with those that go by the calendar once the machine's clock
// was put right, so each have a queue.
type alarms struct {
	mu       sync.Mutex
	passing  alarmQueue
	calendar alarmQueue
	moved    chan struct{} // tells the clock that another alarm is the next
}

func newAlarms() *alarms { return &alarms{moved: make(chan struct{}, 1)} }

// set has al ring at that time, and not when it was set to before. A time from
// time.Now, or made of one, goes by the time that passes; any other, as from
// the store, by the calendar, and so also when the machine has slept or its
// clock was put right.
func (a *alarms) set(al *alarm, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	al.leave()
	al.at, al.queue = at, &a.passing
	if at == at.Round(0) { // has no reading of the clock that time.Now reads
		al.queue = &a.calendar
	}
	heap.Push(al.queue, al)
	if al.index == 0 {
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
	al.leave()
}

// leave takes al out of its queue. It is called with alarms.mu held.
func (al *alarm) leave() {
	if al.queue != nil {
		heap.Remove(al.queue, al.index)
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
	if len(a.calendar) > 0 {
		sleep, ok = nap(a.calendar[0].at.Sub(now)), true
	}
	if len(a.passing) > 0 {
		if d := a.passing[0].at.Sub(now); !ok || d < sleep {
			sleep, ok = d, true
		}
	}
	return sleep, ok
}

// pop takes an alarm that is due, nil if none is.
func (a *alarms) pop(now time.Time) *alarm {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, q := range []*alarmQueue{&a.passing, &a.calendar} {
		if len(*q) > 0 && !(*q)[0].at.After(now) {
			return heap.Pop(q).(*alarm)
		}
	}
	return nil
}

// nap is how long to sleep for what is due by the calendar after d: not to the end, for timers
// stand still while the machine sleeps and do not see its clock put right. What
// comes of that is late by a hundredth, or a minute.
func nap(d time.Duration) time.Duration { return min(d, max(time.Minute, d/100)) }

// alarmQueue is a heap by time. It keeps the index of each alarm.
type alarmQueue []*alarm

func (q alarmQueue) Len() int           { return len(q) }
func (q alarmQueue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }

func (q alarmQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *alarmQueue) Push(x any) {
	al := x.(*alarm)
	al.index = len(*q)
	*q = append(*q, al)
}

func (q *alarmQueue) Pop() any {
	old := *q
	al := old[len(old)-1]
	old[len(old)-1] = nil
	*q, al.queue = old[:len(old)-1], nil
	return al
}
