package broker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"claudemesh/broker/runner"
	"claudemesh/store"
	"claudemesh/wire"
)

func TestADeploymentIsAnsweredToItsOutcome(t *testing.T) {
	t.Parallel()
	b, f := withServices(t)
	a, other := b.join("alice").modern("a"), b.join("bob").modern("b")
	id := a.asked(deploy("db", "scope", "mesh", "description", "the database"))
	a.status(id, "building")
	r := f.of(b)
	r.waitFor(t, "deploy db")
	if text := a.callError("db", "echo"); text != `service "db" is building` {
		t.Error(text)
	}
	r.changed(runner.Event{Name: "db", Status: runner.Installing, Cause: runner.ByDeploy})
	r.changed(runner.Event{Name: "db", Status: runner.Running, Cause: runner.ByDeploy, Tools: echoTools, Runtime: "node", Commit: "c1"})
	a.status(id, "installing")
	if f := a.status(id, "running"); !equalJSON(f["tools"], echoShown) || f["commit"] != "c1" {
		t.Errorf("it runs: %v", f)
	}
	want := map[string]any{"name": "db", "description": "the database", "tool_count": 1, "deployed_by": "alice", "scope": "mesh", "tools": echoShown}
	if e := other.event("mcp_deployed"); !equalJSON(e, want) {
		t.Errorf("told %v", e)
	}
	r.call = func(_ context.Context, name, tool string, args wire.Value) (wire.Value, error) {
		return wire.Value(fmt.Sprintf(`{"content":[{"type":"text","text":%q}],"isError":true}`, name+tool+string(args))), nil
	}
	got := other.told(other.callTool("db", "echo"))
	if !equalJSON(got["result"], map[string]any{"content": []any{map[string]any{"type": "text", "text": `dbecho{"text":"hi"}`}}, "isError": true}) || got["error"] != nil {
		t.Errorf("the result is %v", got)
	}
	entry := other.catalog()["db"]
	if entry["status"] != "running" || entry["tool_count"] != 1.0 || entry["runtime"] != "node" || entry["deployed_by"] != "alice" ||
		entry["source_type"] != "npx" || entry["version"] != 1.0 || entry["type"] != "mcp" || entry["commit"] != "c1" {
		t.Errorf("listed as %v", entry)
	}
	c := b.join("carol").modern("c")
	if list := c.ack["services"].([]any); len(list) != 1 || !equalJSON(list[0], map[string]any{"name": "db", "description": "the database", "status": "running", "tools": echoShown, "deployed_by": "alice"}) {
		t.Errorf("hello_ack has %v", list)
	}
	other.wantNews()
	r.lines = []string{"one", "two"}
	if logs := a.ask("mcp_logs_result", map[string]any{"type": "mcp_logs", "server_name": "db"}); !equalJSON(logs["lines"], r.lines) || logs["next"] != 2.0 {
		t.Errorf("logs %v", logs)
	}

	id = a.asked(map[string]any{"type": "mcp_undeploy", "server_name": "db"})
	a.status(id, "stopped")
	r.waitFor(t, "remove db")
	other.wantNews("mcp_undeployed db")
	a.wantNews("mcp_deployed db", "mcp_undeployed db")
	if text := a.callError("db", "echo"); text != `MCP server "db" not found in the mesh` {
		t.Error(text)
	}
	if all := a.catalog(); len(all) != 0 {
		t.Errorf("still listed: %v", all)
	}
}

