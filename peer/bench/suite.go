package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"claudemesh/peer/cli"
)

// suiteSize is how many bytes of text a message of the suite has, which make
// a frame of about 500.
const suiteSize = 256

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

// rest is settle for our broker when nothing has been asked of it for a while.
func (su *suite) rest(ctx context.Context, b *bed) cli.Usage {
	wait(ctx, su.pace.rest)
	return su.settle(ctx, b.broker.Child)
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
