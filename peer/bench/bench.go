// Package bench measures a broker from outside, as its clients see it, and
// beside each figure what the machine does without a broker.
package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"sync/atomic"

	"claudemesh/peer/cli"
)

// settings are the flags of the command.
type settings struct {
	workload
	broker   string
	dir      string
	peers    bool
	suite    bool
	markdown bool
	quick    bool
	rounds   int
	idle     int
}

// Command returns the command bench.
func Command() cli.Command {
	set := settings{
		workload: workload{Senders: 1, Receivers: 1, Messages: 1000, Size: 256, Fanout: 1, Inflight: 1},
		rounds:   5, idle: 10_000,
	}
	return cli.Command{
		Name:  "bench",
		Theme: cli.Serve,
		Short: "Measure a broker and what the machine could do",
		Long: `Sends numbered messages through a broker of its own, or through that of a mesh
you have joined, and prints how fast they became durable and arrived, and beside
it what the machine does without a broker, measured before and after. It fails
if a message is lost, comes twice, out of order or altered. Its clients live in
one process and do as little as the protocol allows; --suite measures one client
with the code that peers have. The limits are those of this machine: measure
a broker where it runs.`,
		Examples: []string{
			"claudemesh bench",
			"claudemesh bench --senders 64 --receivers 64 --messages 2000",
			"claudemesh bench --receivers 1000 --fanout 1000 --messages 30 --paced",
			"claudemesh bench --suite --markdown",
			"claudemesh bench --broker ws://mesh.local:7900/ws --mesh home",
		},
		Mesh:   true,
		JSON:   true,
		Output: Report{},
		Flags: func(fs *flag.FlagSet) {
			fs.IntVar(&set.Senders, "senders", set.Senders, "let `n` sessions send")
			fs.IntVar(&set.Receivers, "receivers", set.Receivers, "let `n` sessions receive")
			fs.IntVar(&set.Messages, "messages", set.Messages, "send `n` messages from each sender")
			fs.IntVar(&set.Size, "size", set.Size, "let the text of a message have `n` bytes")
			fs.IntVar(&set.Fanout, "fanout", set.Fanout, "send each message to `n` receivers at once, as a group")
			fs.IntVar(&set.Inflight, "inflight", set.Inflight, "let each sender have `n` messages without an ack")
			fs.BoolVar(&set.Paced, "paced", false, "send the next message when the recipients have acknowledged the last, so that none waits for another")
			fs.BoolVar(&set.Encrypt, "encrypt", false, "seal messages as peers do, and open them")
			fs.StringVar(&set.broker, "broker", "", "measure the broker at `url`, of which you have joined a mesh, instead of one of its own")
			fs.BoolVar(&set.peers, "peers", false, "measure redis-server and nats-server beside it, if they are in PATH; --suite always does")
			fs.BoolVar(&set.suite, "suite", false, "measure all that docs/PERFORMANCE.md has, in a few minutes")
			fs.BoolVar(&set.markdown, "markdown", false, "print the table of --suite as Markdown")
			fs.BoolVar(&set.quick, "quick", false, "measure each figure of --suite for a moment only, to see that it works; the figures mean nothing")
			fs.IntVar(&set.rounds, "rounds", set.rounds, "measure each figure of --suite `n` times; 0 measures its idle connections only")
			fs.IntVar(&set.idle, "idle", set.idle, "open `n` idle connections in the last part of --suite; 0 leaves it out")
			fs.StringVar(&set.dir, "dir", "", "keep the data of its own broker below `directory`; the system's for temporary files if not given")
		},
		Sub: []cli.Command{echoCommand()},
		Run: func(ctx context.Context, env *cli.Env, _ []string) error {
			if err := set.check(); err != nil {
				return cli.Usagef("%v", err)
			}
			if set.suite {
				return runSuite(ctx, env, &set)
			}
			report, err := measure(ctx, env, &set)
			if err != nil {
				return err
			}
			if err := report.print(env); err != nil {
				return err
			}
			return report.verdict()
		},
	}
}

// A Report is what one invocation measured.
type Report struct {
	*Result
	Limits Limits `json:"limits"`
	// Broker is what the broker used during the run, if it is our own.
	Broker *Cost `json:"broker,omitempty"`
}

// A Cost is what a process used.
type Cost struct {
	CPUMicrosPerMessage float64 `json:"cpuMicrosPerMessage"`
	RSS                 int64   `json:"rss"` // bytes, at the end
}

// verdict is an error if a message was not delivered as it should be.
func (r *Report) verdict() error {
	if r.Faultless() {
		return nil
	}
	return fmt.Errorf("of %d deliveries %d were lost, %d came twice, %d out of order and %d altered; %d of %d messages were acknowledged",
		r.Expected, r.Lost, r.Duplicates, r.Disordered, r.Broken, r.Acked, r.Sent)
}

// measure runs the workload of the flags.
func measure(ctx context.Context, env *cli.Env, set *settings) (_ *Report, err error) {
	b, err := openBed(ctx, set.dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if set.broker == "" {
		err = b.serve(ctx)
	} else {
		err = b.join(env, set.broker)
	}
	if err == nil && set.peers {
		b.rivals, err = startRivals(ctx, b.dir)
	}
	if err != nil {
		return nil, err
	}
	var running atomic.Pointer[count]
	done := env.ProgressOf(func() string {
		if c := running.Load(); c != nil {
			return c.progress()
		}
		return "connecting"
	})
	defer done()
	return b.measure(ctx, set.workload, running.Store)
}
