package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"claudemesh/peer/cli"
)

// suiteSize is how many bytes of text a message of the suite has, which make
// a frame of about 500.
const suiteSize = 256

// cpuClients is how many clients send where the broker's CPU time is measured.
const cpuClients = 64

// A pace is for how long the suite measures and with how many. Each figure and
// what it is held against are measured in turn, in every round, because the
// same machine is now quicker, now slower.
type pace struct {
	warm, limit, latency, through, rival, echo, fan, idle, settle time.Duration

	receivers int // of a message to many
}

// fullPace is for figures, quickPace to see that everything works.
func fullPace() pace {
	return pace{
		warm: 500 * time.Millisecond, limit: limitTime, latency: time.Second, through: time.Second, rival: 800 * time.Millisecond,
		echo: 600 * time.Millisecond, fan: time.Second, idle: 2 * time.Second, settle: 250 * time.Millisecond, receivers: 1000,
	}
}

func quickPace() pace {
	const brief = 30 * time.Millisecond
	return pace{
		warm: brief, limit: brief, latency: brief, through: brief, rival: brief,
		echo: 2 * brief, fan: brief, idle: brief, settle: brief, receivers: 20,
	}
}

// clientCounts are how many clients send at once.
func clientCounts() []int { return []int{8, 64, 256} }

// A suite measures the table of docs/PERFORMANCE.md.
type suite struct {
	dir    string
	rounds int
	idle   int // connections of the last part; 0 leaves it out
	rivals *rivals
	series series
	pace   pace
	stage  func(format string, args ...any) // says what is measured now
	faults []error
}

// run measures all rounds and returns nil if every message arrived.
func (su *suite) run(ctx context.Context) error {
	dir, err := os.MkdirTemp(su.dir, "claudemesh-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if su.rivals, err = startRivals(ctx, dir); err != nil {
		return err
	}
	defer su.rivals.close()
	for i := range su.rounds {
		su.stage("round %d of %d: one client and many", i+1, su.rounds)
		if err := su.with(ctx, dir, su.traffic); err != nil {
			return err
		}
		su.stage("round %d of %d: idle, and 1 to %d", i+1, su.rounds, su.pace.receivers)
		if err := su.with(ctx, dir, su.fan); err != nil {
			return err
		}
	}
	if su.idle > 0 {
		su.stage("%d idle connections", su.idle)
		if err := su.with(ctx, dir, su.crowd); err != nil {
			return err
		}
	}
	return errors.Join(su.faults...)
}

// with gives part a broker that has done nothing yet.
func (su *suite) with(ctx context.Context, dir string, part func(context.Context, *bed) error) error {
	b, err := openBed(ctx, filepath.Clean(dir))
	if err != nil {
		return err
	}
	if err = b.serve(ctx); err == nil {
		err = part(ctx, b)
	}
	return errors.Join(err, b.close())
}

// traffic measures one client, then many.
func (su *suite) traffic(ctx context.Context, b *bed) error {
	if err := su.warm(ctx, b); err != nil {
		return err
	}
	if err := su.latency(ctx, b); err != nil {
		return err
	}
	for _, n := range clientCounts() {
		if err := su.throughput(ctx, b, n); err != nil {
			return err
		}
	}
	cost, err := echoCost(ctx, b.bare, b.addr, cpuClients, su.pace.echo)
	if err == nil {
		su.series.add("echo cpu", micros(cost))
	}
	return err
}

// warm has the broker do what it does only once: grow its log, fill its caches.
func (su *suite) warm(ctx context.Context, b *bed) error {
	_, err := su.crew(ctx, b, workload{Senders: 8, Receivers: 8, For: su.pace.warm})
	return err
}

// crew runs a workload on the broker and notes what did not arrive.
func (su *suite) crew(ctx context.Context, b *bed, w workload) (*Report, error) {
	w.Size, w.Fanout, w.Inflight = suiteSize, max(1, w.Fanout), 1
	cr, err := assemble(ctx, &b.mesh, w)
	if err != nil {
		return nil, err
	}
	defer cr.dismiss()
	b.quiet(ctx)
	if err := cr.warm(ctx); err != nil {
		return nil, err
	}
	return su.once(ctx, b, cr)
}

// once runs a crew on a broker that has nothing else to do.
func (su *suite) once(ctx context.Context, b *bed, cr *crew) (*Report, error) {
	b.quiet(ctx)
	before := b.usage()
	res, err := cr.run(ctx, nil)
	if err != nil {
		return nil, err
	}
	r := &Report{Result: res, Broker: b.cost(before, res)}
	if err := r.verdict(); err != nil {
		su.faults = append(su.faults, fmt.Errorf("%d senders, %d receivers: %w", cr.Senders, cr.Receivers, err))
	}
	return r, nil
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
	if n == cpuClients && stored.Broker != nil && delivered.Broker != nil {
		su.series.add("stored cpu", stored.Broker.CPUMicrosPerMessage)
		su.series.add("delivered cpu", delivered.Broker.CPUMicrosPerMessage)
	}
	return nil
}

// fan measures a broker at rest, what a connection costs it, and how long the
// last of a thousand recipients waits.
func (su *suite) fan(ctx context.Context, b *bed) error {
	before := su.settle(ctx, b.broker.Child)
	wait(ctx, su.pace.idle)
	after := b.usage()
	su.series.add("idle rss", float64(after.RSS)/(1<<20))
	su.series.add("idle wakes", float64(after.Switches-before.Switches)/su.pace.idle.Seconds())
	if err := su.warm(ctx, b); err != nil {
		return err
	}
	if err := su.bareFan(ctx, b); err != nil {
		return err
	}
	rest := su.settle(ctx, b.broker.Child)
	w := workload{Senders: 1, Receivers: su.pace.receivers, Fanout: su.pace.receivers, Size: suiteSize, Inflight: 1, Paced: true, Messages: 1}
	cr, err := assemble(ctx, &b.mesh, w)
	if err != nil {
		return err
	}
	defer cr.dismiss()
	if _, err := su.once(ctx, b, cr); err != nil {
		return err
	}
	full := su.settle(ctx, b.broker.Child)
	su.series.add("connection", float64(full.RSS-rest.RSS)/(1<<10)/float64(su.pace.receivers))
	cr.Messages, cr.For = 0, su.pace.fan
	r, err := su.once(ctx, b, cr)
	if err != nil {
		return err
	}
	su.series.add("fan p50", r.Last.P50)
	return nil
}

// bareFan measures the same without a broker.
func (su *suite) bareFan(ctx context.Context, b *bed) error {
	before := b.bare.Usage()
	f, err := openFan(ctx, b.addr, su.pace.receivers, pushSize(suiteSize))
	if err != nil {
		return err
	}
	defer f.close()
	after := su.settle(ctx, b.bare)
	su.series.add("bare connection", float64(after.RSS-before.RSS)/(1<<10)/float64(su.pace.receivers))
	times, err := f.run(ctx, su.pace.fan/2)
	if err != nil {
		return err
	}
	su.series.add("bare fan p50", spread(times).P50)
	return nil
}

// settle waits until a process gives back no more memory, but not for long, and
// returns what it uses then.
func (su *suite) settle(ctx context.Context, c *cli.Child) cli.Usage {
	last := c.Usage()
	for range 12 {
		wait(ctx, su.pace.settle)
		now := c.Usage()
		if diff := last.RSS - now.RSS; diff < last.RSS/200 && diff > -last.RSS/200 {
			return now
		}
		last = now
	}
	return last
}

// wait lets time pass in which nothing is done.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
