package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"claudemesh/broker/runner/confine"
	"claudemesh/toolserver"
	"claudemesh/wire"
)

const (
	startTime = 60 * time.Second // for a program to start, make the handshake and tell its tools
	toolsTime = 10 * time.Second // to tell its tools again
	patience  = 2 * time.Second  // for it to end after SIGTERM
)

// An instance is a service that runs.
type instance struct {
	server
	install
	spec    Spec
	tools   []wire.MCPTool
	built   diskUse        // by the build, which does not change
	changed chan struct{}  // has one when they are others
	calls   sync.WaitGroup // under way; added to with the service's mu held, while it is the one that runs
	cancel  func()         // of the program's context
}

// ended reports whether the program has ended.
func (in *instance) ended() bool {
	select {
	case <-in.Done():
		return true
	default:
		return false
	}
}

// inStartTime bounds how long a program may take to start.
func inStartTime(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, startTime, fmt.Errorf("it has not told its tools within %s", startTime))
}

// An endedError is that a program has ended before it has told its tools.
type endedError struct{ error }

// Unwrap returns how it ended.
func (e endedError) Unwrap() error { return e.error }

// start starts what is installed and waits until it has told its tools, at most
// startTime.
func (l *life) start(ctx context.Context, what install, spec Spec) (*instance, error) {
	s := l.s
	var built diskUse
	built.add(s.buildDir(what.build))
	all := built
	all.addOwn(s)
	if err := all.check(); err != nil {
		return nil, err
	}
	env, err := s.writeSecrets(what.build, spec.Env)
	if err != nil {
		return nil, err
	}
	ctx, cancel := inStartTime(ctx)
	defer cancel()
	in, err := l.launch(what, spec, append(env, what.Env...))
	if err != nil {
		return nil, err
	}
	if err = in.Greet(ctx); err == nil {
		in.tools, err = in.list(ctx)
	}
	if err == nil {
		in.built = built
		return in, nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	} else if in.ended() {
		err = endedError{in.Why()}
	}
	in.end()
	return nil, err
}

// launch starts the program. Its context does not end with the life's, in which
// end may be patient with it.
func (l *life) launch(what install, spec Spec, env []string) (*instance, error) {
	s := l.s
	ctx, cancel := context.WithCancel(context.WithoutCancel(l.ctx))
	p, err := s.r.command(ctx, confine.Cell{Dir: s.dir, Work: what.Work, Args: what.Args, Env: env, Limits: spec.Limits, Unreached: s.unreached})
	if err != nil {
		cancel()
		return nil, err
	}
	in := &instance{install: what, spec: spec, changed: make(chan struct{}, 1), cancel: cancel}
	stderr := &lineWriter{ring: s.log, prefix: "[stderr] "}
	in.server, err = s.r.start(ctx, p, toolserver.Options{
		Log: s.r.opts.Log.With("service", s.name),
		Changed: func() {
			select {
			case in.changed <- struct{}{}:
			default: // it is known
			}
		},
		Stdout:   &lineWriter{ring: s.log, prefix: "[stdout] ", whole: true},
		Stderr:   stderr,
		Patience: patience,
		After: func() error {
			stderr.flush()
			return p.close()
		},
	})
	if err != nil {
		cancel()
		return nil, errors.Join(err, p.close())
	}
	return in, nil
}

// end ends the program, and waits for it.
func (in *instance) end() {
	in.Close()
	in.cancel()
}

// drained is closed once no call is under way. No further one may begin.
func (in *instance) drained() <-chan struct{} {
	done := make(chan struct{})
	go func() { // a call ends within wire.ServiceCall, and with the program
		in.calls.Wait()
		close(done)
	}()
	return done
}

// list asks for the tools, and checks them.
func (in *instance) list(ctx context.Context) ([]wire.MCPTool, error) {
	tools, err := in.Tools(ctx)
	if err != nil {
		return nil, err
	}
	return tools, checkTools(tools)
}

// checkTools holds the tools of a service to the limits of all tool servers.
func checkTools(tools []wire.MCPTool) error {
	if n := len(tools); n > wire.MaxServerTools {
		return fmt.Errorf("it has more than the %d tools that a server may have", wire.MaxServerTools)
	}
	seen := make(map[string]bool)
	for _, t := range tools {
		switch n := len([]rune(t.Name)); {
		case n == 0 || n > wire.MaxToolName || wire.HasControl(t.Name):
			return fmt.Errorf("the name of its tool %.80q must have 1 to %d characters without control characters", t.Name, wire.MaxToolName)
		case seen[t.Name]:
			return fmt.Errorf("two of its tools are called %q", t.Name)
		case len(t.InputSchema) == 0 || t.InputSchema[0] != '{':
			return fmt.Errorf("inputSchema of its tool %q must be an object", t.Name)
		}
		seen[t.Name] = true
	}
	p, err := json.Marshal(tools)
	if err == nil && len(p) > wire.MaxServerBytes {
		err = fmt.Errorf("the definitions of its tools have %d bytes, and %d are the most", len(p), wire.MaxServerBytes)
	}
	return err
}
