package broker

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

func server(name string, more ...any) map[string]any {
	f := map[string]any{"type": "mcp_register", "serverName": name, "description": "about " + name,
		"tools": []any{map[string]any{"name": "echo", "description": "says it again", "inputSchema": map[string]any{"type": "object"}}}}
	for i := 0; i < len(more); i += 2 {
		f[more[i].(string)] = more[i+1]
	}
	return f
}

// servers returns the entries of mcp_list by name.
func (p *testPeer) servers() map[string]map[string]any {
	p.t.Helper()
	all := make(map[string]map[string]any)
	for _, s := range p.ask("mcp_list_result", map[string]any{"type": "mcp_list"})["servers"].([]any) {
		s := s.(map[string]any)
		all[s["name"].(string)] = s
	}
	return all
}

// callTool asks for a call without waiting for it, and returns the _reqId.
func (p *testPeer) callTool(server, tool string) string {
	p.t.Helper()
	p.n++
	id := fmt.Sprintf("c%d", p.n)
	p.say(map[string]any{"type": "mcp_call", "_reqId": id, "serverName": server, "toolName": tool, "args": map[string]any{"text": "hi"}})
	return id
}

// callError calls a tool and returns the error of the answer.
func (p *testPeer) callError(server, tool string) string {
	p.t.Helper()
	f := p.told(p.callTool(server, tool))
	text, _ := f["error"].(string)
	if f["type"] != "mcp_call_result" || text == "" || f["result"] != nil {
		p.t.Fatalf("answered by %v", f)
	}
	return text
}

func TestACallGoesToTheHostAndItsWholeResultBack(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	bob := b.join("bob")
	a, host, other := b.join("alice").modern("a"), bob.old("h"), b.join("carol").modern("c")
	ack := host.ask("mcp_register_ack", server("db"))
	if ack["serverName"] != "db" || ack["toolCount"] != 1.0 {
		t.Errorf("ack %v", ack)
	}
	want := map[string]any{"serverName": "db", "description": "about db", "tools": []any{"echo"}, "hostedBy": "bob"}
	if e := a.event("mcp_registered"); !equalJSON(e, want) {
		t.Errorf("event %v", e)
	}
	host.noEvent("mcp_registered")
	host.ask("mcp_register_ack", server("db")) // as after a lost connection
	a.noEvent("mcp_registered")
	entry := a.servers()["db"]
	if entry["hostedBy"] != "bob" || entry["online"] != true || entry["memberPubkey"] != bob.pub() || entry["offlineSince"] != nil ||
		!equalJSON(entry["tools"], []any{map[string]any{"name": "echo", "description": "says it again"}}) {
		t.Errorf("listed as %v", entry)
	}
	whole := a.ask("mcp_list_result", map[string]any{"type": "mcp_list", "serverName": "db"})["servers"].([]any)[0].(map[string]any)
	if !equalJSON(whole["tools"].([]any)[0].(map[string]any)["inputSchema"], map[string]any{"type": "object"}) {
		t.Errorf("in full %v", whole)
	}
	if info := a.ask("mesh_info_result", map[string]any{"type": "mesh_info"}); !equalJSON(info["services"], []any{"db"}) {
		t.Errorf("mesh_info has %v", info["services"])
	}

	id := a.callTool("db", "echo")
	asked := host.expect("mcp_call_forward")
	if asked["serverName"] != "db" || asked["toolName"] != "echo" || !equalJSON(asked["args"], map[string]any{"text": "hi"}) || asked["callerName"] != "alice" || asked["callerPubkey"] != a.key {
		t.Fatalf("forwarded %v", asked)
	}
	result := map[string]any{"content": []any{map[string]any{"type": "image", "data": "aGk=", "mimeType": "image/png"}}, "structuredContent": map[string]any{"n": 1.0}, "isError": true, "_meta": map[string]any{"x": "<&>"}}
	answer := map[string]any{"type": "mcp_call_response", "callId": asked["callId"], "result": result}
	other.say(answer) // who was not asked
	other.quiet()
	a.quiet()
	host.say(answer)
	if got := a.told(id); got["type"] != "mcp_call_result" || !equalJSON(got["result"], result) || got["error"] != nil {
		t.Errorf("the result came as %v", got)
	}
	host.say(answer) // again
	host.quiet()
	a.quiet()

	id = a.callTool("db", "echo")
	host.say(map[string]any{"type": "mcp_call_response", "callId": host.expectAny("mcp_call_forward")["callId"]})
	if got := a.told(id); got["type"] != "mcp_call_result" || got["result"] != nil || got["error"] != nil {
		t.Errorf("neither result nor error came as %v", got)
	}
	host.ask("ack", map[string]any{"type": "mcp_unregister", "serverName": "db"})
	if e := a.event("mcp_unregistered"); !equalJSON(e, map[string]any{"serverName": "db", "tools": []any{"echo"}, "hostedBy": "bob"}) {
		t.Errorf("event %v", e)
	}
	if text := a.callError("db", "echo"); text != `MCP server "db" not found in the mesh` {
		t.Error(text)
	}
}

