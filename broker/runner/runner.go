package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"claudemesh/broker/runner/confine"
	"claudemesh/broker/runner/source"
	"claudemesh/wire"
)

// Options are what a Runner works with. All are required.
type Options struct {
	Dir string // of the services of the mesh, absolute; made where it is not there
	Log *slog.Logger
	// Changed is told what happens to the services, for each in its order. It may
	// take its time, which is the service's; it must not wait for Stop, Remove or
	// Close.
	Changed  func(Event)
	Confiner *confine.Confiner
	Builder  *source.Builder
	// Builds bounds how many builds there are at once, by its capacity; Runners
	// share it.
	Builds chan struct{}
	// Resumes bounds how many services Resume starts at once; Runners share it.
	Resumes *Turns
}

// A Spec is what a service is made of and how it is run.
type Spec struct {
	Source  source.Source
	Runtime source.Runtime // found out if it is empty
	// Env are its own variables. A value of the form __vault_file__:<path>:<base64>
	// becomes a file of mode 0600 at that path below the service's directory of
	// secrets, and the variable has its absolute path.
	Env    map[string]string
	Limits confine.Limits
}

// A Status is where a service stands.
type Status = wire.ServiceStatus

// The statuses of a service.
const (
	Building   = wire.ServiceBuilding
	Installing = wire.ServiceInstalling
	Running    = wire.ServiceRunning
	Restarting = wire.ServiceRestarting
	Crashed    = wire.ServiceCrashed
	Failed     = wire.ServiceFailed
	Stopped    = wire.ServiceStopped
)

// A Cause says what an Event comes from.
type Cause string

// The causes of events.
const (
	ByDeploy  Cause = "deploy"  // Deploy, or Resume of what had to be built again
	ByResume  Cause = "resume"  // Resume
	ByQueue   Cause = "queue"   // Resume, for which others come first, as Error says; ByResume follows when its turn has come
	ByRestart Cause = "restart" // the service had ended, or was ended because it did not answer
	// An update: building and installing go on beside what runs, whose status they
	// do not change; running, or failed where nothing had run, is the outcome.
	ByUpdate Cause = "update"
	// An update that failed, as Error says: the status, running or restarting, is
	// that of what ran before, which goes on.
	ByKeep  Cause = "keep"
	ByTools Cause = "tools" // the service has changed its tools
	ByStop  Cause = "stop"  // Stop
)

// An Event is what has become of a service.
type Event struct {
	Name     string
	Status   Status
	Cause    Cause
	Tools    []wire.MCPTool // of one that runs, with their schemas
	Error    string         // for people, without the values of its environment
	Commit   string         // of git
	Previous string         // the commit before an update that has succeeded; Commit itself if there was nothing new
	Runtime  string         // once it is known
	Restarts int            // since it was last well for a while
}

// Errors of Call that say what may be done about it.
var (
	ErrUnknown = errors.New("there is no such service")
	ErrBusy    = errors.New("too many calls wait for it already: try again in a moment")
)

// A Runner runs the services of a mesh. It is safe for concurrent use.
type Runner struct {
	opts Options
	machine

	ctx    context.Context // of all lives; Close ends it
	cancel context.CancelFunc
	wg     sync.WaitGroup // of the lives

	mu       sync.Mutex
	services map[string]*service // by name
	closed   bool
}

// New returns a Runner without services. What a broker before this one has
// left is there for Sweep and Resume. The caller closes it.
func New(opts Options) (*Runner, error) {
	if err := os.MkdirAll(opts.Dir, 0o711); err != nil {
		return nil, fmt.Errorf("make the directory of the services: %w", err)
	}
	r := &Runner{opts: opts, services: make(map[string]*service)}
	r.machine = r.realMachine()
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r, nil
}

// Close ends all services and waits for them. It tells no Event: they are to
// run again when the broker does.
func (r *Runner) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.wg.Wait()
}

// Check refuses what Deploy would refuse: a source that can be none, limits that
// cannot be enforced on this machine, variables that cannot be. Its errors are
// for who deploys.
func (r *Runner) Check(name string, spec Spec) error {
	if !wire.ValidServerName(name) {
		return errName
	}
	if err := checkEnv(spec.Env); err != nil {
		return err
	}
	return r.check(spec)
}

var errName = errors.New("the name of a service must have 1 to 64 letters, digits, hyphens and underscores, the first a letter or digit")

// Deploy has a service built and run, in place of what has its name. It returns
// once that is accepted; what becomes of it is told by Changed: building,
// installing, and running or failed.
func (r *Runner) Deploy(name string, spec Spec) error {
	return r.begin(name, &spec, (*life).deploy)
}

// Resume runs a service as it was installed, or deploys it if it is not there
// any more. It is for the start of the broker: one that does not start is tried
// again as one that has ended. They are started in the order of the calls.
func (r *Runner) Resume(name string, spec Spec) error {
	t := r.opts.Resumes.ask()
	err := r.begin(name, &spec, func(l *life) { l.resume(t) })
	if err != nil {
		r.opts.Resumes.giveBack(t)
	}
	return err
}

// Stop ends a service and waits for it. It stays installed.
func (r *Runner) Stop(ctx context.Context, name string) error {
	if r.find(name) == nil {
		return nil
	}
	return r.wait(ctx, name, (*life).stop)
}

// Remove ends a service, waits for it and deletes what there is of it. It tells
// no Event. An error says what is left; Remove can be tried again.
func (r *Runner) Remove(ctx context.Context, name string) error {
	return r.wait(ctx, name, (*life).remove)
}

// Logs returns lines of a service's log, oldest first, and the number of the
// last of them: the last lines there are if after is 0, else those after that
// number. Numbers go on when the broker is started again; the log begins anew.
func (r *Runner) Logs(name string, lines int, after int64) ([]string, int64) {
	s := r.find(name)
	if s == nil {
		return nil, after
	}
	return s.log.read(lines, after)
}

func (r *Runner) find(name string) *service {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.services[name]
}

// begin begins a life of a service, after the one before it, which it ends.
func (r *Runner) begin(name string, spec *Spec, work func(*life)) error {
	if err := r.Check(name, *spec); err != nil {
		return err
	}
	_, err := r.enter(name, spec, work)
	return err
}

// wait begins a life that only ends the one before, and waits for it.
func (r *Runner) wait(ctx context.Context, name string, work func(*life)) error {
	if !wire.ValidServerName(name) {
		return errName
	}
	l, err := r.enter(name, new(Spec), work)
	if err != nil {
		return err
	}
	select {
	case <-l.done:
		return l.err
	case <-ctx.Done():
		return fmt.Errorf("the service %q has not ended yet: try again in a moment", name)
	}
}

func (r *Runner) enter(name string, spec *Spec, work func(*life)) (*life, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, errors.New("the broker is ending")
	}
	s := r.services[name]
	if s == nil {
		s = newService(r, name)
		r.services[name] = s
	}
	if s.lives == maxLives {
		return nil, fmt.Errorf("the service %q is still busy with what it was told before: try again in a moment", name)
	}
	s.lives++
	before := s.life
	l := newLife(s, *spec)
	s.life = l
	r.wg.Go(func() {
		defer l.leave()
		if before != nil {
			before.cancel()
			<-before.done
		}
		work(l)
	})
	return l, nil
}
