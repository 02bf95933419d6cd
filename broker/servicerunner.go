package broker

import (
	"context"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"

	"claudemesh/broker/runner"
	"claudemesh/broker/runner/confine"
	"claudemesh/broker/runner/source"
	"claudemesh/store"
	"claudemesh/wire"
)

// A serviceRunner is a *runner.Runner, or what a test has in its place.
type serviceRunner interface {
	Check(name string, spec runner.Spec) error
	Deploy(name string, spec runner.Spec) error
	Resume(name string, spec runner.Spec) error
	Update(name string, spec runner.Spec) error
	Call(ctx context.Context, name, tool string, args wire.Value) (wire.Value, error)
	Remove(ctx context.Context, name string) error
	Logs(name string, lines int, after int64) (text []string, next int64)
	Close()
}

// A runnerHolder makes the runner of a mesh when it is first needed: most
// meshes have no services.
type runnerHolder struct {
	mu     sync.Mutex // held while the runner is made
	runner serviceRunner
	closed bool
}

// errServicesClosed refuses work of a mesh that is being closed.
var errServicesClosed = wire.Errorf(wire.Unavailable, "the broker is shutting down: try again when it is back")

// get returns the runner, which is made if need be: nil if there is none, and
// nothing to make one with.
func (h *runnerHolder) get(makeOne func() (serviceRunner, error)) (serviceRunner, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.runner != nil || makeOne == nil {
		return h.runner, nil
	}
	if h.closed {
		return nil, errServicesClosed
	}
	r, err := makeOne()
	if err == nil {
		h.runner = r
	}
	return r, err
}

// close ends the services.
func (h *runnerHolder) close() {
	h.mu.Lock()
	h.closed = true
	r := h.runner
	h.mu.Unlock()
	if r != nil {
		r.Close()
	}
}

// runner returns what runs the services of the mesh.
func (m *mesh) runner() (serviceRunner, error) {
	makeOne := m.newRunner
	if m.srv.cfg.newRunner != nil {
		makeOne = func() (serviceRunner, error) { return m.srv.cfg.newRunner(m) }
	}
	return m.runs.get(makeOne)
}

// servicesDir is where the services of the mesh are.
func (m *mesh) servicesDir() (string, error) {
	path, err := store.MeshFile(m.srv.cfg.Data, m.id)
	return filepath.Join(filepath.Dir(path), "services"), err
}

// dropSecrets deletes what secrets of services a broker that was killed has left on
// the disk: what runs again has them written again, and if services are off nobody else
// comes by.
func (m *mesh) dropSecrets() error {
	dir, err := m.servicesDir()
	if err != nil {
		return err
	}
	return runner.DropSecrets(dir)
}

// newRunner makes what runs the services of the mesh, and clears away what a
// broker that was killed has left.
func (m *mesh) newRunner() (serviceRunner, error) {
	dir, err := m.servicesDir()
	if err != nil {
		return nil, err
	}
	machine := m.srv.services()
	r, err := runner.New(runner.Options{
		Dir: dir, Log: m.log, Changed: m.serviceChanged,
		Confiner: machine.confiner, Builder: machine.builder, Builds: machine.builds, Resumes: machine.resumes,
	})
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	var names []string
	for name := range m.services {
		names = append(names, name)
	}
	m.mu.Unlock()
	m.logFailed("clear away what services have left", r.Sweep(names))
	return r, nil
}

// A serviceMachine is what the services of all meshes are built and run with.
type serviceMachine struct {
	confiner *confine.Confiner
	builder  *source.Builder
	builds   chan struct{}
	resumes  *runner.Turns
}

// maxResumes is how many services, of all meshes, are started at once when the
// broker is.
const maxResumes = 4

// newServiceMachine finds out what can be enforced on this machine.
func newServiceMachine(cfg *Config) *serviceMachine {
	var allowed []netip.Prefix
	allowed, _ = parsePrefixes("service-allow", cfg.ServiceAllow) // checked by Config.Check
	guard := newNetGuard(allowed)
	m := &serviceMachine{
		confiner: confine.New(context.Background(), confine.Options{Data: cfg.Data, Admits: guard.admits, Log: cfg.Log}),
		builder:  source.New(source.Options{Paths: cfg.serviceDirs(), Admits: guard.admits}),
		builds:   make(chan struct{}, cfg.ServiceBuilds),
		resumes:  runner.NewTurns(maxResumes),
	}
	for _, line := range m.confiner.Report() {
		cfg.Log.Info("services are confined", "by", line)
	}
	return m
}

// runnerSpec returns what the runner is given for a source and a configuration
// with all that is secret in them.
func (m *mesh) runnerSpec(src *wire.ServiceSource, cfg *wire.ServiceConfig) runner.Spec {
	spec := runner.Spec{
		Source: source.Source{
			Type: source.Type(src.Kind), URL: src.URL, Branch: src.Branch, Auth: src.Auth, Package: src.Package, Path: src.Path,
			Args: slices.Clone(cfg.Args),
		},
		Runtime: source.Runtime(cfg.Runtime), Env: cfg.Env,
		Limits: confine.Limits{MemoryMB: cfg.MemoryMB, CPUs: cfg.CPUs},
	}
	if len(cfg.NetworkAllow) > 0 {
		spec.Limits.Network = slices.Clone(cfg.NetworkAllow)
	}
	if src.Kind == wire.SourceZip {
		spec.Source.Open = m.opensArchive(src.FileID)
	}
	return spec
}