func TestWhatIsNoServerIsNotRegistered(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	a := b.join("alice").modern("a")
	tool := func(name string, schema any) map[string]any {
		return map[string]any{"name": name, "description": "", "inputSchema": schema}
	}
	object := map[string]any{"type": "object"}
	many := make([]any, wire.MaxServerTools+1)
	for i := range many {
		many[i] = tool(fmt.Sprint("t", i), object)
	}
	for _, c := range []struct {
		name string
		f    map[string]any
		code string
	}{
		{"no name", server(""), "bad_request"},
		{"a name with a blank", server("a b"), "bad_request"},
		{"a name that begins with a hyphen", server("-a"), "bad_request"},
		{"a long name", server(strings.Repeat("a", 65)), "bad_request"},
		{"a long description", server("x", "description", strings.Repeat("d", wire.MaxServerText+1)), "too_large"},
		{"no tools", server("x", "tools", nil), "bad_request"},
		{"tools that are no list", server("x", "tools", "echo"), "bad_request"},
		{"a tool without a name", server("x", "tools", []any{tool("", object)}), "bad_request"},
		{"a schema that is no object", server("x", "tools", []any{tool("t", "string")}), "bad_request"},
		{"no schema", server("x", "tools", []any{map[string]any{"name": "t"}}), "bad_request"},
		{"two tools of one name", server("x", "tools", []any{tool("t", object), tool("t", object)}), "bad_request"},
		{"too many tools", server("x", "tools", many), "too_large"},
		{"definitions that are too large", server("x", "tools", []any{tool("t", map[string]any{"x": strings.Repeat("x", wire.MaxServerBytes)})}), "too_large"},
	} {
		if f := a.askAny(c.f); f["type"] != "error" || f["code"] != c.code {
			t.Errorf("%s: %.300v", c.name, f)
		}
	}
	for i := range wire.MaxOwnServers {
		a.ask("mcp_register_ack", server(fmt.Sprint("s", i)))
	}
	if f := a.askAny(server("one-more")); f["code"] != "limit" {
		t.Error("one too many:", f)
	}
	a.ask("mcp_register_ack", server("s0", "description", "anew"))
	for _, args := range []any{"text", []any{}, 1} {
		if f := a.askAny(map[string]any{"type": "mcp_call", "serverName": "s0", "toolName": "echo", "args": args}); f["type"] != "mcp_call_result" || f["error"] == nil {
			t.Errorf("args %v: %v", args, f)
		}
	}
	if f := a.askAny(map[string]any{"type": "mcp_call", "serverName": "s0", "toolName": ""}); f["type"] != "mcp_call_result" || f["error"] == nil {
		t.Errorf("no tool: %v", f)
	}
}