func TestWhatCannotBeDeployed(t *testing.T) {
	t.Parallel()
	b, f := withServices(t, func(c *Config) { c.MaxServices = 2 })
	a, other := b.join("alice").modern("a"), b.join("bob").modern("b")
	a.ask("mcp_register_ack", server("live"))
	a.deployed(f, deploy("mine"))
	env := map[string]any{}
	for i := range wire.MaxServiceEnv + 1 {
		env[fmt.Sprint("V", i)] = ""
	}
	config := func(name string, v any) map[string]any { return map[string]any{name: v} }
	for _, c := range []struct {
		name  string
		frame map[string]any
		code  string
	}{
		{"no name", deploy(""), "invalid_name"},
		{"a name with a slash", deploy("../x"), "invalid_name"},
		{"a long name", deploy(strings.Repeat("a", 65)), "invalid_name"},
		{"the name of a live server", deploy("live"), "forbidden"},
		{"a long description", deploy("x", "description", strings.Repeat("d", wire.MaxServerText+1)), "too_large"},
		{"a scope that is none", deploy("x", "scope", "everybody"), "bad_request"},
		{"a scope of nobody", deploy("x", "scope", map[string]any{"peers": []string{}}), "bad_request"},
		{"a scope of somebody unknown", deploy("x", "scope", map[string]any{"peers": []string{"zoe"}}), "bad_request"},
		{"a scope of a group that is none", deploy("x", "scope", map[string]any{"group": "a b"}), "bad_request"},
		{"two scopes", deploy("x", "scope", map[string]any{"group": "a", "role": "b"}), "bad_request"},
		{"a variable without a name", deploy("x", "config", config("env", map[string]any{"": "x"})), "bad_request"},
		{"a variable with a name that is none", deploy("x", "config", config("env", map[string]any{"A=B": "x"})), "bad_request"},
		{"a value with a zero byte", deploy("x", "config", config("env", map[string]any{"A": "x\x00"})), "bad_request"},
		{"too many variables", deploy("x", "config", config("env", env)), "too_large"},
		{"a variable that is too large", deploy("x", "config", config("env", map[string]any{"A": strings.Repeat("x", wire.MaxServiceEnvBytes)})), "too_large"},
		{"less than no memory", deploy("x", "config", config("memory_mb", -1)), "bad_request"},
		{"too little memory to run", deploy("x", "config", config("memory_mb", 1)), "bad_request"},
		{"too much memory", deploy("x", "config", config("memory_mb", wire.MaxServiceMemory+1)), "bad_request"},
		{"more memory than the operator gives", deploy("x", "config", config("memory_mb", 2049)), "limit"},
		{"less than no processor", deploy("x", "config", config("cpus", -0.5)), "bad_request"},
		{"the network of the machine", deploy("x", "config", config("network_allow", []string{"*"})), "bad_request"},
		{"all hosts and one", deploy("x", "config", config("network_allow", []string{"*", "example.com"})), "bad_request"},
		{"an argument with a zero byte", deploy("x", "config", config("args", []string{"\x00"})), "bad_request"},
		{"an archive that is not there", deploy("x", "source", map[string]any{"type": "zip", "file_id": "f"}), "not_found"},
	} {
		if f := a.askAny(c.frame); f["type"] != "error" || f["code"] != c.code {
			t.Errorf("%s: %.300v", c.name, f)
		}
	}
	for _, c := range []struct {
		name  string
		frame map[string]any
		code  string
	}{
		{"the name of another's service", deploy("mine"), "forbidden"},
		{"a live server of that name", server("mine"), "forbidden"},
	} {
		if f := other.askAny(c.frame); f["type"] != "error" || f["code"] != c.code {
			t.Errorf("%s: %.300v", c.name, f)
		}
	}
	if f := a.askAny(server("mine")); f["code"] != "forbidden" {
		t.Error("a live server with the name of its own service:", f)
	}
	a.deployed(f, deploy("second"))
	if f := a.askAny(deploy("third")); f["code"] != "limit" {
		t.Error("one too many:", f)
	}
	a.deployed(f, deploy("second")) // counts other names only
	r := f.of(b)
	r.refuse = errors.New("memory_mb cannot be enforced here")
	if f := a.askAny(deploy("second")); f["code"] != "bad_request" || !strings.Contains(f["message"].(string), "memory_mb") {
		t.Error("what cannot be enforced:", f)
	}
}

