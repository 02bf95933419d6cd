package bench

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// traffic measures one client, then many.
func (su *suite) traffic(ctx context.Context, b *bed) error {
	if err := su.warm(ctx, b); err != nil {
		return err
	}
	if err := su.latency(ctx, b); err != nil {
		return err
	}
	for _, n := range su.pace.clients {
		if err := su.throughput(ctx, b, n); err != nil {
			return err
		}
	}
	cost, err := echoCost(ctx, b.bare, b.addr, su.pace.cpuClients, su.pace.echo)
	if err != nil {
		return err
	}
	su.series.add("echo cpu", micros(cost))
	return nil
}

// latency measures one client between two measurements of L, as peers are and
// as the clients of the other figures are.
func (su *suite) latency(ctx context.Context, b *bed) error {
	l, acks, pushes, err := b.latency(ctx, su.pace.latency, su.pace.limit)
	if err != nil {
		return err
	}
	su.series.add("L", l)
	su.series.addSpread("ack", acks)
	su.series.addSpread("push", pushes)
	r, err := su.crew(ctx, b, workload{Senders: 1, Receivers: 1, For: su.pace.latency})
	if err != nil {
		return err
	}
	su.series.add("bare ack p50", r.Ack.P50)
	su.series.add("bare push p50", r.Push.P50)
	return nil
}

// latency returns L in microseconds and the times of one client.
func (b *bed) latency(ctx context.Context, d, limit time.Duration) (l float64, acks, pushes []time.Duration, err error) {
	p, err := openPair(ctx, &b.mesh)
	if err != nil {
		return 0, nil, nil, err
	}
	defer func() { err = errors.Join(err, p.close(ctx)) }()
	var s samples
	if err := b.sampleL(ctx, &s, limit); err != nil {
		return 0, nil, nil, err
	}
	if acks, pushes, err = p.run(ctx, suiteSize, d); err != nil {
		return 0, nil, nil, err
	}
	if err := b.sampleL(ctx, &s, limit); err != nil {
		return 0, nil, nil, err
	}
	limits := s.limits()
	return limits.L(), acks, pushes, nil
}

// throughput measures n clients that wait for each ack before they send again:
// to recipients that are away, which is what the others are asked to do, and to
// as many that are there and acknowledge what they get.
func (su *suite) throughput(ctx context.Context, b *bed, n int) error {
	at := " " + strconv.Itoa(n)
	rate, err := groupCommits(ctx, b.dir, n, 2*su.pace.limit)
	if err != nil {
		return err
	}
	su.series.add("group commit"+at, rate)
	stored, err := su.crew(ctx, b, workload{Senders: n, Receivers: n, Away: true, For: su.pace.through})
	if err != nil {
		return err
	}
	su.series.add("stored"+at, stored.AcksPerSecond)
	for _, r := range []struct {
		name  string
		rival *rival
	}{{"redis", su.rivals.redis}, {"nats", su.rivals.nats}} {
		rate, err := r.rival.rate(ctx, n, limitSize, su.pace.rival)
		if err != nil {
			return err
		}
		su.series.add(r.name+at, rate)
	}
	delivered, err := su.crew(ctx, b, workload{Senders: n, Receivers: n, For: su.pace.through})
	if err != nil {
		return err
	}
	su.series.add("delivered"+at, delivered.DeliveriesPerSecond)
	if n == su.pace.cpuClients && stored.Broker != nil && delivered.Broker != nil {
		su.series.add("stored cpu", stored.Broker.CPUMicrosPerMessage)
		su.series.add("delivered cpu", delivered.Broker.CPUMicrosPerMessage)
	}
	return nil
}
