package broker

import (
	"time"

	"claudemesh/wire"
)

// A statusRecord is what a session is doing, who says so and since when that
// is confirmed.
type statusRecord struct {
	status wire.Status
	source wire.Source
	at     time.Time
}

// newStatus is the status of a session that has said nothing.
func newStatus() statusRecord { return statusRecord{wire.Idle, wire.SourceJSONL, time.Now()} }

// write applies a report and says whether the status changed. A report of
// a lower rank than the record's does not replace another status while the
// record is fresh; but a person who wants quiet gets it at once, and nothing
// but a manual report ends it.
func (r *statusRecord) write(st wire.Status, src wire.Source, now time.Time, fresh, working time.Duration) bool {
	if r.source == wire.SourceManual {
		fresh = working
	}
	quiet := st == wire.DND && src == wire.SourceManual
	lower, stale := src.Rank() < r.source.Rank(), now.Sub(r.at) > fresh
	switch {
	case r.status == wire.DND && r.source == wire.SourceManual && src != wire.SourceManual:
		return false
	case st == r.status && lower && !stale:
		r.at = now
		return false
	case st != r.status && lower && !stale && !quiet:
		return false
	}
	changed := st != r.status
	*r = statusRecord{st, src, now}
	return changed
}

// lapse makes a working session idle that nobody has confirmed for ttl.
func (r *statusRecord) lapse(now time.Time, ttl time.Duration) bool {
	if r.status != wire.Working || now.Sub(r.at) <= ttl {
		return false
	}
	*r = statusRecord{wire.Idle, wire.SourceJSONL, now}
	return true
}
