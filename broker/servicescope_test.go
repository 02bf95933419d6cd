package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"claudemesh/broker/runner"
	"claudemesh/wire"
)

// seen is what a session finds out about services by asking for everything
// that could tell, with the names taken out.
func (p *testPeer) seen(name string) string {
	p.t.Helper()
	var all []string
	for _, f := range []map[string]any{
		{"type": "mcp_call", "serverName": name, "toolName": "echo"},
		{"type": "mcp_call", "serverName": name, "toolName": "none"},
		{"type": "mcp_schema", "server_name": name},
		{"type": "mcp_schema", "server_name": name, "tool_name": "echo"},
		{"type": "mcp_logs", "server_name": name},
		{"type": "mcp_scope", "server_name": name},
		{"type": "mcp_scope", "server_name": name, "scope": "mesh"},
		{"type": "mcp_update", "server_name": name},
		{"type": "mcp_undeploy", "server_name": name},
		{"type": "mcp_unregister", "serverName": name},
		{"type": "mcp_list", "serverName": name},
		{"type": "mcp_list"},
		{"type": "mcp_catalog"},
		{"type": "mesh_info"},
	} {
		res := p.askAny(f)
		delete(res, "_reqId")
		if f["type"] == "mesh_info" {
			res = map[string]any{"services": res["services"]}
		}
		all = append(all, strings.ReplaceAll(string(must(json.Marshal(res))), name, "NAME"))
	}
	return strings.Join(all, "\n")
}

func TestWhoIsOutOfScopeSeesWhatWouldBeThereWithoutTheService(t *testing.T) {
	t.Parallel()
	b, f := withServices(t)
	alice := b.join("alice")
	a, bob := alice.modern("a"), b.join("bob")
	outsider, command := bob.modern("b"), bob.command(false)
	a.deployed(f, deploy("private"))
	r := f.of(b)
	r.call = func(context.Context, string, string, wire.Value) (wire.Value, error) {
		t.Error("the service was called")
		return nil, nil
	}
	r.lines = []string{"a secret of the log"}
	for _, p := range []*testPeer{outsider, command, bob.old("late")} {
		if got, want := p.seen("private"), p.seen("nothing"); got != want {
			t.Errorf("of a private service is seen\n%s\nand of none\n%s", got, want)
		}
	}
	if list := bob.modern("another").ack["services"].([]any); len(list) != 0 {
		t.Errorf("hello_ack has %v", list)
	}
	id := a.asked(map[string]any{"type": "mcp_update", "server_name": "private"})
	a.status(id, "building")
	r.changed(runner.Event{Name: "private", Status: runner.Running, Cause: runner.ByUpdate, Commit: "2"})
	a.status(id, "running")
	r.changed(runner.Event{Name: "private", Status: runner.Crashed, Cause: runner.ByRestart})
	a.status(a.asked(map[string]any{"type": "mcp_undeploy", "server_name": "private"}), "stopped")
	outsider.wantNews()
	a.wantNews("mcp_deployed private", "mcp_updated private", "mcp_crashed private")
}

