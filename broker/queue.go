package broker

import (
	"sync"

	"github.com/coder/websocket"
)

// kind says what may happen to an outbound frame when its peer is slow.
type kind uint8

const (
	answer    kind = iota // never dropped: the connection is closed instead
	durable               // on disk, and bounded by the window of the session
	ephemeral             // the oldest is dropped and counted
	streamed              // as ephemeral, and counted apart: a subscriber can fetch what is kept
	closing               // the last one: the close frame
)

// A frame is one outbound message.
type frame struct {
	kind kind
	data []byte // shared between the recipients of a push, never written to

	// Of a durable frame.
	mesh   *mesh
	item   *item // the delivery it carries, in box
	box    *mailbox
	notice int64 // or the notice it carries

	code   websocket.StatusCode // of a closing frame
	reason string
}

// An outbox is the outbound queue of one connection. It is bounded in bytes
// and frames, and has a writer only while there is something to write.
type outbox struct {
	// Static.
	maxBytes  int
	maxFrames int
	start     func()              // starts a writer; called with mu held
	drop      func(k kind, n int) // counts dropped frames; called with mu held
	overflow  func()              // an answer does not fit; must not wait
	ended     chan struct{}       // closed when nothing more is taken and no writer runs

	mu      sync.Mutex
	frames  []frame
	bytes   int
	writing bool
	closed  bool // takes nothing more
}

// push adds f and reports whether it was taken. It never waits.
func (q *outbox) push(f frame) bool {
	ok, full := q.tryPush(f)
	if full && f.kind == answer {
		q.overflow()
	}
	return ok
}

func (q *outbox) tryPush(f frame) (ok, full bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false, false
	}
	if f.kind != durable && !q.fits(f) {
		q.makeRoom(f)
		if !q.fits(f) {
			q.drop(f.kind, 1)
			return false, true
		}
	}
	q.add(f)
	return true, false
}

// finish adds the close frame. What waits is written before it, nothing after.
func (q *outbox) finish(code websocket.StatusCode, reason string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.add(frame{kind: closing, code: code, reason: reason})
		q.closed = true
	}
}

func (q *outbox) add(f frame) {
	q.frames = append(q.frames, f)
	q.bytes += len(f.data)
	if !q.writing {
		q.writing = true
		q.start()
	}
}

func (q *outbox) fits(f frame) bool {
	return q.bytes+len(f.data) <= q.maxBytes && len(q.frames) < q.maxFrames
}

// makeRoom drops ephemeral frames, the oldest first, until f fits or none is left.
func (q *outbox) makeRoom(f frame) {
	kept, count := q.frames[:0], len(q.frames)
	for _, g := range q.frames {
		if (g.kind == ephemeral || g.kind == streamed) && (q.bytes+len(f.data) > q.maxBytes || count >= q.maxFrames) {
			q.bytes -= len(g.data)
			count--
			q.drop(g.kind, 1)
			continue
		}
		kept = append(kept, g)
	}
	clear(q.frames[len(kept):])
	q.frames = kept
}

// take gives the writer all that waits, and keeps spare to fill next. ok is
// false when nothing waits and the writer must end.
func (q *outbox) take(spare []frame) (frames []frame, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.frames) == 0 {
		q.frames = nil // an idle connection keeps no slice
		q.stop()
		return nil, false
	}
	frames, q.frames, q.bytes = q.frames, spare[:0], 0
	return frames, true
}

// waiting returns how many bytes wait.
func (q *outbox) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes
}

// stop notes that the writer ends. It is called with mu held.
func (q *outbox) stop() {
	q.writing = false
	if q.closed {
		close(q.ended)
	}
}

// close makes the outbox take nothing more and forget what waits. It is the
// end of the writer too where that calls it.
func (q *outbox) close(byWriter bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	idle := !q.writing && !q.closed
	q.closed = true
	q.frames, q.bytes = nil, 0
	switch {
	case byWriter:
		q.stop()
	case idle:
		close(q.ended)
	}
}
