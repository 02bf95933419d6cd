package simulate

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"claudemesh/wire"
)

// keptText bounds, in bytes, what the ledger keeps of a text.
const keptText = 2000

// A message is what a persona sent. Its fields are written before it is sent,
// or by the ledger.
type message struct {
	from, to string // as the scenario names them
	text     string // the beginning
	minute   Minutes
	hops     int // messages before it of which each answers the last
	replyTo  string

	// Guarded by ledger.mu.
	id         string // the broker's, once it was accepted
	sent       time.Time
	acked      time.Time
	refused    string // why the broker did not take it
	deliveries map[string]*delivery
	absent     map[string]bool // who is away, and so need not get it
}

// A delivery is a message's way to one recipient, by whose name it is found.
type delivery struct {
	away  bool // the recipient was away when it was sent
	at    time.Time
	times int
	state wire.DeliveryState // as the broker says at the end
}

// A ledger knows all messages of a run.
type ledger struct {
	mu      sync.Mutex
	all     []*message
	byID    map[string]*message
	waiting map[string]chan struct{} // closed when the message of that id is known
	moves   int                      // counts whatever happens
	open    int                      // sent, and neither accepted nor refused
	due     map[string]int           // deliveries that have not come, by recipient
	came    int                      // deliveries that have
	strange int                      // messages that came to somebody they were not for
}

func newLedger() *ledger {
	return &ledger{byID: make(map[string]*message), waiting: make(map[string]chan struct{}), due: make(map[string]int)}
}

// sending notes a message that leaves now. Whoever is absent may get it, and need not.
func (l *ledger) sending(m *message, recipients, absent []*actor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m.text = wire.Shorten(m.text, keptText)
	m.sent, m.deliveries = time.Now(), make(map[string]*delivery, len(recipients))
	for _, a := range recipients {
		m.deliveries[a.name] = &delivery{away: a.isAway()}
	}
	m.absent = make(map[string]bool, len(absent))
	for _, a := range absent {
		m.absent[a.name] = true
	}
	l.all = append(l.all, m)
	l.open++
	l.moves++
}

// answered notes what the broker said of a message.
func (l *ledger) answered(m *message, ack wire.Ack, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	l.moves++
	if err != nil {
		m.refused = err.Error()
		return
	}
	m.id, m.acked = ack.MessageID, time.Now()
	l.byID[m.id] = m
	for name := range m.deliveries {
		l.due[name]++
	}
	if ch := l.waiting[m.id]; ch != nil {
		close(ch)
		delete(l.waiting, m.id)
	}
}

// arrived notes that a message has come to somebody, and returns it. The broker
// may hand a message over before its sender has the ack: arrived then waits.
func (l *ledger) arrived(ctx context.Context, id, name string) *message {
	now := time.Now()
	for {
		l.mu.Lock()
		m := l.byID[id]
		if m != nil {
			l.deliver(m, name, now)
			l.mu.Unlock()
			return m
		}
		ch := l.waiting[id]
		if ch == nil {
			ch = make(chan struct{})
			l.waiting[id] = ch
		}
		l.mu.Unlock()
		select {
		case <-ch:
		case <-ctx.Done():
			return nil
		}
	}
}

// deliver is called with mu held.
func (l *ledger) deliver(m *message, name string, at time.Time) {
	l.moves++
	d := m.deliveries[name]
	if d == nil {
		if !m.absent[name] {
			l.strange++
		}
		return
	}
	if d.times++; d.times == 1 {
		d.at = at
		l.due[name]--
		l.came++
	}
}

// progress returns what changes whenever anything happens, and how much is
// under way that does not wait for somebody who is away.
func (l *ledger) progress(away func(name string) bool) (moves, under int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	under = l.open
	for name, n := range l.due {
		if n > 0 && !away(name) {
			under += n
		}
	}
	return l.moves, under
}

// messages returns all messages by the minutes in which they were sent. The run
// has ended.
func (l *ledger) messages() []*message {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := slices.Clone(l.all)
	slices.SortStableFunc(all, func(a, b *message) int { return cmp.Compare(a.minute, b.minute) })
	return all
}