func TestScopesSayWhoMayUseAService(t *testing.T) {
	t.Parallel()
	b, f := withServices(t)
	alice, bob, carol := b.join("alice"), b.join("bob"), b.join("carol")
	a := alice.modern("a")
	a.deployed(f, deploy("s"))
	r := f.of(b)
	r.call = func(context.Context, string, string, wire.Value) (wire.Value, error) {
		return wire.Value(`{"content":[]}`), nil
	}
	peers := map[string]*testPeer{"alice again": alice.modern("a2"), "alice's command": alice.command(false), "bob": bob.modern("b"), "bob's command": bob.command(false),
		"carol": carol.old("c"), "admin": b.joinAs("admin", "admin").modern("x")}
	peers["bob"].ask("ack", map[string]any{"type": "join_group", "name": "eng/web", "role": "lead"})
	peers["carol"].ask("ack", map[string]any{"type": "join_group", "name": "engine", "role": "lead2"})
	const own = "alice again,alice's command"
	for _, c := range []struct {
		name  string
		scope any
		may   string
		want  any // the scope as it is told; nil for as it was given
	}{
		{"the deployer's sessions", "peer", own, nil},
		{"everybody", "mesh", own + ",admin,bob,bob's command,carol", nil},
		{"the stored form of everybody", map[string]any{"type": "mesh"}, own + ",admin,bob,bob's command,carol", "mesh"},
		{"a member by name", map[string]any{"peers": []string{"bob"}}, own + ",bob,bob's command", map[string]any{"peers": []string{bob.id}}},
		{"members by id and key, one of them twice", map[string]any{"type": "peers", "allow": []string{bob.id, bob.pub(), carol.pub()}}, own + ",bob,bob's command,carol", map[string]any{"peers": []string{bob.id, carol.id}}},
		{"a group", map[string]any{"group": "@eng"}, own + ",bob,bob's command", map[string]any{"group": "eng"}},
		{"a group whose name begins like another", map[string]any{"group": "engine"}, own + ",carol", nil},
		{"groups", map[string]any{"groups": []string{"eng/web", "engine"}}, own + ",bob,bob's command,carol", nil},
		{"a deeper group", map[string]any{"group": "eng/web/css"}, own, nil},
		{"a role", map[string]any{"role": "lead"}, own + ",bob,bob's command", nil},
	} {
		res := a.ask("mcp_scope_result", map[string]any{"type": "mcp_scope", "server_name": "s", "scope": c.scope})
		if want := c.want; want == nil && !equalJSON(res["scope"], c.scope) || want != nil && !equalJSON(res["scope"], want) {
			t.Errorf("%s is told as %v", c.name, res["scope"])
		}
		for who, p := range peers {
			res := p.told(p.callTool("s", "echo"))
			if may := slices.Contains(strings.Split(c.may, ","), who); may != (res["result"] != nil) {
				t.Errorf("%s: %s gets %v", c.name, who, res)
			}
		}
	}
}

// Names are chosen by their members, so a scope holds on to who had one when
// it was set.
func TestAScopeIsOfMembersNotOfNames(t *testing.T) {
	t.Parallel()
	b, f := withServices(t)
	bob := b.join("bob")
	a := b.join("alice").modern("a")
	a.deployed(f, deploy("s", "scope", map[string]any{"peers": []string{"bob"}}))
	mallory := b.connect(b.join("mallory").hello("m", func(h *wire.Hello) { h.DisplayName = "bob" }))
	if text := mallory.callError("s", "echo"); text != `MCP server "s" not found in the mesh` {
		t.Error("who calls itself bob is told:", text)
	}
	for _, name := range []string{"mallory's other name", "bob2"} {
		b.call("PATCH", "/mesh/"+b.mesh+"/member/"+bob.id, b.owner, wire.MemberPatch{DisplayName: &name})
		if e := bob.modern(name).catalog(); len(e) != 1 {
			t.Errorf("bob as %s has %v", name, e)
		}
	}
	b.join("twin")
	b.join("twin")
	for name, says := range map[string]string{"bob": "no member", "twin": "several members"} {
		res := a.askAny(map[string]any{"type": "mcp_scope", "server_name": "s", "scope": map[string]any{"peers": []string{name}}})
		if text, _ := res["message"].(string); res["code"] != "bad_request" || !strings.Contains(text, says) {
			t.Errorf("%s: %v", name, res)
		}
	}
}

func TestWhoGainsAndLosesAServiceHearsOfIt(t *testing.T) {
	t.Parallel()
	b, f := withServices(t)
	a, bob, carol := b.join("alice").modern("a"), b.join("bob").modern("b"), b.join("carol").modern("c")
	set := func(scope any) {
		t.Helper()
		a.ask("mcp_scope_result", map[string]any{"type": "mcp_scope", "server_name": "s", "scope": scope})
	}
	group := func(p *testPeer, verb, name string) {
		t.Helper()
		p.ask("ack", map[string]any{"type": verb, "name": name})
	}
	a.deployed(f, deploy("s"))
	a.wantNews("mcp_deployed s")
	for _, step := range []struct {
		name             string
		do               func()
		alice, bob, cora []string
	}{
		{"a group is let in that bob is in", func() { group(bob, "join_group", "eng/web"); set(map[string]any{"group": "eng"}) }, []string{"mcp_scope_changed s"}, []string{"mcp_deployed s"}, nil},
		{"carol joins it", func() { group(carol, "join_group", "eng") }, nil, nil, []string{"mcp_deployed s"}},
		{"carol joins a deeper one and leaves the first", func() { group(carol, "join_group", "eng/x"); group(carol, "leave_group", "eng") }, nil, nil, nil},
		{"carol leaves the last", func() { group(carol, "leave_group", "eng/x") }, nil, nil, []string{"mcp_undeployed s"}},
		{"everybody is let in", func() { set("mesh") }, []string{"mcp_scope_changed s"}, []string{"mcp_scope_changed s"}, []string{"mcp_deployed s"}},
		{"it is restarted", func() {
			f.of(b).changed(runner.Event{Name: "s", Status: runner.Restarting, Cause: runner.ByRestart, Restarts: 1})
			f.of(b).changed(runner.Event{Name: "s", Status: runner.Running, Cause: runner.ByRestart, Restarts: 1, Tools: echoTools})
		}, nil, nil, nil},
		{"it is deployed anew for the deployer alone", func() { a.deployed(f, deploy("s")) }, []string{"mcp_deployed s"}, []string{"mcp_undeployed s"}, []string{"mcp_undeployed s"}},
	} {
		step.do()
		for _, who := range []struct {
			name string
			p    *testPeer
			want []string
		}{{"alice", a, step.alice}, {"bob", bob, step.bob}, {"carol", carol, step.cora}} {
			if got := who.p.serviceNews(); !slices.Equal(got, who.want) {
				t.Errorf("%s: %s is told of %q, want %q", step.name, who.name, got, who.want)
			}
		}
	}
}

