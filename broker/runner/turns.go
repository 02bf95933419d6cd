package runner

import (
	"slices"
	"sync"
)

// Turns are had by so many at a time, in the order in which they are asked for.
type Turns struct {
	mu      sync.Mutex
	free    int
	waiting []turn
}

// NewTurns returns Turns that n have at a time.
func NewTurns(n int) *Turns { return &Turns{free: n} }

// A turn is closed when it has come.
type turn chan struct{}

// ask returns a turn, which is to be given back whether or not it has come.
func (q *Turns) ask() turn {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := make(turn)
	if q.free > 0 {
		q.free--
		close(t)
	} else {
		q.waiting = append(q.waiting, t)
	}
	return t
}

// giveBack ends a turn, or the waiting for it.
func (q *Turns) giveBack(t turn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch i := slices.Index(q.waiting, t); {
	case i >= 0:
		q.waiting = slices.Delete(q.waiting, i, i+1)
	case len(q.waiting) > 0:
		close(q.waiting[0])
		q.waiting = q.waiting[1:]
	default:
		q.free++
	}
}

// hasCome reports whether it has.
func (t turn) hasCome() bool {
	select {
	case <-t:
		return true
	default:
		return false
	}
}
