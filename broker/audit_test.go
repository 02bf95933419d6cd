package broker

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"claudemesh/seal"
	"claudemesh/store"
	"claudemesh/wire"
)

// audited returns the log, the oldest entry first.
func (p *testPeer) audited() []map[string]any {
	p.t.Helper()
	var all []map[string]any
	for after := 0; ; {
		page := p.ask("audit_result", map[string]any{"type": "audit_query", "after": after, "limit": 7})["entries"].([]any)
		for _, e := range page {
			all = append(all, e.(map[string]any))
			after = int(all[len(all)-1]["id"].(float64))
		}
		if len(page) == 0 {
			return all
		}
	}
}

func auditEvents(entries []map[string]any) []string {
	var events []string
	for _, e := range entries {
		events = append(events, e["eventType"].(string))
	}
	return events
}

func TestWhatHappensIsInTheAuditLog(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice, bob := b.joinAs("alice", "admin"), b.join("bob")
	a := alice.modern("a")
	key := bob.modern("b").key
	for _, c := range []struct{ answer, frame string }{
		{"ack", `{"type":"send","targetSpec":"` + key + `","priority":"next","nonce":"bm9uY2U=","ciphertext":"c2VjcmV0IHdvcmRz","id":"1"}`},
		{"ack", `{"type":"set_state","key":"sprint","value":"secret words"}`},
		{"ack", `{"type":"delete_state","key":"sprint"}`},
		{"memory_stored", `{"type":"remember","content":"secret words"}`},
		{"context_shared", `{"type":"share_context","summary":"secret words"}`},
		{"stream_created", `{"type":"create_stream","name":"logs"}`},
		{"ack", `{"type":"delete_stream","name":"logs"}`},
		{"skill_ack", `{"type":"share_skill","name":"review","description":"d","instructions":"secret words"}`},
		{"skill_ack", `{"type":"remove_skill","name":"review"}`},
		{"mcp_register_ack", `{"type":"mcp_register","serverName":"db","description":"secret words","tools":[]}`},
		{"ack", `{"type":"mcp_unregister","serverName":"db"}`},
		{"scheduled_ack", `{"type":"schedule","to":"` + key + `","message":"secret words","delay":3600000}`},
		{"ack", `{"type":"set_status","status":"idle"}`},
	} {
		var f map[string]any
		if err := json.Unmarshal([]byte(c.frame), &f); err != nil {
			t.Fatal(err)
		}
		a.ask(c.answer, f)
	}
	id := a.ask("task_created", map[string]any{"type": "create_task", "title": "secret words"})["id"]
	a.ask("task_list", map[string]any{"type": "claim_task", "taskId": id})
	a.ask("task_list", map[string]any{"type": "release_task", "taskId": id})
	a.ask("task_list", map[string]any{"type": "complete_task", "taskId": id, "result": "secret words"})
	a.ask("reservation_list", map[string]any{"type": "reserve", "repo": "r", "patterns": []string{"src/**"}})
	a.ask("reservation_list", map[string]any{"type": "release", "repo": "r"})
	a.ask("clock_status", map[string]any{"type": "set_clock", "speed": 2})
	for _, c := range []struct{ method, path, body string }{
		{"PATCH", "/member/" + bob.id, `{"roleTag":"secret words"}`}, {"PATCH", "/settings", `{"messageTtl":3600}`}, {"DELETE", "/member/" + bob.id, ""},
	} {
		var body any
		if c.body != "" {
			body = json.RawMessage(c.body)
		}
		if status, res := b.call(c.method, "/mesh/"+b.mesh+c.path, alice.key, body); status != 200 {
			t.Fatalf("%s %s: %d %v", c.method, c.path, status, res)
		}
	}
	entries := a.audited()
	got := auditEvents(entries)
	want := strings.Fields(`mesh_created invite_created member_joined invite_created member_joined peer_joined peer_joined message_sent
		state_set state_deleted memory_stored context_shared stream_created stream_deleted skill_shared skill_removed server_registered server_removed schedule_created
		task_created task_claimed task_released task_completed paths_reserved paths_released clock_set member_updated settings_changed member_revoked`)
	if !slices.Equal(got, want) {
		t.Errorf("the log has\n%v, want\n%v", got, want)
	}
	text := string(must(json.Marshal(entries)))
	if strings.Contains(text, "secret words") || strings.Contains(text, "c2VjcmV0") {
		t.Errorf("contents in the log:\n%s", text)
	}
	sent := entries[slices.Index(got, "message_sent")]
	if sent["actor"] != "alice" || sent["actorMemberId"] != alice.id || sent["payload"].(map[string]any)["targetSpec"] != key {
		t.Errorf("message_sent is %v", sent)
	}
	b.wantChain(a, entries)
}

