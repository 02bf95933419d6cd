package bench

import (
	"context"
	"slices"
	"time"
)

// limitTime is for how long each limit is measured, before a run and after it.
const limitTime = 150 * time.Millisecond

// samples are the times of which Limits are made.
type samples struct {
	trips, syncs, fanouts []time.Duration
	commits               []float64
}

// measure runs a workload between two measurements of the limits.
func (b *bed) measure(ctx context.Context, w workload, watch func(*count)) (*Report, error) {
	cr, err := assemble(ctx, &b.mesh, w)
	if err != nil {
		return nil, err
	}
	defer cr.dismiss()
	var s samples
	if err := b.sample(ctx, &w, &s); err != nil {
		return nil, err
	}
	before := b.usage()
	res, err := cr.run(ctx, watch)
	if err != nil {
		return nil, err
	}
	report := &Report{Result: res, Broker: b.cost(before, res)}
	if err := b.sample(ctx, &w, &s); err != nil {
		return nil, err
	}
	report.Limits = s.limits()
	return report, nil
}

// sample measures the limits that concern a workload.
func (b *bed) sample(ctx context.Context, w *workload, s *samples) error {
	if err := b.sampleL(ctx, s); err != nil {
		return err
	}
	rate, err := groupCommits(ctx, b.dir, w.Senders*w.Inflight, limitTime)
	if err != nil {
		return err
	}
	s.commits = append(s.commits, rate)
	if w.Fanout > 1 {
		times, err := bareFanouts(ctx, b.addr, w.Fanout, pushSize(w.Size), limitTime)
		if err != nil {
			return err
		}
		s.fanouts = append(s.fanouts, times...)
	}
	return nil
}

// sampleL measures the two parts of L.
func (b *bed) sampleL(ctx context.Context, s *samples) error {
	trips, err := roundTrips(ctx, b.addr, limitTime)
	if err != nil {
		return err
	}
	flushes, err := syncs(ctx, b.dir, limitTime)
	if err != nil {
		return err
	}
	s.trips, s.syncs = append(s.trips, trips...), append(s.syncs, flushes...)
	return nil
}

func (s *samples) limits() Limits {
	l := Limits{RoundTrip: spread(s.trips), Sync: spread(s.syncs), GroupCommit: median(s.commits)}
	if len(s.fanouts) > 0 {
		f := spread(s.fanouts)
		l.Fanout = &f
	}
	return l
}

// median returns the middle of the values, 0 of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
