package runner

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"claudemesh/broker/runner/confine"
	"claudemesh/broker/runner/source"
	"claudemesh/toolserver"
	"claudemesh/wire"
)

// A stage is a Runner whose machine a test plays.
type stage struct {
	*Runner
	t      testing.TB
	began  time.Time
	events chan Event

	launched chan struct{} // has one when a real program was started
	left     atomic.Int64  // bytes on the disk

	mu     sync.Mutex
	builds int // begun
	starts []*actor
	built  map[string]source.Built

	building func(context.Context, source.Job) error
	starting func(*actor) error
	commit   string
}

// newStage returns a Runner of services that are played, not run. The test
// closes it.
func newStage(t testing.TB) *stage {
	t.Helper()
	s := &stage{t: t, began: time.Now(), events: make(chan Event, 1000), launched: make(chan struct{}, 1), built: make(map[string]source.Built)}
	s.left.Store(1 << 40)
	s.again(filepath.Join(t.TempDir(), "services"))
	return s
}

// onStage runs a test in a bubble, with a stage that it need not close.
func onStage(t *testing.T, test func(*testing.T, *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.Close()
		test(t, s)
	})
}

// again has another broker begin on what is on the disk.
func (s *stage) again(dir string) {
	s.t.Helper()
	r, err := New(Options{
		Dir: dir, Log: slog.New(slog.DiscardHandler), Builds: make(chan struct{}, 1), Builder: source.New(source.Options{}), Resumes: NewTurns(2),
		Changed: func(e Event) { s.events <- e },
	})
	if err != nil {
		s.t.Fatal(err)
	}
	r.machine = machine{
		check:   func(Spec) error { return nil },
		holds:   func(confine.Limits) error { return nil },
		command: s.command,
		build:   s.build,
		load:    s.load,
		latest: func(context.Context, source.Job) (string, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.commit, nil
		},
		start: s.start,
		room:  func(string) (int64, bool) { return s.left.Load(), true },
	}
	s.Runner = r
}

func (s *stage) command(_ context.Context, cell confine.Cell) (program, error) {
	return program{&exec.Cmd{Args: cell.Args, Env: cell.Env, Dir: cell.Work}, func() error { return nil }}, nil
}

func (s *stage) build(ctx context.Context, job source.Job) (source.Built, error) {
	s.mu.Lock()
	s.builds++
	building, commit := s.building, s.commit
	s.mu.Unlock()
	b := source.Built{Args: []string{"/bin/server"}, Work: job.Dir, Commit: commit, Runtime: source.Node}
	if building != nil {
		if err := building(ctx, job); err != nil {
			return b, err
		}
	}
	job.Installing()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.built[job.Dir] = b
	return b, nil
}

func (s *stage) load(dir string) (source.Built, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := os.Stat(dir); err != nil {
		return source.Built{}, err
	}
	b, ok := s.built[dir]
	if !ok {
		return b, fs.ErrNotExist
	}
	return b, nil
}

func (s *stage) start(_ context.Context, p program, opts toolserver.Options) (server, error) {
	a := &actor{cmd: p.Cmd, opts: opts, done: make(chan struct{}), tools: []wire.MCPTool{tool("a")}}
	s.mu.Lock()
	s.starts = append(s.starts, a)
	starting := s.starting
	s.mu.Unlock()
	if starting != nil {
		if err := starting(a); err != nil {
			a.die(err)
		}
	}
	return a, nil
}

// whenBuilt has builds do something, nil nothing, from now on.
func (s *stage) whenBuilt(do func(context.Context, source.Job) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.building = do
}

// whenStarted has something be done to programs, nil nothing, before they are
// spoken to. An error is what they end with.
func (s *stage) whenStarted(do func(*actor) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.starting = do
}

// commits gives the repository another commit.
func (s *stage) commits(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commit = id
}

// begun returns how many builds have begun.
func (s *stage) begun() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.builds
}

// last returns the program that was started last.
func (s *stage) last() *actor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.starts[len(s.starts)-1]
}

// started returns how many programs were started.
func (s *stage) started() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.starts)
}

// next returns the next event.
func (s *stage) next() Event {
	s.t.Helper()
	select {
	case e := <-s.events:
		return e
	case <-time.After(time.Hour): // of the bubble
		s.t.Fatal("nothing more is told")
		return Event{}
	}
}

// outcome returns the event that ends a deployment.
func (s *stage) outcome() Event {
	s.t.Helper()
	for {
		if e := s.next(); e.Status != Building && e.Status != Installing {
			return e
		}
	}
}

// expect has the next events have these statuses, and returns the last.
func (s *stage) expect(want ...Status) (e Event) {
	s.t.Helper()
	for i, status := range want {
		if e = s.next(); e.Status != status {
			s.t.Fatalf("event %d of %v is %+v", i, want, e)
		}
	}
	return e
}

// quiet has nothing be told that was not expected.
func (s *stage) quiet() {
	s.t.Helper()
	select {
	case e := <-s.events:
		s.t.Errorf("told that %+v", e)
	default:
	}
}

func (s *stage) deploys(name string, spec Spec) {
	s.t.Helper()
	if err := s.Deploy(name, spec); err != nil {
		s.t.Fatal(err)
	}
}

// runs deploys a service that comes up.
func (s *stage) runs(name string, spec Spec) {
	s.t.Helper()
	s.deploys(name, spec)
	s.expect(Building, Installing, Running)
}

func tool(name string) wire.MCPTool {
	return wire.MCPTool{Name: name, Description: "does " + name, InputSchema: wire.Value(`{"type":"object"}`)}
}

// An actor plays a program.
type actor struct {
	cmd  *exec.Cmd
	opts toolserver.Options

	mu    sync.Mutex
	done  chan struct{}
	why   error
	tools []wire.MCPTool

	greet func(context.Context) error
	pings func(context.Context) error
	calls func(ctx context.Context, tool string) (wire.Value, error)
}

func (a *actor) die(why error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.why == nil {
		a.why = why
		if a.opts.After != nil {
			a.opts.After()
		}
		close(a.done)
	}
}

// retell gives the program other tools.
func (a *actor) retell(tools ...wire.MCPTool) {
	a.mu.Lock()
	a.tools = tools
	a.mu.Unlock()
	a.opts.Changed()
}

// or waits for what ends with the program at the latest.
func (a *actor) or(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-a.done:
			cancel(a.Why())
		case <-ctx.Done():
		}
	}()
	if do != nil {
		if err := do(ctx); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

func (a *actor) Greet(ctx context.Context) error { return a.or(ctx, a.greet) }
func (a *actor) Ping(ctx context.Context) error  { return a.or(ctx, a.pings) }

func (a *actor) Tools(ctx context.Context) ([]wire.MCPTool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tools, a.why
}

func (a *actor) Call(ctx context.Context, tool string, _ wire.Value) (v wire.Value, err error) {
	err = a.or(ctx, func(ctx context.Context) error {
		if a.calls != nil {
			v, err = a.calls(ctx, tool)
		}
		return err
	})
	return v, err
}

func (a *actor) Done() <-chan struct{} { return a.done }

func (a *actor) Why() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.why
}

func (a *actor) Close() { a.die(errors.New("it was told to")) }

// forever does what does not end before it must.
func forever(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}