func TestCallsOfAHostThatGoesFailAtOnce(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	a, host := b.join("alice").modern("a"), b.join("bob").modern("h")
	host.ask("mcp_register_ack", server("db"))
	id := a.callTool("db", "echo")
	host.expect("mcp_call_forward")
	host.drop()
	if text, _ := a.told(id)["error"].(string); !strings.Contains(text, "bob, disconnected") {
		t.Error(text)
	}
	if text := a.callError("db", "echo"); !strings.Contains(text, "offline") || !strings.Contains(text, "s ago") || !strings.Contains(text, "bob") {
		t.Error(text)
	}
}

func TestTooManyCallsAtOnceAreRefused(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	a, host := b.join("alice").modern("a"), b.join("bob").modern("h")
	host.ask("mcp_register_ack", server("db"))
	for range maxRelaysFrom {
		a.callTool("db", "echo")
	}
	if text := a.callError("db", "echo"); !strings.Contains(text, "wait for one of them") {
		t.Error(text)
	}
}

func TestAServerThatNeverAnswersTimesOut(t *testing.T) {
	inBubble(t, func(t *testing.T, b *testBroker) {
		a, host := b.join("alice").modern("a"), b.join("bob").modern("h")
		host.ask("mcp_register_ack", server("db"))
		id := a.callTool("db", "echo")
		asked := host.expect("mcp_call_forward")
		began := time.Now()
		if got := a.told(id); got["error"] != "MCP call timed out (30s)" || time.Since(began) != wire.CallDeadline {
			t.Errorf("%v after %s", got, time.Since(began))
		}
		host.say(map[string]any{"type": "mcp_call_response", "callId": asked["callId"], "result": 1})
		host.quiet()
		a.quiet()
	})
}

func TestServersGoWithThePresenceOfTheirHost(t *testing.T) {
	inBubble(t, func(t *testing.T, b *testBroker) {
		bob := b.join("bob")
		key := must(seal.Generate())
		a, host := b.join("alice").modern("a"), b.connect(bob.keyed(bob.hello("h"), key))
		host.ask("mcp_register_ack", server("live"))
		host.ask("mcp_register_ack", server("kept", "persistent", true))
		a.news()

		host.drop() // and back within the grace: no news
		synctest.Wait()
		if s := a.servers()["live"]; s["online"] != false || s["offlineSince"] == nil {
			t.Errorf("in the grace it is listed as %v", s)
		}
		host = b.connect(bob.keyed(bob.hello("h"), key))
		if s := a.servers()["live"]; s["online"] != true {
			t.Errorf("after a return it is listed as %v", s)
		}
		a.noEvent("mcp_unregistered", "mcp_offline", "mcp_restored", "mcp_registered")

		host.drop()
		pass(wire.Grace + time.Second)
		if e := a.event("mcp_offline"); e["serverName"] != "kept" || !equalJSON(e["tools"], []any{"echo"}) {
			t.Errorf("event %v", e)
		}
		if e := a.event("mcp_unregistered"); e["serverName"] != "live" {
			t.Errorf("event %v", e)
		}
		pass(2 * time.Hour)
		all := a.servers()
		if len(all) != 1 || all["kept"]["online"] != false || all["kept"]["offlineSince"] == nil || all["kept"]["hostedBy"] != "bob" {
			t.Errorf("listed %v", all)
		}
		if text := a.callError("kept", "echo"); !strings.Contains(text, "2h ago") || !strings.Contains(text, "bob") {
			t.Error(text)
		}

		command := bob.command(false)
		if s := a.servers()["kept"]; s["online"] != false {
			t.Errorf("a command hosts it: %v", s)
		}
		command.leave()
		host = b.connect(bob.hello("other", func(h *wire.Hello) { h.DisplayName = "bob-2" }))
		for _, p := range []*testPeer{a, host} {
			if e := p.event("mcp_restored"); e["serverName"] != "kept" || e["hostedBy"] != "bob-2" {
				t.Errorf("event %v", e)
			}
		}
		id := a.callTool("kept", "echo")
		host.say(map[string]any{"type": "mcp_call_response", "callId": host.expect("mcp_call_forward")["callId"], "result": 1})
		if got := a.told(id); got["result"] != 1.0 {
			t.Errorf("answered by %v", got)
		}

		host.leave()
		a.leave() // with nobody there a month is over soon
		pass(wire.MaxServerAway + time.Hour)
		if all := b.join("carol").modern("c").servers(); len(all) != 0 {
			t.Errorf("after a month there are %v", all)
		}
	})
}

