package bench

import (
	"cmp"
	"slices"
	"time"
)

// A Result is what a run measured.
type Result struct {
	Workload workload `json:"workload"`

	Sent       int `json:"sent"`
	Acked      int `json:"acked"`
	Expected   int `json:"expected"`  // deliveries: a message to a group has several
	Delivered  int `json:"delivered"` // each counted once
	Lost       int `json:"lost"`
	Duplicates int `json:"duplicates"`
	Disordered int `json:"disordered"` // after a later message of the same sender
	Broken     int `json:"broken"`     // could not be read, or not as it was written
	Refused    int `json:"refused"`    // frames that were repeated because the broker was too busy

	Seconds             float64 `json:"seconds"`
	AcksPerSecond       float64 `json:"acksPerSecond"`
	DeliveriesPerSecond float64 `json:"deliveriesPerSecond"`
	Ack                 Spread  `json:"ack"`            // from sending to the broker's ack
	Push                Spread  `json:"push"`           // from sending to its arrival
	Last                *Spread `json:"last,omitempty"` // the last recipient of a group
}

// Faultless reports whether every message arrived once, whole and in order.
func (r *Result) Faultless() bool {
	return r.Lost == 0 && r.Duplicates == 0 && r.Disordered == 0 && r.Broken == 0 && r.Acked == r.Sent
}

// A Spread is how measured times are spread, in microseconds.
type Spread struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// spread sorts the times.
func spread(times []time.Duration) Spread {
	if len(times) == 0 {
		return Spread{}
	}
	slices.Sort(times)
	return Spread{micros(Quantile(times, 0.50)), micros(Quantile(times, 0.99)), micros(times[len(times)-1])}
}

// Quantile returns the value that a share of q of the sorted values does not
// exceed.
func Quantile[T cmp.Ordered](sorted []T, q float64) T {
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// result sums up a run that has ended.
func (cr *crew) result(c *count) *Result {
	r := &Result{Workload: cr.workload, Acked: int(c.acked.Load()), Expected: int(c.expected.Load()), Delivered: int(c.arrived.Load()), Refused: int(c.refused.Load())}
	var acks, pushes []time.Duration
	end := time.Duration(0)
	for _, s := range cr.senders {
		acks = append(acks, s.acks...)
		r.Sent += int(s.seq - s.first)
		end = max(end, s.ended)
	}
	delivered := time.Duration(0)
	for _, v := range cr.present() {
		for _, a := range v.pushes {
			pushes = append(pushes, a.after)
		}
		r.Duplicates += v.Twice
		r.Disordered += v.Disordered
		r.Broken += v.Broken
		delivered = max(delivered, v.last)
	}
	r.Lost = r.Expected - r.Delivered
	r.Seconds = max(end, delivered).Seconds()
	r.AcksPerSecond = float64(r.Acked) / end.Seconds()
	if delivered > 0 {
		r.DeliveriesPerSecond = float64(r.Delivered) / delivered.Seconds()
	}
	r.Ack, r.Push = spread(acks), spread(pushes)
	if cr.Fanout > 1 {
		last := spread(cr.lastArrivals())
		r.Last = &last
	}
	return r
}

// lastArrivals returns for each message after which time its last recipient
// had it.
func (cr *crew) lastArrivals() []time.Duration {
	last := make(map[[2]uint32]time.Duration)
	for _, v := range cr.present() {
		for _, a := range v.pushes {
			id := [2]uint32{a.sender, a.seq}
			last[id] = max(last[id], a.after)
		}
	}
	times := make([]time.Duration, 0, len(last))
	for _, t := range last {
		times = append(times, t)
	}
	return times
}
