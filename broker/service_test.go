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

// TestAStateThatCouldNotBeKeptIsTriedAgain has the disk be full for a moment.
func TestAStateThatCouldNotBeKeptIsTriedAgain(t *testing.T) {
	t.Parallel()
	b, f := withServices(t)
	a := b.join("alice").modern("a")
	id := a.asked(deploy("db"))
	a.status(id, "building")
	r := f.of(b)
	r.waitFor(t, "deploy db")
	m := b.srv.meshByID(b.mesh)
	lose := func(e runner.Event) {
		m.mu.Lock()
		svc := m.services["db"]
		svc.changes++
		nth := svc.changes
		m.mu.Unlock()
		m.lostChange(svc, nth, &e, fmt.Errorf("%w: the disk is full, make room", store.ErrUnavailable))
	}
	sweep := func() {
		t.Helper()
		if err := errors.Join(m.sweepServices(time.Now()), m.db.Write(t.Context(), func(*store.Tx) error { return nil })); err != nil {
			t.Error(err)
		}
	}
	lose(runner.Event{Name: "db", Status: runner.Failed, Cause: runner.ByDeploy, Error: "the broker's disk is full"})
	if f := a.answered(id); f["type"] != "error" || f["code"] != "unavailable" {
		t.Errorf("who waits is told %v", f)
	}
	sweep()
	if e := a.catalog()["db"]; e["status"] != "failed" || e["error"] != "the broker's disk is full" {
		t.Errorf("it is %v", e)
	}
	a.deployed(f, deploy("db")) // which is not refused as one that is being built

	lose(runner.Event{Name: "db", Status: runner.Crashed, Cause: runner.ByRestart, Restarts: 5})
	r.changed(runner.Event{Name: "db", Status: runner.Running, Cause: runner.ByRestart, Tools: echoTools})
	sweep()
	if e := a.catalog()["db"]; e["status"] != "running" {
		t.Errorf("what was told before counts: %v", e)
	}
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
