package broker

import (
	"errors"
	"strings"
	"testing"
	"time"

	"claudemesh/broker/runner"
)

func TestUndeployingEndsWhatIsBeingBuilt(t *testing.T) {
	t.Parallel()
	b, f := withServices(t)
	a := b.join("alice").modern("a")
	id := a.asked(deploy("db", "scope", "mesh"))
	a.status(id, "building")
	r := f.of(b)
	r.waitFor(t, "deploy db")
	r.stuck = errors.New("a process does not end")
	end := a.asked(map[string]any{"type": "mcp_undeploy", "server_name": "db"})
	a.status(id, "failed")
	if f := a.answered(end); f["code"] != "undeploy_error" || !strings.Contains(f["message"].(string), "a process does not end") {
		t.Error(f)
	}
	r.changed(runner.Event{Name: "db", Status: runner.Running, Cause: runner.ByDeploy, Tools: echoTools}) // says nothing any more
	if e := a.catalog()["db"]; e["status"] != "stopped" {
		t.Errorf("listed as %v", e)
	}
	other := b.join("bob").modern("b")
	if e := other.catalog()["db"]; e != nil {
		t.Errorf("to another it is listed as %v", e)
	}
	if with, without := other.callError("db", "echo"), other.callError("dc", "echo"); with != strings.ReplaceAll(without, "dc", "db") {
		t.Errorf("another is told %q, and of none %q", with, without)
	}
	if f := a.askAny(deploy("db")); f["code"] != "conflict" {
		t.Error("deployed over what is being removed:", f)
	}
	r.mu.Lock()
	r.stuck = nil
	r.mu.Unlock()
	if err := b.srv.meshByID(b.mesh).sweepServices(b.srv.started); err != nil {
		t.Error(err)
	}
	for began := time.Now(); len(a.catalog()) != 0; {
		if time.Since(began) > patience {
			t.Fatalf("still listed: %v", a.catalog())
		}
	}
}

func TestAServiceThatDoesNotEndKeepsNoSweepWaiting(t *testing.T) {
	t.Parallel()
	b, f := withServices(t)
	a := b.join("alice").modern("a")
	a.deployed(f, deploy("db"))
	r := f.of(b)
	r.held = make(chan struct{})
	end := a.asked(map[string]any{"type": "mcp_undeploy", "server_name": "db"})
	r.waitFor(t, "remove db")
	swept := make(chan error, 1)
	for range 3 {
		go func() { swept <- b.srv.meshByID(b.mesh).sweepServices(time.Now()) }()
		select {
		case err := <-swept:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("a sweep waits for it")
		}
	}
	close(r.held)
	a.status(end, "stopped")
	if len(a.catalog()) > 0 {
		t.Error("it is still there")
	}
}

func TestServicesAreResumedWhenTheBrokerStarts(t *testing.T) {
	t.Parallel()
	b, f := withServices(t)
	a := b.join("alice").modern("a")
	a.deployed(f, deploy("runs", "scope", "mesh", "config", map[string]any{"env": map[string]any{"KEY": "s3cret-value"}, "memory_mb": 64},
		"source", map[string]any{"type": "git", "url": "https://git.example/x", "auth": "s3cret-token"}))
	a.status(a.asked(deploy("builds")), "building")
	a.deployed(f, deploy("crashed"))
	a.deployed(f, deploy("stuck"))
	r := f.of(b)
	r.changed(runner.Event{Name: "crashed", Status: runner.Crashed, Cause: runner.ByRestart})
	r.stuck = errors.New("later")
	if f := a.askAny(map[string]any{"type": "mcp_undeploy", "server_name": "stuck"}); f["code"] != "undeploy_error" {
		t.Error(f)
	}
	b.restart()
	if !r.isClosed() {
		t.Error("the broker ended without its services")
	}
	r = f.of(b)
	r.waitFor(t, "resume runs")
	if spec := r.specs["runs"]; spec.Env["KEY"] != "s3cret-value" || spec.Source.Auth != "s3cret-token" || spec.Limits.MemoryMB != 64 || spec.Source.URL != "https://git.example/x" {
		t.Errorf("resumed with %+v", spec)
	}
	p := b.join("bob").modern("b")
	if list := p.ack["services"].([]any); len(list) != 0 {
		t.Errorf("before anything runs hello_ack has %v", list)
	}
	r.changed(runner.Event{Name: "runs", Status: runner.Restarting, Cause: runner.ByQueue, Error: "it waits for its turn"})
	if text := p.callError("runs", "echo"); text != `service "runs" is restarting: it waits for its turn` || p.catalog()["runs"]["error"] != "it waits for its turn" {
		t.Errorf("of one that is not started yet it says %q and %v", text, p.catalog()["runs"])
	}
	r.changed(runner.Event{Name: "runs", Status: runner.Restarting, Cause: runner.ByResume})
	if text := p.callError("runs", "echo"); text != `service "runs" is restarting` || p.catalog()["runs"]["error"] != nil {
		t.Errorf("of one that is being started it says %q and %v", text, p.catalog()["runs"])
	}
	r.changed(runner.Event{Name: "runs", Status: runner.Running, Cause: runner.ByResume, Tools: echoTools})
	p.wantNews("mcp_deployed runs")
	a = b.joinAs("admin", "admin").modern("x")
	if err := b.srv.meshByID(b.mesh).sweepServices(b.srv.started); err != nil {
		t.Error(err)
	}
	all := a.catalog()
	for name, want := range map[string]string{"runs": "running", "builds": "failed", "crashed": "crashed", "stuck": ""} {
		if status, _ := all[name]["status"].(string); status != want {
			t.Errorf("%s is %v", name, all[name])
		}
	}
	b.cfg.Services = servicesOff
	b.restart()
	p = b.join("carol").modern("c")
	if text := p.callError("runs", "echo"); text != `service "runs" is stopped` {
		t.Error(text)
	}
	b.cfg.Services = servicesOn
	b.restart()
	f.of(b).waitFor(t, "resume runs")
}
