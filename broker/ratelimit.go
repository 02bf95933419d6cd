package broker

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	maxLimiters = 10_000           // addresses remembered at a time
	forgetAfter = 10 * time.Minute // without a request
)

// rateLimits bounds changing HTTP requests per network with a token bucket
// that holds a minute's worth.
type rateLimits struct {
	perMinute float64

	mu sync.Mutex
	by map[netip.Addr]*limiter
}

type limiter struct {
	*rate.Limiter
	used time.Time
}

// allow takes a token of a's bucket. When too many addresses are known, those
// silent for long are forgotten; where that is not enough new ones must wait.
func (l *rateLimits) allow(a netip.Addr) bool {
	a = network(a)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	b := l.by[a]
	if b == nil {
		if len(l.by) >= maxLimiters && !l.forget(now) {
			return false
		}
		if l.by == nil {
			l.by = make(map[netip.Addr]*limiter)
		}
		b = &limiter{Limiter: rate.NewLimiter(rate.Limit(l.perMinute/60), max(1, int(l.perMinute)))}
		l.by[a] = b
	}
	b.used = now
	return b.Allow()
}

func (l *rateLimits) forget(now time.Time) bool {
	for a, b := range l.by {
		if now.Sub(b.used) > forgetAfter {
			delete(l.by, a)
		}
	}
	return len(l.by) < maxLimiters
}