func TestServersSurviveARestart(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice, bob := b.join("alice"), b.join("bob")
	key := must(seal.Generate())
	host := b.connect(bob.keyed(bob.hello("h"), key))
	host.ask("mcp_register_ack", server("live"))
	host.ask("mcp_register_ack", server("kept", "persistent", true))
	b.restart()
	a := alice.modern("a")
	for _, name := range []string{"live", "kept"} {
		if s := a.servers()[name]; s["online"] != false || s["offlineSince"] == nil {
			t.Errorf("%s after the restart: %v", name, s)
		}
	}
	host = b.connect(bob.keyed(bob.hello("h"), key))
	for _, name := range []string{"live", "kept"} {
		id := a.callTool(name, "echo")
		host.say(map[string]any{"type": "mcp_call_response", "callId": host.expect("mcp_call_forward")["callId"], "result": name})
		if got := a.told(id); got["result"] != name {
			t.Errorf("answered by %v", got)
		}
	}
}

// Who may do what with tool servers: the rows of the table in docs/SECURITY.md.
func TestWhoMayDoWhatWithToolServers(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	owner := b.join("owner")
	host := owner.modern("host")
	other := b.join("other")
	peers := map[string]*testPeer{
		"admin": b.joinAs("admin", "admin").modern("a"), "owner": owner.modern("again"), "owner's command": owner.command(false),
		"member": b.join("member").modern("m"), "member of an old client": b.join("old").old("o"), "member's command": other.command(false),
	}
	const all = "admin,owner,owner's command,member,member of an old client,member's command"
	for _, c := range []struct {
		name, answer string
		frame        map[string]any
		may          string
	}{
		{"list", "mcp_list_result", map[string]any{"type": "mcp_list"}, all},
		{"call", "mcp_call_result", map[string]any{"type": "mcp_call", "serverName": "s", "toolName": "echo"}, all},
		{"register another", "mcp_register_ack", server("t"), "admin,owner,member,member of an old client"},
		{"replace", "mcp_register_ack", server("s", "description", "anew"), "owner"},
		{"remove", "ack", map[string]any{"type": "mcp_unregister", "serverName": "s"}, "admin,owner,owner's command"},
	} {
		for who, p := range peers {
			t.Run(c.name+" by "+who, func(t *testing.T) {
				host.ask("mcp_register_ack", server("s"))
				want := c.answer
				if !strings.Contains(","+c.may+",", ","+who+",") {
					want = "error"
				}
				if c.name == "call" {
					id := p.callTool("s", "echo")
					host.say(map[string]any{"type": "mcp_call_response", "callId": host.expectAny("mcp_call_forward")["callId"], "result": "r"})
					if f := p.told(id); f["result"] != "r" {
						t.Errorf("%v", f)
					}
					return
				}
				if f := p.askAny(c.frame); f["type"] != want || want == "error" && f["code"] != "forbidden" {
					t.Errorf("%v, want %s", f, want)
				}
				peers["admin"].askAny(map[string]any{"type": "mcp_unregister", "serverName": "t"})
			})
		}
	}
}

func TestARevokedMembersServersEnd(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	bob := b.join("bob")
	a, host := b.join("alice").modern("a"), bob.modern("h")
	host.ask("mcp_register_ack", server("kept", "persistent", true))
	host.ask("ack", map[string]any{"type": "leave_mesh"})
	if e := a.event("mcp_unregistered"); e["serverName"] != "kept" {
		t.Errorf("event %v", e)
	}
	if all := a.servers(); len(all) != 0 {
		t.Errorf("there are %v", all)
	}
}
