package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"claudemesh/broker/runner"
	"claudemesh/store"
	"claudemesh/wire"
)

// A fakeRunner is a runner whose services do what their test says.
type fakeRunner struct {
	mesh  *mesh
	eager bool        // what is deployed runs at once
	told  chan string // what it is told to do, with names

	mu     sync.Mutex
	specs  map[string]runner.Spec
	refuse error         // of Check
	stuck  error         // of Remove
	held   chan struct{} // Remove waits until it is closed, if it is not nil
	call   func(ctx context.Context, name, tool string, args wire.Value) (wire.Value, error)
	lines  []string
	closed bool
}

// waitFor waits until the runner is told to do that.
func (r *fakeRunner) waitFor(t testing.TB, what string) {
	t.Helper()
	var others []string
	for {
		select {
		case told := <-r.told:
			if told == what {
				return
			}
			others = append(others, told)
		case <-time.After(patience):
			t.Fatalf("the runner was not told to %s, but to %q", what, others)
		}
	}
}

// changed tells the broker of a service, and waits until it has taken note.
func (r *fakeRunner) changed(e runner.Event) {
	r.mesh.serviceChanged(e)
	r.mesh.db.Write(context.Background(), func(*store.Tx) error { return nil })
}

func (r *fakeRunner) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

// tell notes what the runner is told, as long as somebody listens.
func (r *fakeRunner) tell(what string) {
	select {
	case r.told <- what:
	default:
	}
}

func (r *fakeRunner) keep(name string, spec runner.Spec) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.specs[name] = spec
}

func (r *fakeRunner) Check(string, runner.Spec) error { return r.refuse }

func (r *fakeRunner) Deploy(name string, spec runner.Spec) error {
	r.keep(name, spec)
	r.tell("deploy " + name)
	if r.eager {
		r.mesh.serviceChanged(runner.Event{Name: name, Status: runner.Running, Cause: runner.ByDeploy, Tools: echoTools})
	}
	return nil
}

func (r *fakeRunner) Resume(name string, spec runner.Spec) error {
	r.keep(name, spec)
	r.tell("resume " + name)
	return nil
}

func (r *fakeRunner) Update(name string, spec runner.Spec) error {
	r.keep(name, spec)
	r.tell("update " + name)
	if r.eager {
		r.mesh.serviceChanged(runner.Event{Name: name, Status: runner.Running, Cause: runner.ByUpdate, Tools: echoTools})
	}
	return nil
}

func (r *fakeRunner) Call(ctx context.Context, name, tool string, args wire.Value) (wire.Value, error) {
	r.mu.Lock()
	call := r.call
	r.mu.Unlock()
	if call == nil {
		return nil, errors.New("nobody is there")
	}
	return call(ctx, name, tool, args)
}

func (r *fakeRunner) Remove(_ context.Context, name string) error {
	r.tell("remove " + name)
	if r.held != nil {
		<-r.held
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stuck
}

func (r *fakeRunner) Logs(_ string, lines int, after int64) ([]string, int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.lines[min(int(after), len(r.lines)):]
	return slices.Clone(all[max(0, len(all)-lines):]), int64(len(r.lines))
}

func (r *fakeRunner) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}

// fakeServices are what run the services of the meshes of a broker under test.
type fakeServices struct {
	made chan *fakeRunner
	by   map[string]*fakeRunner // by mesh, of those that of has returned
}

// faked has a broker under test run services by fakes.
func faked(f *fakeServices) func(*Config) {
	f.made, f.by = make(chan *fakeRunner, 10), make(map[string]*fakeRunner)
	return func(c *Config) {
		c.newRunner = func(m *mesh) (serviceRunner, error) {
			r := &fakeRunner{mesh: m, told: make(chan string, 100), specs: make(map[string]runner.Spec)}
			f.made <- r
			return r, nil
		}
	}
}

// eagerly has a broker under test run services by fakes, with which nobody
// needs to help.
func eagerly(c *Config) {
	c.newRunner = func(m *mesh) (serviceRunner, error) {
		return &fakeRunner{mesh: m, eager: true, specs: make(map[string]runner.Spec)}, nil
	}
}

