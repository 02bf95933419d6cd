package bench

import "context"

// fan measures a broker at rest, what a connection costs it, and how long the
// last of a thousand recipients waits.
func (su *suite) fan(ctx context.Context, b *bed) error {
	before := su.settle(ctx, b.broker.Child)
	wait(ctx, su.pace.idle)
	after := b.usage()
	su.series.addKnown("idle rss", float64(after.RSS)/(1<<20), after)
	su.series.addKnown("idle wakes", float64(after.Switches-before.Switches)/su.pace.idle.Seconds(), after)
	if err := su.warm(ctx, b); err != nil {
		return err
	}
	if err := su.bareFan(ctx, b); err != nil {
		return err
	}
	rest := su.rest(ctx, b)
	w := workload{Senders: 1, Receivers: su.pace.receivers, Fanout: su.pace.receivers, Size: suiteSize, Inflight: 1, Paced: true, Messages: 1}
	cr, err := assemble(ctx, &b.mesh, w)
	if err != nil {
		return err
	}
	defer cr.dismiss()
	if _, err := su.once(ctx, b, cr); err != nil {
		return err
	}
	full := su.rest(ctx, b)
	su.series.addKnown("connection", float64(full.RSS-rest.RSS)/(1<<10)/float64(su.pace.receivers), full)
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
	su.series.addKnown("bare connection", float64(after.RSS-before.RSS)/(1<<10)/float64(su.pace.receivers), after)
	times, err := f.run(ctx, su.pace.fan/2)
	if err != nil {
		return err
	}
	su.series.add("bare fan p50", spread(times).P50)
	return nil
}
