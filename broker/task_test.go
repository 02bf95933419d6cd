package broker

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"claudemesh/seal"
	"claudemesh/store"
	"claudemesh/wire"
)

// newTask creates a task and returns its id.
func (p *testPeer) newTask(title string, more ...any) string {
	p.t.Helper()
	f := map[string]any{"type": "create_task", "title": title}
	for i := 0; i < len(more); i += 2 {
		f[more[i].(string)] = more[i+1]
	}
	return p.ask("task_created", f)["id"].(string)
}

// tasks asks for a list and returns it.
func (p *testPeer) tasks(fields map[string]any) []map[string]any {
	p.t.Helper()
	var all []map[string]any
	for _, e := range p.ask("task_list", fields)["tasks"].([]any) {
		all = append(all, e.(map[string]any))
	}
	return all
}

// task returns one task as the board has it.
func (p *testPeer) task(id string) map[string]any {
	p.t.Helper()
	return p.tasks(map[string]any{"type": "list_tasks", "taskId": id})[0]
}

// refusedWith asks and expects an error with that code.
func (p *testPeer) refusedWith(code wire.Code, fields map[string]any) map[string]any {
	p.t.Helper()
	e := p.ask("error", fields)
	if e["code"] != string(code) {
		p.t.Errorf("%v: %v, want %s", fields, e, code)
	}
	return e
}

func titles(tasks []map[string]any) string {
	var all []string
	for _, task := range tasks {
		all = append(all, task["title"].(string))
	}
	return strings.Join(all, " ")
}

func TestTheLifeOfATask(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	a, p := b.join("alice").old("a"), b.join("bob").old("b")
	id := a.newTask("one", "assignee", "nobody we know", "tags", []string{"x"})
	second := a.newTask("two", "priority", "urgent")
	list := map[string]any{"type": "list_tasks"}
	if got := p.tasks(list); titles(got) != "two one" || got[1]["assignee"] != "nobody we know" || got[1]["claimedBy"] != nil ||
		got[1]["createdBy"] != "alice" || got[1]["status"] != "open" || got[1]["priority"] != "normal" || !equalJSON(got[1]["tags"], []any{"x"}) || got[0]["assignee"] != nil {
		t.Errorf("%v", got)
	}
	if got := p.tasks(map[string]any{"type": "claim_task", "taskId": id}); titles(got) != "two one" || got[1]["claimedBy"] != "bob" || got[1]["claimedAt"] == nil {
		t.Errorf("claimed: %v", got)
	}
	for _, peer := range []*testPeer{a, p} {
		peer.refusedWith(wire.TaskNotClaimable, map[string]any{"type": "claim_task", "taskId": id})
	}
	p.refusedWith(wire.TaskNotClaimable, map[string]any{"type": "claim_task", "taskId": "none"})
	p.refusedWith(wire.TaskNotFound, map[string]any{"type": "complete_task", "taskId": "none"})
	p.refusedWith(wire.TaskNotFound, map[string]any{"type": "release_task", "taskId": "none"})
	if got := a.tasks(map[string]any{"type": "complete_task", "taskId": id, "result": "done by alice"}); got[1]["status"] != "done" {
		t.Errorf("completed: %v", got)
	}
	p.tasks(map[string]any{"type": "complete_task", "taskId": id, "result": "overwritten"})
	p.refusedWith(wire.Conflict, map[string]any{"type": "complete_task", "taskId": id, "result": "overwritten", "brief": true})
	if got := p.tasks(map[string]any{"type": "complete_task", "taskId": id, "result": "done by alice", "brief": true}); len(got) != 1 {
		t.Errorf("completed once more with the same result: %v", got)
	}
	if got := p.task(id); got["result"] != "done by alice" || got["completedBy"] != "alice" || got["claimedBy"] != "bob" || got["completedAt"] == nil {
		t.Errorf("%v", got)
	}
	p.refusedWith(wire.TaskNotClaimable, map[string]any{"type": "claim_task", "taskId": id})
	p.refusedWith(wire.Conflict, map[string]any{"type": "release_task", "taskId": id})
	for status, want := range map[string]string{"open": "two", "claimed": "", "done": "one", "completed": "one", "": "two one"} {
		if got := p.tasks(map[string]any{"type": "list_tasks", "status": status}); titles(got) != want {
			t.Errorf("%q: %v", status, got)
		}
	}
	p.tasks(map[string]any{"type": "claim_task", "taskId": second})
	if got := p.tasks(map[string]any{"type": "release_task", "taskId": second, "brief": true}); len(got) != 1 || got[0]["status"] != "open" || got[0]["claimedBy"] != nil {
		t.Errorf("released: %v", got)
	}
	if info := a.ask("mesh_info_result", map[string]any{"type": "mesh_info"}); !equalJSON(info["tasks"], map[string]any{"open": 1, "claimed": 0, "done": 1}) {
		t.Errorf("mesh_info: %v", info["tasks"])
	}
	b.restart()
	if got := b.join("carol").modern("c").task(id); got["result"] != "done by alice" {
		t.Errorf("after a restart: %v", got)
	}
}

