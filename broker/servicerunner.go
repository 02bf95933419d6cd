package broker

import (
	"context"
	"errors"
	"os"
	"sync"

	"claudemesh/wire"
)

// A serviceRunner builds and runs the services of one mesh. It tells what
// becomes of them by the function that it was made with, in the order in which
// it happens to each, with no lock held.
type serviceRunner interface {
	// Check refuses what could never be built, or not be contained here, naming
	// what is in the way.
	Check(name string, spec serviceSpec) error
	// Deploy builds a service and starts it, in the place of what runs under its name.
	Deploy(name string, spec serviceSpec) error
	// Resume starts what was built before the broker ended.
	Resume(name string, spec serviceSpec) error
	// Update builds beside what runs and takes its place; that goes on if the new one fails.
	Update(name string, spec serviceSpec) error
	// Call calls a tool and returns the whole result.
	Call(ctx context.Context, name, tool string, args wire.Value) (wire.Value, error)
	// Remove ends a service and deletes what it consists of.
	Remove(ctx context.Context, name string) error
	// Logs returns the newest lines after that number, the oldest first, and the
	// number of the last line there is.
	Logs(name string, lines int, after int64) (text []string, next int64)
	// Close ends all services, and waits for that. It tells nothing of it.
	Close()
}

// A serviceCause says what an event comes from.
type serviceCause string

// The causes of events.
const (
	byDeploy  serviceCause = "deploy"  // a deployment, or a resumption that had to build again
	byResume  serviceCause = "resume"  // a resumption
	byRestart serviceCause = "restart" // the service had ended, or did not answer
	byUpdate  serviceCause = "update"  // building goes on beside what runs; else the outcome
	byKeep    serviceCause = "keep"    // an update that failed: the status is that of what goes on
	byTools   serviceCause = "tools"   // the service has changed its tools
)

// A serviceSpec says what a service consists of and how it is run.
type serviceSpec struct {
	source wire.ServiceSource
	open   func() (*os.File, error) // the archive of a zip source
	config wire.ServiceConfig
}

// A serviceEvent is what a runner tells of a service.
type serviceEvent struct {
	Name     string
	Status   wire.ServiceStatus
	Cause    serviceCause
	Tools    []wire.MCPTool // of one that runs
	Error    string         // why it failed, or its update
	Commit   string         // of a git source
	Previous string         // the commit before
	Runtime  string
	Restarts int
}

// A runnerHolder makes the runner of a mesh when it is first needed: most
// meshes have no services.
type runnerHolder struct {
	mu     sync.Mutex
	runner serviceRunner
	closed bool
}

// errServicesClosed refuses work of a mesh that is being closed.
var errServicesClosed = wire.Errorf(wire.Unavailable, "the broker is shutting down: try again when it is back")

// get returns the runner, nil if there is none yet and it need not be made.
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
	return m.runs.get(func() (serviceRunner, error) {
		if m.srv.cfg.newRunner == nil {
			return nil, errors.New("services cannot be run yet")
		}
		return m.srv.cfg.newRunner(m)
	})
}
