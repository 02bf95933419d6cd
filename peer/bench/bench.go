// Package bench measures a broker from outside, as its clients see it, and
// beside each figure what the machine does without a broker.
package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync/atomic"

	"claudemesh/peer"
	"claudemesh/peer/cli"
)

// settings are the flags of the command.
type settings struct {
	workload
	broker string
	dir    string
}

// Command returns the command bench.
func Command() cli.Command {
	set := settings{workload: workload{Senders: 1, Receivers: 1, Messages: 1000, Size: 256, Fanout: 1, Inflight: 1}}
	return cli.Command{
		Name:  "bench",
		Theme: cli.Serve,
		Short: "Measure a broker and what the machine could do",
		Long: `Sends numbered messages through a broker of its own, or through that of a mesh
you have joined, and prints how fast they became durable and arrived, and beside
it what the machine does without a broker. It fails if a message is lost, comes
twice, out of order or altered.`,
		Examples: []string{
			"claudemesh bench",
			"claudemesh bench --senders 64 --receivers 64 --messages 2000",
			"claudemesh bench --receivers 1000 --fanout 1000 --messages 30",
			"claudemesh bench --broker ws://mesh.local:7900/ws --mesh home",
		},
		Mesh: true,
		JSON: true,
		Flags: func(fs *flag.FlagSet) {
			fs.IntVar(&set.Senders, "senders", set.Senders, "let `n` sessions send")
			fs.IntVar(&set.Receivers, "receivers", set.Receivers, "let `n` sessions receive")
			fs.IntVar(&set.Messages, "messages", set.Messages, "send `n` messages from each sender")
			fs.IntVar(&set.Size, "size", set.Size, "let the text of a message have `n` bytes")
			fs.IntVar(&set.Fanout, "fanout", set.Fanout, "send each message to `n` receivers at once, as a group")
			fs.IntVar(&set.Inflight, "inflight", set.Inflight, "let each sender have `n` messages without an ack")
			fs.BoolVar(&set.Encrypt, "encrypt", false, "seal messages as peers do, and open them")
			fs.StringVar(&set.broker, "broker", "", "measure the broker at `url`, of which you have joined a mesh, instead of one of its own")
			fs.StringVar(&set.dir, "dir", "", "keep the data of its own broker below `directory`; the system's for temporary files if not given")
		},
		Sub: []cli.Command{echoCommand()},
		Run: func(ctx context.Context, env *cli.Env, _ []string) error {
			if err := set.check(); err != nil {
				return cli.Usagef("%v", err)
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
	b, err := openBed(ctx, env, set)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
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

// A bed is all that a run needs: a mesh on a broker, a bare server and a
// directory on the disk that is measured.
type bed struct {
	dir    string // removed by close
	mesh   peer.Mesh
	broker *cli.LocalBroker // nil if it is not ours
	bare   *cli.Child
	addr   string // of bare
}

func openBed(ctx context.Context, env *cli.Env, set *settings) (_ *bed, err error) {
	b := &bed{}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.dir, err = os.MkdirTemp(set.dir, "claudemesh-bench-"); err != nil {
		return nil, err
	}
	if b.bare, b.addr, err = startBare(ctx); err != nil {
		return nil, err
	}
	if set.broker != "" {
		return b, b.join(env, set.broker)
	}
	return b, b.serve(ctx)
}

// join takes the mesh of the configuration that --mesh names.
func (b *bed) join(env *cli.Env, url string) error {
	_, mesh, err := env.ChosenMesh()
	if err != nil {
		return err
	}
	b.mesh = *mesh
	b.mesh.BrokerURL = url
	return nil
}

// serve starts a broker that limits no client.
func (b *bed) serve(ctx context.Context, flags ...string) (err error) {
	if b.broker, err = cli.StartLocalBroker(ctx, b.dir, append(unlimited(), flags...)...); err != nil {
		return err
	}
	c, err := b.broker.Config()
	if err != nil {
		return err
	}
	mesh, err := c.Mesh("")
	if err != nil {
		return err
	}
	b.mesh = *mesh
	return nil
}

// unlimited are flags of serve that keep its protections out of the way.
func unlimited() []string {
	return []string{"--rate", "1e9", "--burst", "1000000000", "--http-rate", "1e9", "--max-connections", "100000",
		"--max-sockets", "100000", "--mailbox-cap", "100000000"}
}

func (b *bed) close() (err error) {
	if b.bare != nil {
		b.bare.Kill()
	}
	if b.broker != nil {
		err = b.broker.Stop()
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}