func TestWhoMayHaveServicesRun(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ setting, admin, member string }{
		{"on", "", ""}, {"admins", "", "forbidden"}, {"off", "forbidden", "forbidden"},
	} {
		t.Run(c.setting, func(t *testing.T) {
			t.Parallel()
			b, _ := withServices(t, func(cfg *Config) { cfg.Services = c.setting })
			for _, who := range []struct {
				name, want string
				p          *testPeer
			}{{"admin", c.admin, b.joinAs("admin", "admin").modern("a")}, {"member", c.member, b.join("bob").modern("b")}} {
				if code, _ := who.p.askAny(deploy(who.name))["code"].(string); code != who.want {
					t.Errorf("%s: answered %q, want %q", who.name, code, who.want)
				}
			}
		})
	}
}

func TestAnUpdateKeepsWhatRunsUntilItIsDone(t *testing.T) {
	t.Parallel()
	b, f := withServices(t)
	a, other := b.join("alice").modern("a"), b.join("bob").modern("b")
	a.deployed(f, deploy("db", "scope", "mesh"))
	r := f.of(b)
	r.call = func(context.Context, string, string, wire.Value) (wire.Value, error) {
		return wire.Value(`{"content":[]}`), nil
	}
	other.wantNews("mcp_deployed db")

	id := a.asked(map[string]any{"type": "mcp_update", "server_name": "db"})
	a.status(id, "building")
	r.waitFor(t, "update db")
	for _, frame := range []map[string]any{{"type": "mcp_update", "server_name": "db"}, deploy("db", "scope", "mesh")} {
		if f := a.askAny(frame); f["code"] != "conflict" {
			t.Errorf("while it is being built: %v", f)
		}
	}
	r.changed(runner.Event{Name: "db", Status: runner.Installing, Cause: runner.ByUpdate})
	a.status(id, "installing")
	if got := other.told(other.callTool("db", "echo")); got["result"] == nil {
		t.Errorf("while it is being built a call gives %v", got)
	}
	more := append([]wire.MCPTool{{Name: "new", InputSchema: wire.Value(`{"type":"object"}`)}}, echoTools...)
	r.changed(runner.Event{Name: "db", Status: runner.Running, Cause: runner.ByUpdate, Tools: more, Commit: "c2", Previous: "c1"})
	if f := a.status(id, "running"); f["commit"] != "c2" || f["previous"] != "c1" || len(f["tools"].([]any)) != 2 {
		t.Errorf("updated: %v", f)
	}
	if e := other.event("mcp_updated"); e["name"] != "db" || e["new_sha"] != "c2" || len(e["tools"].([]any)) != 2 {
		t.Errorf("told %v", e)
	}
	if e := a.catalog()["db"]; e["version"] != 2.0 || e["commit"] != "c2" {
		t.Errorf("listed as %v", e)
	}

	id = a.asked(map[string]any{"type": "mcp_update", "server_name": "db"})
	a.status(id, "building")
	r.waitFor(t, "update db")
	r.changed(runner.Event{Name: "db", Status: runner.Running, Cause: runner.ByKeep, Error: "npm says no", Commit: "c2"})
	if f := a.status(id, "failed"); f["kept"] != true || f["error"] != "npm says no" {
		t.Errorf("a failed update: %v", f)
	}
	other.wantNews()
	if e := a.catalog()["db"]; e["version"] != 2.0 || e["status"] != "running" || e["error"] != nil {
		t.Errorf("listed as %v", e)
	}

	r.changed(runner.Event{Name: "db", Status: runner.Restarting, Cause: runner.ByRestart, Restarts: 1, Error: "it ended"})
	if text := other.callError("db", "echo"); text != `service "db" is restarting` {
		t.Error(text)
	}
	r.changed(runner.Event{Name: "db", Status: runner.Running, Cause: runner.ByRestart, Restarts: 1, Tools: more})
	other.wantNews()
	r.changed(runner.Event{Name: "db", Status: runner.Running, Cause: runner.ByTools, Tools: echoTools})
	other.wantNews("mcp_updated db")
	r.changed(runner.Event{Name: "db", Status: runner.Crashed, Cause: runner.ByRestart, Restarts: 5, Error: "it ended five times"})
	if e := a.event("mcp_crashed"); !equalJSON(e, map[string]any{"name": "db", "error": "it ended five times", "restarts": 5}) {
		t.Errorf("told %v", e)
	}
	if e := other.event("mcp_crashed"); !equalJSON(e, map[string]any{"name": "db", "error": reasonKept, "restarts": 5}) {
		t.Errorf("another is told %v", e)
	}
	if e, own := other.catalog()["db"], a.catalog()["db"]; e["error"] != nil || own["error"] != "it ended five times" {
		t.Errorf("another reads why in %v, its owner in %v", e, own)
	}
	id = a.asked(map[string]any{"type": "mcp_update", "server_name": "db"}) // nothing of it runs
	a.status(id, "building")
	r.waitFor(t, "deploy db")
	r.changed(runner.Event{Name: "db", Status: runner.Failed, Cause: runner.ByDeploy, Error: "no such package"})
	if f := a.status(id, "failed"); f["error"] != "no such package" || f["kept"] != nil {
		t.Errorf("a failed deployment: %v", f)
	}
	other.wantNews()
}