// of returns the runner of the broker's mesh, as soon as it is needed.
func (f *fakeServices) of(b *testBroker) *fakeRunner {
	b.t.Helper()
	for f.by[b.mesh] == nil || f.by[b.mesh].isClosed() {
		select {
		case r := <-f.made:
			f.by[r.mesh.id] = r
		case <-time.After(patience):
			b.t.Fatal("no runner was made")
		}
	}
	return f.by[b.mesh]
}

// withServices returns a broker whose services are fakes.
func withServices(t testing.TB, tune ...func(*Config)) (*testBroker, *fakeServices) {
	t.Helper()
	f := new(fakeServices)
	return newBroker(t, append([]func(*Config){faked(f)}, tune...)...), f
}

var echoTools = []wire.MCPTool{{Name: "echo", Description: "says it again", InputSchema: wire.Value(`{"type":"object"}`)}}

// echoShown are echoTools as a frame has them.
var echoShown = []any{map[string]any{"name": "echo", "description": "says it again", "inputSchema": map[string]any{"type": "object"}}}

func deploy(name string, more ...any) map[string]any {
	f := map[string]any{"type": "mcp_deploy", "server_name": name, "source": map[string]any{"type": "npx"}}
	for i := 0; i < len(more); i += 2 {
		f[more[i].(string)] = more[i+1]
	}
	return f
}

// asked sends a frame and returns its _reqId without waiting for an answer.
func (p *testPeer) asked(fields map[string]any) string {
	p.t.Helper()
	p.n++
	id := fmt.Sprintf("q%d", p.n)
	fields["_reqId"] = id
	p.say(fields)
	return id
}

// answered returns the next answer with that _reqId, which may have come before others.
func (p *testPeer) answered(id string) map[string]any {
	p.t.Helper()
	for i, f := range p.backlog {
		if f["_reqId"] == id {
			p.backlog = slices.Delete(p.backlog, i, i+1)
			return f
		}
	}
	return p.told(id)
}

// status reads the next answer to a deployment and checks its status.
func (p *testPeer) status(id, want string) map[string]any {
	p.t.Helper()
	f := p.answered(id)
	if f["type"] != "mcp_deploy_status" || f["status"] != want {
		p.t.Fatalf("answered by %v, not %s", f, want)
	}
	return f
}

// deployed has p deploy a service that then runs with these tools.
func (p *testPeer) deployed(f *fakeServices, frame map[string]any, tools ...wire.MCPTool) {
	p.t.Helper()
	name := frame["server_name"].(string)
	id := p.asked(frame)
	p.status(id, "building")
	r := f.of(p.b)
	r.waitFor(p.t, "deploy "+name)
	if tools == nil {
		tools = echoTools
	}
	r.changed(runner.Event{Name: name, Status: runner.Installing, Cause: runner.ByDeploy})
	r.changed(runner.Event{Name: name, Status: runner.Running, Cause: runner.ByDeploy, Tools: tools, Runtime: "node"})
	p.status(id, "installing")
	p.status(id, "running")
}

// serviceNews returns the events of services that were on their way to p, as
// "event name".
func (p *testPeer) serviceNews() []string {
	p.t.Helper()
	var all []string
	for _, f := range p.news() {
		event, _ := f["event"].(string)
		data, _ := f["eventData"].(map[string]any)
		if name, ok := data["name"].(string); ok && strings.HasPrefix(event, "mcp_") {
			all = append(all, event+" "+name)
		}
	}
	return all
}

// wantNews checks which events of services were on their way to p.
func (p *testPeer) wantNews(want ...string) {
	p.t.Helper()
	if got := p.serviceNews(); !slices.Equal(got, want) {
		p.t.Errorf("told of %q, want %q", got, want)
	}
}

// catalog returns the names and statuses of what p may know of.
func (p *testPeer) catalog() map[string]map[string]any {
	p.t.Helper()
	all := make(map[string]map[string]any)
	for _, e := range p.ask("mcp_catalog_result", map[string]any{"type": "mcp_catalog"})["services"].([]any) {
		e := e.(map[string]any)
		all[e["name"].(string)] = e
	}
	return all
}
