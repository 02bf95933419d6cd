package broker

import (
	"context"
	"strings"
	"testing"

	"claudemesh/broker/runner"
	"claudemesh/wire"
)

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
