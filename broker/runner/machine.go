package runner

import (
	"context"
	"os/exec"

	"claudemesh/broker/runner/confine"
	"claudemesh/broker/runner/source"
	"claudemesh/toolserver"
	"claudemesh/wire"
)

// A machine is what a Runner has others do, which tests do in other ways.
type machine struct {
	check   func(Spec) error
	holds   func(confine.Limits) error // whether limits can be enforced
	command func(context.Context, confine.Cell) (program, error)
	build   func(context.Context, source.Job) (source.Built, error)
	load    func(dir string) (source.Built, error)
	latest  func(context.Context, source.Job) (commit string, err error)
	start   func(context.Context, program, toolserver.Options) (server, error)
	room    func(dir string) (bytes int64, known bool) // that is left on the disk
}

// A program is a confined one that is not started yet. close is called after its
// end, or where it is not started, and may know why it ended.
type program struct {
	*exec.Cmd
	close func() error
}

// A server is a toolserver.Server.
type server interface {
	Greet(context.Context) error
	Tools(context.Context) ([]wire.MCPTool, error)
	Call(ctx context.Context, tool string, args wire.Value) (wire.Value, error)
	Ping(context.Context) error
	Done() <-chan struct{}
	Why() error
	Close()
}

func (r *Runner) realMachine() machine {
	return machine{
		check: func(spec Spec) error {
			if err := r.opts.Builder.Check(spec.Source, spec.Runtime); err != nil {
				return err
			}
			return r.opts.Confiner.Check(spec.Limits)
		},
		holds: r.opts.Confiner.Check,
		command: func(ctx context.Context, cell confine.Cell) (program, error) {
			p, err := r.opts.Confiner.Command(ctx, cell)
			if err != nil {
				return program{}, err
			}
			return program{p.Cmd, p.Close}, nil
		},
		build:  func(ctx context.Context, job source.Job) (source.Built, error) { return r.opts.Builder.Build(ctx, job) },
		load:   source.Load,
		latest: func(ctx context.Context, job source.Job) (string, error) { return r.opts.Builder.Latest(ctx, job) },
		start: func(ctx context.Context, p program, opts toolserver.Options) (server, error) {
			return toolserver.Start(ctx, p.Cmd, opts)
		},
		room: confine.Room,
	}
}