func TestWhoComesWhileAServiceRestartsHearsWhenItIsBack(t *testing.T) {
	t.Parallel()
	b, f := withServices(t)
	a := b.join("alice").modern("a")
	a.deployed(f, deploy("s", "scope", "mesh"))
	r := f.of(b)
	r.changed(runner.Event{Name: "s", Status: runner.Restarting, Cause: runner.ByRestart, Restarts: 1})
	late := b.join("bob").modern("b")
	if list := late.ack["services"].([]any); len(list) != 0 {
		t.Errorf("hello_ack has %v", list)
	}
	r.changed(runner.Event{Name: "s", Status: runner.Running, Cause: runner.ByRestart, Restarts: 1, Tools: echoTools})
	late.wantNews("mcp_deployed s")
	a.wantNews("mcp_deployed s") // of the deployment
}

func TestAHelloCarriesNoMoreToolsThanAFrame(t *testing.T) {
	t.Parallel()
	b, f := withServices(t)
	a := b.join("alice").modern("a")
	big := []wire.MCPTool{{Name: "big", InputSchema: wire.Value(`{"type":"object","description":"` + strings.Repeat("x", wire.MaxServerBytes-200) + `"}`)}}
	const services = 8
	for i := range services {
		a.deployed(f, deploy(fmt.Sprint("s", i), "scope", "mesh"), big...)
	}
	p := b.join("bob").modern("b")
	list := p.ack["services"].([]any)
	whole := 0
	for _, e := range list {
		e := e.(map[string]any)
		if tools := e["tools"].([]any); len(tools) == 1 {
			whole++
		} else if e["cut"] != true {
			t.Errorf("%v has no tools and does not say so", e["name"])
		}
	}
	if len(list) != services || whole == 0 || whole == services {
		t.Errorf("%d services, %d of them whole", len(list), whole)
	}
	if tools := p.ask("mcp_schema_result", map[string]any{"type": "mcp_schema", "server_name": "s7"})["tools"].([]any); len(tools) != 1 {
		t.Errorf("mcp_schema has %d tools", len(tools))
	}
}

func TestTheServicesOfARevokedMemberEnd(t *testing.T) {
	t.Parallel()
	b, f := withServices(t)
	alice := b.join("alice")
	alice.modern("a").deployed(f, deploy("hers", "scope", "mesh"))
	p := b.join("bob").modern("b")
	b.call("DELETE", "/mesh/"+b.mesh+"/member/"+alice.id, b.owner, nil)
	f.of(b).waitFor(t, "remove hers")
	if e := p.event("mcp_undeployed"); e["name"] != "hers" {
		t.Errorf("told %v", e)
	}
	p.deployed(f, deploy("hers")) // the name is free
}

