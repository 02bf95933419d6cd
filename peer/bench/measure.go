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
	commits, redis, nats  []float64
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
	b.quiet(ctx)
	if err := cr.warm(ctx); err != nil {
		return nil, err
	}
	b.quiet(ctx)
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

// warm runs the workload for a moment, so that the broker has done what it does
// only once. What goes wrong then is an error as well.
func (cr *crew) warm(ctx context.Context) error {
	whole := cr.workload
	cr.For, cr.Messages = limitTime, min(cr.Messages, 100)
	res, err := cr.run(ctx, nil)
	cr.workload = whole
	if err != nil {
		return err
	}
	return (&Report{Result: res}).verdict()
}

// sample measures the limits that concern a workload.
func (b *bed) sample(ctx context.Context, w *workload, s *samples) error {
	if err := b.sampleL(ctx, s, limitTime); err != nil {
		return err
	}
	rate, err := groupCommits(ctx, b.dir, w.Senders*w.Inflight, limitTime)
	if err != nil {
		return err
	}
	s.commits = append(s.commits, rate)
	if err := b.sampleRivals(ctx, w, s); err != nil {
		return err
	}
	if w.Fanout > 1 {
		times, err := bareFanouts(ctx, b.addr, w.Fanout, pushSize(w.Size), limitTime)
		if err != nil {
			return err
		}
		s.fanouts = append(s.fanouts, times...)
	}
	return nil
}

// sampleRivals has other brokers, if asked for, do with as many clients as the
// workload has sends under way what its senders ask of ours.
func (b *bed) sampleRivals(ctx context.Context, w *workload, s *samples) error {
	if b.rivals == nil {
		return nil
	}
	for _, r := range []struct {
		rival *rival
		rates *[]float64
	}{{b.rivals.redis, &s.redis}, {b.rivals.nats, &s.nats}} {
		if r.rival == nil {
			continue
		}
		rate, err := r.rival.rate(ctx, w.Senders*w.Inflight, limitSize, 2*limitTime)
		if err != nil {
			return err
		}
		*r.rates = append(*r.rates, rate)
	}
	return nil
}

// sampleL measures the two parts of L.
func (b *bed) sampleL(ctx context.Context, s *samples, d time.Duration) error {
	trips, err := roundTrips(ctx, b.addr, d)
	if err != nil {
		return err
	}
	flushes, err := syncs(ctx, b.dir, d)
	if err != nil {
		return err
	}
	s.trips, s.syncs = append(s.trips, trips...), append(s.syncs, flushes...)
	return nil
}

func (s *samples) limits() Limits {
	l := Limits{RoundTrip: spread(s.trips), Sync: spread(s.syncs), GroupCommit: median(s.commits), Redis: median(s.redis), JetStream: median(s.nats)}
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