func TestArchivesAreDeployedAgainNotUpdated(t *testing.T) {
	t.Parallel()
	b, f := withServices(t)
	alice := b.join("alice")
	a := alice.modern("a")
	file := a.upload("x.zip", "PK", map[string]string{wire.HeaderTarget: "*"}).id()
	a.deployed(f, deploy("z", "source", map[string]any{"type": "zip", "file_id": file}))
	r := f.of(b)
	open := r.specs["z"].Source.Open
	p := must(open())
	p.Close()
	if f := a.askAny(map[string]any{"type": "mcp_update", "server_name": "z"}); f["code"] != "forbidden" || !strings.Contains(f["message"].(string), "deploy") {
		t.Error(f)
	}
	carol := b.join("carol")
	o := b.join("bob").modern("b")
	for _, other := range []string{
		o.upload("hers", "PK", map[string]string{wire.HeaderTarget: carol.pub()}).id(), a.upload("sealed", "x", sealedFor(alice.pub())).id(),
	} {
		if f := a.askAny(deploy("y", "source", map[string]any{"type": "zip", "file_id": other})); f["type"] != "error" {
			t.Error("deployed from", other, f)
		}
	}
	a.ask("ack", map[string]any{"type": "delete_file", "fileId": file})
	if _, err := open(); err == nil {
		t.Error("an archive that was deleted is still there")
	}
}

func TestADeploymentGoesOnWithoutItsPeer(t *testing.T) {
	t.Parallel()
	b, f := withServices(t)
	alice := b.join("alice")
	c := alice.command(false)
	id := c.asked(deploy("db"))
	c.status(id, "building")
	r := f.of(b)
	r.waitFor(t, "deploy db")
	c.drop()
	r.changed(runner.Event{Name: "db", Status: runner.Running, Cause: runner.ByDeploy, Tools: echoTools})
	a := alice.modern("a")
	if e := a.catalog()["db"]; e["status"] != "running" {
		t.Errorf("listed as %v", e)
	}
}

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