// Two meshes of one broker have services of one name, which know nothing of
// each other.
func TestServicesOfTwoMeshesAreApart(t *testing.T) {
	t.Parallel()
	b, f := withServices(t)
	two := b.anotherMesh()
	first, second := b.join("alice").modern("a"), two.join("bob").modern("b")
	first.deployed(f, deploy("s", "scope", "mesh"))
	second.deployed(f, deploy("s", "scope", "mesh"))
	for _, c := range []struct {
		p *testPeer
		b *testBroker
	}{{first, b}, {second, two}} {
		mesh := c.b.mesh
		f.of(c.b).call = func(context.Context, string, string, wire.Value) (wire.Value, error) {
			return wire.Value(fmt.Sprintf(`{"structuredContent":%q}`, mesh)), nil
		}
		if res := c.p.told(c.p.callTool("s", "echo"))["result"].(map[string]any); res["structuredContent"] != mesh {
			t.Errorf("a call went to %v", res)
		}
	}
	first.news()
	second.news()
	second.status(second.asked(map[string]any{"type": "mcp_undeploy", "server_name": "s"}), "stopped")
	first.wantNews()
	if e := first.catalog()["s"]; e["status"] != "running" {
		t.Errorf("listed as %v", e)
	}
}

// Who may do what with services: the rows of the table in docs/SECURITY.md.
func TestWhoMayDoWhatWithServices(t *testing.T) {
	t.Parallel()
	b, f := withServices(t)
	owner := b.join("owner")
	o := owner.modern("o")
	in, out := b.join("in"), b.join("out")
	peers := map[string]*testPeer{
		"owner": owner.modern("again"), "owner's command": owner.command(false), "admin": b.joinAs("admin", "admin").modern("x"),
		"in scope": in.modern("i"), "in scope, by a command": in.command(false), "out of scope": out.modern("u"), "out of scope, by a command": out.command(false),
		"out of scope, of an old client": b.join("old").old("l"),
	}
	scope := map[string]any{"peers": []string{"in"}}
	const owning, using = "owner,owner's command,admin", "owner,owner's command,in scope,in scope, by a command"
	deployS := func() {
		t.Helper()
		o.deployed(f, deploy("s", "scope", scope))
	}
	deployS()
	r := f.of(b)
	r.call = func(context.Context, string, string, wire.Value) (wire.Value, error) { return wire.Value(`{}`), nil }
	for _, c := range []struct {
		name  string
		frame func() map[string]any
		may   func(who string) bool
	}{
		{"read the schema", func() map[string]any { return map[string]any{"type": "mcp_schema", "server_name": "s"} }, whoIn(using + ",admin")},
		{"read the scope", func() map[string]any { return map[string]any{"type": "mcp_scope", "server_name": "s"} }, whoIn(using + ",admin")},
		{"set the scope", func() map[string]any { return map[string]any{"type": "mcp_scope", "server_name": "s", "scope": scope} }, whoIn(owning)},
		{"read the log", func() map[string]any { return map[string]any{"type": "mcp_logs", "server_name": "s"} }, whoIn(owning)},
		{"update", func() map[string]any { return map[string]any{"type": "mcp_update", "server_name": "s"} }, whoIn(owning)},
		{"undeploy", func() map[string]any { return map[string]any{"type": "mcp_undeploy", "server_name": "s"} }, whoIn(owning)},
		{"deploy over", func() map[string]any { return deploy("s", "scope", scope) }, whoIn("owner,owner's command")},
	} {
		for who, p := range peers {
			res := p.askAny(c.frame())
			want := ""
			if !c.may(who) {
				want = "forbidden"
				if strings.HasPrefix(who, "out of scope") && c.name != "deploy over" {
					want = "not_found"
				}
			}
			if code, _ := res["code"].(string); code != want {
				t.Errorf("%s by %s: %v, want %q", c.name, who, res, want)
			}
			// As before: it runs, and is its owner's.
			switch {
			case want != "":
			case c.name == "update":
				r.changed(runner.Event{Name: "s", Status: runner.Running, Cause: runner.ByUpdate, Tools: echoTools})
			case c.name == "deploy over":
				r.waitFor(t, "deploy s")
				r.changed(runner.Event{Name: "s", Status: runner.Running, Cause: runner.ByDeploy, Tools: echoTools})
			case c.name == "undeploy":
				deployS()
			}
		}
	}
	for who, p := range peers {
		if res := p.told(p.callTool("s", "echo")); whoIn(using)(who) != (res["result"] != nil) {
			t.Errorf("a call by %s: %v", who, res)
		}
		if _, listed := p.catalog()["s"]; listed != whoIn(using+",admin")(who) {
			t.Errorf("the catalog of %s has it: %v", who, listed)
		}
	}
}

// whoIn reports whether somebody is in a list, whose entries may have commas.
func whoIn(list string) func(string) bool {
	return func(who string) bool { return strings.Contains(","+list+",", ","+who+",") }
}
