package launch

import (
	"slices"
	"time"
)

// A pace bounds how often something happens within an hour.
type pace struct{ times []time.Time }

// free returns when it may happen next, if it did not happen before that.
func (p *pace) free(now time.Time, perHour int) time.Time {
	p.times = slices.DeleteFunc(p.times, func(t time.Time) bool { return now.Sub(t) >= time.Hour })
	if len(p.times) < perHour {
		return now
	}
	return p.times[len(p.times)-perHour].Add(time.Hour)
}

// use takes note that it happens now, and returns when it may happen again if
// that is not at once.
func (p *pace) use(now time.Time, perHour int) (next time.Time) {
	p.times = append(p.times, now)
	if at := p.free(now, perHour); at.After(now) {
		return at
	}
	return time.Time{}
}