func TestSecretsThatAKilledBrokerLeftAreDeletedAtItsStart(t *testing.T) {
	t.Parallel()
	for _, services := range []string{servicesOn, servicesOff} {
		t.Run(services, func(t *testing.T) {
			t.Parallel()
			b, f := withServices(t)
			b.join("alice").modern("a").deployed(f, deploy("db"))
			dir := filepath.Join(filepath.Dir(must(store.MeshFile(b.cfg.Data, b.mesh))), "services", "db")
			secret, kept := filepath.Join(dir, "secrets", "1", "tls", "key.pem"), filepath.Join(dir, "home", "notes")
			for _, path := range []string{secret, kept} {
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("s3cret"), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			b.cfg.Services = services
			b.restart()
			if _, err := os.Stat(filepath.Join(dir, "secrets")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the secrets are there: %v", err)
			}
			if _, err := os.Stat(kept); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCallsOfServicesAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, b *testBroker) {
		f := new(fakeServices)
		faked(f)(&b.srv.cfg)
		a, other := b.join("alice").modern("a"), b.join("bob").modern("b")
		a.deployed(f, deploy("db", "scope", "mesh"))
		r := f.of(b)
		ended := make(chan error, 100)
		r.call = func(ctx context.Context, _, _ string, _ wire.Value) (wire.Value, error) {
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		}
		late := a.callTool("db", "echo")
		for range maxRelaysFrom - 1 {
			a.callTool("db", "echo")
		}
		if text := a.callError("db", "echo"); !strings.Contains(text, "wait for one of them") {
			t.Error(text)
		}
		if text, _ := a.answered(late)["error"].(string); !strings.HasPrefix(text, "runner call failed: no answer within 25 s") {
			t.Error(text)
		}
		for range maxRelaysFrom {
			<-ended
		}
		other.callTool("db", "echo")
		synctest.Wait()
		other.drop()
		<-ended // with the one who asked
		r.mu.Lock()
		r.call = func(context.Context, string, string, wire.Value) (wire.Value, error) {
			return nil, errors.New("it ended during the call")
		}
		r.mu.Unlock()
		if text := a.callError("db", "echo"); text != "runner call failed: it ended during the call" {
			t.Error(text)
		}
	})
}

func TestToolsThatCannotBeShownAreLeftOut(t *testing.T) {
	t.Parallel()
	object := wire.Value(`{"type":"object"}`)
	many := make([]wire.MCPTool, wire.MaxServerTools+7)
	for i := range many {
		many[i] = wire.MCPTool{Name: fmt.Sprint("t", i), InputSchema: object}
	}
	for _, c := range []struct {
		name       string
		tools      []wire.MCPTool
		kept, gone int
	}{
		{"none", nil, 0, 0},
		{"a tool without a schema, which takes no arguments", []wire.MCPTool{{Name: "a"}}, 1, 0},
		{"a name twice, none and one that is none", []wire.MCPTool{{Name: "a", InputSchema: object}, {Name: "a", InputSchema: object}, {}, {Name: "a\n", InputSchema: object}}, 1, 3},
		{"a schema that is none", []wire.MCPTool{{Name: "a", InputSchema: wire.Value(`"x"`)}}, 0, 1},
		{"a schema that is too large beside one that is not", []wire.MCPTool{{Name: "a", InputSchema: wire.Value(`{"x":"` + strings.Repeat("x", wire.MaxServerBytes) + `"}`)}, {Name: "b"}}, 1, 1},
		{"too many", many, wire.MaxServerTools, 7},
	} {
		if kept, gone := usableTools(c.tools); len(kept) != c.kept || gone != c.gone {
			t.Errorf("%s: %d kept, %d left out", c.name, len(kept), gone)
		}
	}
}

func TestLinesOfALogFitIntoAnAnswer(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", wire.MaxLogLine)
	var lines []string
	for range wire.MaxServiceLog {
		lines = append(lines, long)
	}
	newest, next := fitLines(lines, 5000, false)
	if len(newest) == 0 || len(newest) == len(lines) || next != 5000 {
		t.Errorf("%d newest lines, next %d", len(newest), next)
	}
	first, next := fitLines(lines, 5000, true)
	if len(first) == 0 || len(first) == len(lines) || next != 5000-int64(len(lines)-len(first)) {
		t.Errorf("%d lines that follow, next %d", len(first), next)
	}
}

func TestArchivesThatAreTooLarge(t *testing.T) {
	t.Parallel()
	b, _ := withServices(t)
	alice := b.join("alice")
	a := alice.modern("a")
	for size, code := range map[int64]string{wire.MaxServiceZip: "", wire.MaxServiceZip + 1: "too_large"} {
		f := &store.File{ID: store.NewID(), Name: "x.zip", Size: size, Uploader: alice.id, UploaderName: "alice", Uploaded: time.Now()}
		if err := b.srv.meshByID(b.mesh).db.Write(t.Context(), func(tx *store.Tx) error { return tx.AddFile(f) }); err != nil {
			t.Fatal(err)
		}
		res := a.askAny(deploy(fmt.Sprint("s", size), "source", map[string]any{"type": "zip", "file_id": f.ID}))
		if got, _ := res["code"].(string); got != code {
			t.Errorf("%d bytes: %v", size, res)
		}
	}
}
