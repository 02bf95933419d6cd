package bench

import (
	"fmt"

	"claudemesh/peer/cli"
)

// usage returns what our broker has used so far, nothing of another's.
func (b *bed) usage() cli.Usage {
	if b.broker == nil {
		return cli.Usage{}
	}
	return b.broker.Usage()
}

// cost returns what our broker used since before, nil if that is not known.
func (b *bed) cost(before cli.Usage, r *Result) *Cost {
	after := b.usage()
	if after.CPU == 0 || r.Acked == 0 {
		return nil
	}
	return &Cost{CPUMicrosPerMessage: micros(after.CPU-before.CPU) / float64(r.Acked), RSS: after.RSS}
}

// print shows a report.
func (r *Report) print(env *cli.Env) error {
	if env.JSON {
		return env.Out().JSON(r)
	}
	out, w, l := env.Out(), &r.Workload, &r.Limits
	how := "not encrypted"
	if w.Encrypt {
		how = "encrypted"
	}
	out.Printf("%d senders, %d receivers, %d messages of %d bytes to %d each, %s, %d under way per sender\n",
		w.Senders, w.Receivers, r.Sent, w.Size, w.Fanout, how, w.Inflight)
	t := out.Table("FIGURE", "MEASURED", "LIMIT", "RATIO", "THE LIMIT IS")
	L := l.L()
	const isL = "a loopback round trip of 500 bytes and an fdatasync of 8 KiB"
	row := func(name, unit string, got, limit, ratio float64, is string) {
		t.Row(name, number(got)+" "+unit, number(limit)+" "+unit, fmt.Sprintf("%.2f", ratio), is)
	}
	row("durable acks", "/s", r.AcksPerSecond, l.GroupCommit, r.AcksPerSecond/l.GroupCommit,
		fmt.Sprintf("%d goroutines, a file and one fdatasync per batch", w.Senders*w.Inflight))
	for _, rival := range []struct {
		rate float64
		name string
	}{{l.Redis, "a Redis stream with AOF always"}, {l.JetStream, "a JetStream file store with sync always"}} {
		if rival.rate > 0 {
			row("durable acks", "/s", r.AcksPerSecond, rival.rate, r.AcksPerSecond/rival.rate, rival.name)
		}
	}
	t.Row("deliveries", number(r.DeliveriesPerSecond)+" /s", "", "", "")
	row("send → ack p50", "µs", r.Ack.P50, L, r.Ack.P50/L, isL)
	row("send → ack p99", "µs", r.Ack.P99, L, r.Ack.P99/L, isL)
	row("send → push p50", "µs", r.Push.P50, L, r.Push.P50/L, isL)
	row("send → push p99", "µs", r.Push.P99, L, r.Push.P99/L, isL)
	if r.Last != nil && l.Fanout != nil {
		is := fmt.Sprintf("the same bytes on %d bare TCP connections", w.Fanout)
		row("last receiver p50", "µs", r.Last.P50, l.Fanout.P50, r.Last.P50/l.Fanout.P50, is)
		row("last receiver p99", "µs", r.Last.P99, l.Fanout.P99, r.Last.P99/l.Fanout.P99, is)
	}
	if r.Broker != nil {
		t.Row("broker CPU per message", number(r.Broker.CPUMicrosPerMessage)+" µs", "", "", "")
		t.Row("broker memory", number(float64(r.Broker.RSS)/(1<<20))+" MiB", "", "", "")
	}
	t.Flush()
	out.Printf("%d of %d delivered, %d lost, %d twice, %d out of order, %d altered; %d frames repeated because the broker was busy\n",
		r.Delivered, r.Expected, r.Lost, r.Duplicates, r.Disordered, r.Broken, r.Refused)
	return nil
}

// number writes a figure with three digits that count.
func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