// wantChain recomputes the chain as a client does, and has the broker do so.
func (b *testBroker) wantChain(p *testPeer, entries []map[string]any) {
	b.t.Helper()
	var at seal.AuditLink
	for _, e := range entries {
		payload := must(seal.CanonicalJSON(must(json.Marshal(e["payload"]))))
		actor, _ := e["actorMemberId"].(string)
		r := &seal.AuditRecord{Event: e["eventType"].(string), Actor: actor, Payload: payload, Created: must(time.Parse(time.RFC3339, e["createdAt"].(string)))}
		if e["prevHash"] != at.String() {
			b.t.Errorf("entry %v has prevHash %v, want %s", e["id"], e["prevHash"], at)
		}
		if at = r.Follow(at, b.mesh); e["hash"] != at.String() || e["id"] != float64(at.ID) {
			b.t.Fatalf("entry %v does not follow", e)
		}
	}
	res := p.ask("audit_verify_result", map[string]any{"type": "audit_verify"})
	if res["valid"] != true || res["entries"] != float64(len(entries)) || res["head"] != at.String() {
		b.t.Errorf("verify says %v", res)
	}
	c := res["checkpoint"].(map[string]any)
	when := must(time.Parse(time.RFC3339, c["createdAt"].(string))).UnixMilli()
	if !seal.VerifyCheckpoint(b.mesh, at.ID, at.String(), when, c["signer"].(string), c["signature"].(string)) {
		b.t.Errorf("the checkpoint %v is not signed", c)
	}
}

func TestAuditQueryPages(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	p := b.join("alice").modern("a")
	for _, key := range []string{"one", "two", "three"} {
		p.ask("ack", map[string]any{"type": "set_state", "key": key, "value": 1})
	}
	for _, c := range []struct {
		name, query string
		want        []string
		total       int
	}{
		{"newest first", `{"limit":2}`, []string{"three", "two"}, 7},
		{"after the newest", `{"limit":1,"offset":1}`, []string{"two"}, 7},
		{"limits are brought to the nearest", `{"limit":0}`, []string{"three"}, 7},
		{"one event", `{"eventType":"state_set","limit":9000}`, []string{"three", "two", "one"}, 3},
		{"one event, later ones left out", `{"eventType":"state_set","offset":2}`, []string{"one"}, 3},
		{"an event that never was", `{"eventType":"vault_changed"}`, []string{}, 0},
		{"beyond the end", `{"offset":100}`, []string{}, 7},
		{"before the beginning", `{"offset":-5,"limit":1}`, []string{"three"}, 7},
		{"oldest first", `{"after":5}`, []string{"two", "three"}, 7},
	} {
		f := map[string]any{"type": "audit_query"}
		if err := json.Unmarshal([]byte(c.query), &f); err != nil {
			t.Fatal(err)
		}
		res := p.ask("audit_result", f)
		got := []string{}
		for _, e := range res["entries"].([]any) {
			key, _ := e.(map[string]any)["payload"].(map[string]any)["key"].(string)
			got = append(got, key)
		}
		if !slices.Equal(got, c.want) || res["total"] != float64(c.total) || res["head"] == "" {
			t.Errorf("%s: %v of %v, want %v of %d", c.name, got, res["total"], c.want, c.total)
		}
	}
}

// A session that returns in its grace, over a restart too, is no event.
func TestPresenceIsAuditedOnce(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice := b.join("alice")
	session := must(seal.Generate())
	b.connect(alice.keyed(alice.hello("s"), session))
	b.connect(alice.keyed(alice.hello("s"), session))
	b.restart()
	p := b.connect(alice.keyed(alice.hello("s"), session))
	b.connect(alice.keyed(alice.hello("c", func(h *wire.Hello) { h.Transient = true }), must(seal.Generate())))
	got := auditEvents(p.audited())
	if want := strings.Fields("mesh_created invite_created member_joined peer_joined"); !slices.Equal(got, want) {
		t.Errorf("the log has %v, want %v", got, want)
	}
}

// A write that fails leaves no entry, and the chain goes on from the one before.
func TestWhatWasUndoneIsNotAudited(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	p := b.join("alice").modern("a")
	m := b.srv.meshByID(b.mesh)
	for range 3 {
		err := m.db.Write(t.Context(), func(tx *store.Tx) error {
			if err := m.audit(tx, actor{}, "undone", nil); err != nil {
				return err
			}
			return wire.Errorf(wire.Conflict, "no")
		})
		if err == nil {
			t.Fatal("the write took effect")
		}
		p.ask("ack", map[string]any{"type": "set_state", "key": "k", "value": 1})
	}
	entries := p.audited()
	if slices.Contains(auditEvents(entries), "undone") {
		t.Error("what was undone is in the log")
	}
	b.wantChain(p, entries)
}

// The oldest entries are pruned, and the log says so and verifies from there on.
func TestALongLogIsPruned(t *testing.T) {
	t.Parallel()
	b := newBroker(t, func(c *Config) { c.AuditKeep = 20 })
	p := b.join("alice").modern("a")
	for range 30 {
		p.ask("ack", map[string]any{"type": "set_state", "key": "k", "value": 1})
	}
	m := b.srv.meshByID(b.mesh)
	if err := m.sweepAudit(time.Now()); err != nil {
		t.Fatal(err)
	}
	p.ask("ack", map[string]any{"type": "set_state", "key": "k", "value": 2})
	for range 2 {
		res := p.ask("audit_verify_result", map[string]any{"type": "audit_verify"})
		base := res["base"].(map[string]any)
		if n := int(res["entries"].(float64)); res["valid"] != true || n < 18 || n > 26 || res["headId"].(float64) != base["id"].(float64)+float64(n) {
			t.Errorf("verify says %v", res)
		}
		entries := p.audited()
		if entries[0]["prevHash"] != base["hash"] || !slices.Contains(auditEvents(entries), "audit_pruned") {
			t.Errorf("the log begins with %v, after %v", entries[0], base)
		}
		b.restart()
		p = b.join("bob").modern("b")
	}
}