func TestTasksThatAreRefused(t *testing.T) {
	t.Parallel()
	p := newBroker(t).join("alice").modern("a")
	long := strings.Repeat("x", 2000)
	for _, c := range []struct {
		code   wire.Code
		fields map[string]any
	}{
		{wire.BadRequest, map[string]any{"type": "create_task"}},
		{wire.TooLarge, map[string]any{"type": "create_task", "title": long}},
		{wire.BadRequest, map[string]any{"type": "create_task", "title": " \n"}},
		{wire.BadRequest, map[string]any{"type": "create_task", "title": "t", "priority": long}},
		{wire.BadRequest, map[string]any{"type": "create_task", "title": "t", "assignee": long}},
		{wire.BadRequest, map[string]any{"type": "create_task", "title": "t", "tags": []string{""}}},
		{wire.TooLarge, map[string]any{"type": "create_task", "title": "t", "tags": strings.Split(long[:200], "x")}},
		{wire.BadRequest, map[string]any{"type": "create_task", "title": "t", "tags": "x"}},
		{wire.InvalidTarget, map[string]any{"type": "create_task", "title": "t", "assignee": "#x"}},
		{wire.UnknownRecipient, map[string]any{"type": "create_task", "title": "t", "assignee": "nobody"}},
		{wire.BadRequest, map[string]any{"type": "list_tasks", "status": "lost"}},
		{wire.TooLarge, map[string]any{"type": "complete_task", "taskId": "x", "result": strings.Repeat("x", wire.MaxTaskResult+1)}},
	} {
		p.refusedWith(c.code, c.fields)
	}
	if got := p.tasks(map[string]any{"type": "list_tasks"}); len(got) > 0 {
		t.Errorf("%v", got)
	}
}

func TestTheLargestListOfTasksFitsAFrame(t *testing.T) {
	t.Parallel()
	b := newBroker(t, func(c *Config) { c.MaxFrame = wire.MaxFrameBytes })
	p := b.join("alice").modern("a")
	// What is longest once it is encoded.
	text := func(n int) string { return strings.Repeat("<", n) }
	var tags []string
	for range wire.MaxTaskTags {
		tags = append(tags, text(wire.MaxTaskTag))
	}
	var id string
	for range wire.MaxTaskList {
		id = p.newTask(text(wire.MaxTaskTitle), "priority", text(wire.MaxTaskPriority), "tags", tags)
		p.tasks(map[string]any{"type": "complete_task", "taskId": id, "result": text(wire.MaxTaskResult), "brief": true})
	}
	answer := p.ask("task_list", map[string]any{"type": "list_tasks"})
	if n := len(must(json.Marshal(answer))); n > wire.MaxFrameBytes {
		t.Errorf("%d bytes", n)
	}
	all := answer["tasks"].([]any)
	newest := all[0].(map[string]any)
	if len(all) != wire.MaxTaskList || newest["resultCut"] != true || len(newest["result"].(string)) != wire.MaxListedResult {
		t.Errorf("%d tasks, the newest %v", len(all), newest)
	}
	if got := p.task(id); len(got["result"].(string)) != wire.MaxTaskResult || got["resultCut"] != nil {
		t.Error("one task has its result cut")
	}
}

