package broker

import (
	"strings"
	"sync"
	"time"

	"claudemesh/wire"
)

const (
	replayTime = 2 * wire.MaxSkew // a signed text is within its window no longer than this
	maxReplays = 100_000          // remembered at a time; beyond it nothing signed is taken
)

// replays remembers what was signed and used, so that it is used once.
type replays struct {
	mu   sync.Mutex
	used map[replayKey]use
	next time.Time // when old entries are dropped
}

// replayKey names a signed text. Two processes of a member that start in the
// same millisecond sign the same hello, so the session key is part of it. Both
// are in lower case: hex is read in either.
type replayKey struct{ signature, session string }

type use struct {
	at time.Time
	by *conn // of a hello: a repetition is refused while it is open
}

// hello refuses a hello that was used before by a connection that is still open.
func (r *replays) hello(h *wire.Hello, c *conn) error {
	return r.take(replayKey{strings.ToLower(h.Signature), h.SessionPubkey}, use{time.Now(), c})
}

// request refuses a signature of an HTTP request that was used before.
func (r *replays) request(signature string) error {
	return r.take(replayKey{signature: strings.ToLower(signature)}, use{at: time.Now()})
}

func (r *replays) take(k replayKey, u use) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweep(u.at)
	if old, ok := r.used[k]; ok && u.at.Sub(old.at) < replayTime && (old.by == nil || !old.by.over.Load()) {
		return wire.Errorf(wire.Replayed, "this signature was used before: sign anew, a moment later")
	}
	if len(r.used) >= maxReplays {
		return wire.Errorf(wire.Capacity, "too many signed requests at a time: try again in a minute")
	}
	if r.used == nil {
		r.used = make(map[replayKey]use)
	}
	r.used[k] = u
	return nil
}

func (r *replays) sweep(now time.Time) {
	if now.Before(r.next) {
		return
	}
	r.next = now.Add(replayTime / 4)
	for k, u := range r.used {
		if now.Sub(u.at) >= replayTime {
			delete(r.used, k)
		}
	}
}