// Of all tasks, not of the newest alone, those are listed that a text may mean.
func TestTasksAreFoundByWhatTheyAreCalled(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	p := b.join("alice").modern("a")
	err := b.srv.meshByID(b.mesh).db.Write(t.Context(), func(tx *store.Tx) error {
		for i := range 3 * wire.MaxTaskList {
			id, title := fmt.Sprintf("x%031d", i), fmt.Sprintf("task %d", i)
			switch i {
			case 0, 1:
				id, title = fmt.Sprintf("old%d%028d", i, i), "Größe"
			}
			if err := tx.AddTask(&store.Task{ID: id, Title: title, Priority: "normal", Created: time.Now()}, wire.MaxTasks); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for named, want := range map[string]string{
		"old0": "old0", "old1000": "old1", fmt.Sprintf("old0%028d", 0): "old0", "GRÖSSE": "", "GRÖßE": "old1 old0", "old": "", "none": "", "TASK 2": "x000",
	} {
		var got []string
		for _, task := range p.tasks(map[string]any{"type": "list_tasks", "named": named}) {
			got = append(got, task["id"].(string)[:4])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q is %v, want %s", named, got, want)
		}
	}
	if got := p.tasks(map[string]any{"type": "list_tasks", "named": "x000"}); len(got) != wire.MaxTaskList || got[0]["title"] != "task 299" {
		t.Errorf("%d tasks, the first %v", len(got), got[0])
	}
	p.refusedWith(wire.TooLarge, map[string]any{"type": "list_tasks", "named": strings.Repeat("x", wire.MaxTaskTitle+1)})
}

func TestTheBoardIsBounded(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	p := b.join("alice").modern("a")
	err := b.srv.meshByID(b.mesh).db.Write(t.Context(), func(tx *store.Tx) error {
		for i := range wire.MaxTasks {
			if err := tx.AddTask(&store.Task{ID: fmt.Sprint(i), Title: "t", Priority: "normal", Created: time.Now()}, wire.MaxTasks); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	p.refusedWith(wire.Limit, map[string]any{"type": "create_task", "title": "one more"})
	p.tasks(map[string]any{"type": "complete_task", "taskId": "7", "brief": true})
	p.newTask("one more")
	p.refusedWith(wire.TaskNotFound, map[string]any{"type": "list_tasks", "taskId": "7"})
}

// text is what a plain message says.
func textOf(t *testing.T, push map[string]any) string {
	t.Helper()
	if push["nonce"] != "" {
		t.Errorf("the nonce of a plain message is %v", push["nonce"])
	}
	return string(must(base64.StdEncoding.DecodeString(push["ciphertext"].(string))))
}

func TestAnAssignedTaskIsAMessage(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice, bob, carol := b.join("alice"), b.join("bob"), b.join("carol")
	a, p := alice.modern("a"), bob.modern("b")
	p.ask("ack", map[string]any{"type": "join_group", "name": "web"})
	key := must(seal.Generate())
	away := b.connect(carol.keyed(carol.hello("c"), key))
	away.leave()
	a.event("peer_left")
	old := alice.old("old")
	for _, c := range []struct {
		from     *testPeer
		assignee string
		shown    string
		priority string
		to       *testPeer
		outcome  any
		pushed   string
	}{
		{a, "bob", "bob", "normal", p, "sent", "next"},
		{a, "BO", "bob", "urgent", p, "sent", "now"},
		{a, p.key, "bob", "high", p, "sent", "next"},
		{a, p.key[:12], "bob", "low", p, "sent", "low"},
		{a, bob.pub(), "bob", "normal", p, "sent", "next"},
		{a, "@web", "@web", "normal", p, "sent", "next"},
		{old, "bob", "bob", "normal", p, "sent", "next"},
		{a, "@all", "*", "normal", p, "sent", "next"},
		{a, "@nobody", "@nobody", "normal", nil, "nobody", ""},
		{a, a.key, "alice", "normal", nil, nil, ""},
		{old, "who?", "who?", "normal", nil, nil, ""},
		{a, "carol", "carol", "normal", nil, "queued", ""},
	} {
		res := c.from.ask("task_created", map[string]any{"type": "create_task", "title": "do <it>", "assignee": c.assignee, "priority": c.priority, "tags": []string{"t1", "t2"}})
		msg, _ := res["message"].(map[string]any)
		if res["assignee"] != c.shown || msg["outcome"] != c.outcome {
			t.Errorf("%q: %v", c.assignee, res)
		}
		if c.to == nil {
			continue
		}
		push := c.to.mail()
		if push["senderPubkey"] != c.from.key || push["senderName"] != "alice" || push["priority"] != c.pushed || push["messageId"] != msg["messageId"] {
			t.Errorf("%q: %v", c.assignee, push)
		}
		if text := textOf(t, push); !strings.Contains(text, "do <it>") || !strings.Contains(text, res["id"].(string)) || !strings.Contains(text, "t1, t2") {
			t.Errorf("%q says %q", c.assignee, text)
		}
		c.to.acked("seen", push)
		if st := c.from.ask("message_status_result", map[string]any{"type": "message_status", "messageId": msg["messageId"]}); c.shown == "bob" && st["recipients"].([]any)[0].(map[string]any)["state"] != "seen" {
			t.Errorf("%q: %v", c.assignee, st)
		}
	}
	b.restart()
	back := b.connect(carol.keyed(carol.hello("c"), key))
	texts := textOf(t, back.mail()) + textOf(t, back.mail())
	if !strings.Contains(texts, "Task assigned to you: do <it>") || !strings.Contains(texts, "to *;") {
		t.Errorf("after a restart who was away was told %q", texts)
	}
}

func TestAnAssigneeWhoFitsSeveralIsRefused(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	a, bob := b.join("alice").modern("a"), b.join("bob")
	bob.modern("b1")
	bob.modern("b2")
	e := a.refusedWith(wire.Ambiguous, map[string]any{"type": "create_task", "title": "t", "assignee": "bob"})
	if len(e["candidates"].([]any)) != 2 {
		t.Errorf("%v", e)
	}
}

func TestAnAssignmentWaitsForWhoIsBusy(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		a, p := b.join("alice").modern("a"), b.join("bob").modern("b")
		p.ask("ack", map[string]any{"type": "set_status", "status": "dnd"})
		res := a.ask("task_created", map[string]any{"type": "create_task", "title": "t", "assignee": "bob"})
		if res["message"].(map[string]any)["outcome"] != "held" {
			t.Errorf("%v", res)
		}
		p.quiet()
		p.ask("ack", map[string]any{"type": "set_status", "status": "idle"})
		p.mail()
	})
}
