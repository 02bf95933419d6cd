package broker

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

// reserved lists the patterns that are reserved in a repository.
func (p *testPeer) reserved(repo string) string {
	p.t.Helper()
	var all []string
	for _, e := range p.ask("reservation_list", map[string]any{"type": "reservations", "repo": repo})["reservations"].([]any) {
		all = append(all, e.(map[string]any)["pattern"].(string))
	}
	return strings.Join(all, " ")
}

func reserveFields(pattern string, more ...any) map[string]any {
	f := map[string]any{"type": "reserve", "repo": "r", "patterns": strings.Fields(pattern)}
	for i := 0; i < len(more); i += 2 {
		f[more[i].(string)] = more[i+1]
	}
	return f
}

func TestWhatIsReservedExcludesOthers(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice := b.join("alice")
	a, sibling, p := alice.modern("a"), alice.modern("a2"), b.join("bob").modern("b")
	for i, c := range []struct {
		first  map[string]any
		who    *testPeer
		second map[string]any
		fits   bool
	}{
		{reserveFields("src/**"), p, reserveFields("src/a.go"), false},
		{reserveFields("src/**"), p, reserveFields("docs src/a.go"), false},
		{reserveFields("src/**"), p, reserveFields("docs"), true},
		{reserveFields("src/**"), p, reserveFields("src/a.go", "repo", "another"), true},
		{reserveFields("src/**"), p, reserveFields("src/a.go", "shared", true), false},
		{reserveFields("src/**", "shared", true), p, reserveFields("src/a.go", "shared", true), true},
		{reserveFields("src/**", "shared", true), p, reserveFields("src/a.go"), false},
		{reserveFields("src/**"), a, reserveFields("src/a.go"), true},
		{reserveFields("src/**"), sibling, reserveFields("src/a.go"), false},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			c.first["reason"] = "the parser"
			a.ask("reservation_list", c.first)
			if !c.fits {
				e := c.who.refusedWith(wire.Reserved, c.second)
				conflict := e["conflicts"].([]any)[0].(map[string]any)
				if text := e["message"].(string); !strings.Contains(text, "alice") || !strings.Contains(text, "the parser") || conflict["holderPubkey"] != a.key || conflict["holderMemberPubkey"] != alice.pub() {
					t.Errorf("%v", e)
				}
				if got := p.reserved(""); got != "src/**" {
					t.Errorf("after the refusal %q is reserved", got)
				}
			} else {
				c.who.ask("reservation_list", c.second)
			}
			for _, peer := range []*testPeer{a, p} {
				for _, repo := range []string{"r", "another"} {
					peer.ask("reservation_list", map[string]any{"type": "release", "repo": repo})
				}
			}
			if got := p.reserved(""); got != "" {
				t.Fatalf("%q stays reserved", got)
			}
		})
	}
}

func TestReservationsThatAreRefused(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice := b.join("alice")
	p, cmd := alice.modern("a"), alice.command(false)
	for _, f := range []map[string]any{
		reserveFields(""), reserveFields("../x"), reserveFields(strings.Repeat("*a", wire.MaxWildcards+1)), reserveFields("x", "repo", ""),
		reserveFields("x", "repo", strings.Repeat("x", wire.MaxRepo+1)), reserveFields("x", "ttl", -1), reserveFields("x", "ttl", int64(1)<<62),
		reserveFields("x", "ttl", int64(wire.MaxReserveFor/time.Second)+1), reserveFields("x", "reason", "two\nlines"),
		{"type": "release"}, {"type": "release", "ids": []string{"x"}, "repo": "r"}, {"type": "release", "repo": "r", "patterns": []string{".."}},
	} {
		p.refusedWith(wire.BadRequest, f)
	}
	p.refusedWith(wire.TooLarge, reserveFields(strings.Repeat("x ", wire.MaxPatterns+1)))
	p.refusedWith(wire.TooLarge, reserveFields("x", "reason", strings.Repeat("x", wire.MaxReason+1)))
	cmd.refusedWith(wire.BadRequest, reserveFields("x", "untilGone", true))
	p.refusedWith(wire.NotFound, map[string]any{"type": "release", "ids": []string{"x"}})
	if got := p.reserved(""); got != "" {
		t.Errorf("%q is reserved", got)
	}
}

func TestReservationsAreRenewedAndEnd(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		a, p := b.join("alice").modern("a"), b.join("bob").modern("b")
		a.ask("reservation_list", reserveFields("src", "ttl", 60))
		a.ask("reservation_list", reserveFields("docs"))
		pass(50 * time.Second)
		a.ask("reservation_list", reserveFields("src/", "ttl", 60))
		pass(50 * time.Second)
		p.refusedWith(wire.Reserved, reserveFields("src/x"))
		if got := p.reserved("r"); got != "docs src" {
			t.Errorf("%q is reserved", got)
		}
		pass(10 * time.Second)
		p.ask("reservation_list", reserveFields("src/x", "ttl", 7200))
		pass(wire.ReserveFor)
		if got := p.reserved("r"); got != "src/x" {
			t.Errorf("%q is reserved", got)
		}
	})
}

func TestAClaimAndItsReservationsAreOne(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	a, p := b.join("alice").modern("a"), b.join("bob").modern("b")
	first, second := a.newTask("first"), a.newTask("second")
	claim := func(id, pattern string) map[string]any {
		return map[string]any{"type": "claim_task", "taskId": id, "brief": true, "reserve": map[string]any{"repo": "r", "patterns": []string{pattern}}}
	}
	if got := a.ask("task_list", claim(first, "src")); got["reservations"].([]any)[0].(map[string]any)["taskId"] != first {
		t.Errorf("%v", got)
	}
	p.refusedWith(wire.Reserved, claim(second, "src/x"))
	if got := p.task(second); got["status"] != "open" {
		t.Errorf("a claim without its reservation: %v", got)
	}
	p.refusedWith(wire.TaskNotClaimable, claim(first, "docs"))
	p.refusedWith(wire.BadRequest, claim(second, ".."))
	if got := p.reserved("r"); got != "src" {
		t.Errorf("a reservation without its claim: %q", got)
	}
	// What is asked twice is reserved once, and what is renewed ends with its claim all the same.
	if got := a.ask("reservation_list", reserveFields("src src/")); len(got["reservations"].([]any)) != 1 || got["reservations"].([]any)[0].(map[string]any)["taskId"] != first {
		t.Errorf("renewed: %v", got)
	}
	a.ask("task_list", map[string]any{"type": "complete_task", "taskId": first})
	p.ask("task_list", claim(second, "src/x"))
	p.ask("task_list", map[string]any{"type": "release_task", "taskId": second})
	if got := p.reserved("r"); got != "" {
		t.Errorf("%q outlives its claim", got)
	}
}

func TestManyReservationsComeInPages(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	p := b.join("alice").modern("a")
	// What is longest once it is encoded.
	repo := strings.Repeat("<", wire.MaxRepo)
	for i := range wire.MaxReservations / wire.MaxPatterns {
		var patterns []string
		for j := range wire.MaxPatterns {
			name := fmt.Sprint(i*wire.MaxPatterns + j)
			patterns = append(patterns, name+strings.Repeat("<", wire.MaxPathPattern-len(name)))
		}
		p.ask("reservation_list", map[string]any{"type": "reserve", "repo": repo, "patterns": patterns, "reason": strings.Repeat("<", wire.MaxReason)})
	}
	p.refusedWith(wire.Limit, reserveFields("one more"))
	seen, after := map[any]bool{}, any(0)
	for after != nil {
		page := p.ask("reservation_list", map[string]any{"type": "reservations", "repo": repo, "after": after})
		if n := len(must(json.Marshal(page))); n > wire.MaxFrameBytes {
			t.Errorf("a page has %d bytes", n)
		}
		for _, e := range page["reservations"].([]any) {
			seen[e.(map[string]any)["pattern"]] = true
		}
		after = page["next"]
	}
	if len(seen) != wire.MaxReservations {
		t.Errorf("%d were listed", len(seen))
	}
}

// The rows of docs/SECURITY.md about tasks and reservations, a cell each.
func TestWhoMayDoWhatWithTasksAndReservations(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice := b.join("alice")
	key := must(seal.Generate())
	alice.modern("other")
	holder, creator := b.connect(alice.keyed(alice.hello("a"), key)), b.join("creator").modern("c")
	who := map[string]*testPeer{
		"holder": holder, "its command": alice.commandOf(key, false), "its sibling": alice.modern("a2"), "its member": alice.command(false),
		"creator": creator, "member": b.join("bob").modern("b"), "admin": b.joinAs("root", "admin").modern("r"),
	}
	everybody := "holder, its command, its sibling, its member, creator, member, admin"
	claimed := func() string {
		id := creator.newTask("t")
		holder.ask("task_list", map[string]any{"type": "claim_task", "taskId": id, "brief": true})
		return id
	}
	for _, c := range []struct {
		name   string
		fields func() map[string]any
		may    string
	}{
		{"create a task", func() map[string]any { return map[string]any{"type": "create_task", "title": "t"} }, everybody},
		{"list tasks", func() map[string]any { return map[string]any{"type": "list_tasks"} }, everybody},
		{"claim an open task", func() map[string]any { return map[string]any{"type": "claim_task", "taskId": creator.newTask("t")} }, everybody},
		{"claim a claimed task", func() map[string]any { return map[string]any{"type": "claim_task", "taskId": claimed()} }, ""},
		{"complete a task", func() map[string]any { return map[string]any{"type": "complete_task", "taskId": claimed()} }, everybody},
		{"release a claim", func() map[string]any { return map[string]any{"type": "release_task", "taskId": claimed()} }, "holder, its command, its sibling, its member, creator, admin"},
		{"list reservations", func() map[string]any { return map[string]any{"type": "reservations"} }, everybody},
		{"reserve", func() map[string]any {
			return map[string]any{"type": "reserve", "repo": "free", "shared": true, "patterns": []string{"x"}}
		}, everybody},
		{"reserve what is reserved", func() map[string]any {
			holder.ask("reservation_list", map[string]any{"type": "reserve", "repo": "held", "patterns": []string{"x"}})
			return map[string]any{"type": "reserve", "repo": "held", "patterns": []string{"x"}}
		}, "holder, its command"},
		{"release a reservation", func() map[string]any {
			res := holder.ask("reservation_list", map[string]any{"type": "reserve", "repo": "mine", "patterns": []string{"x"}})
			return map[string]any{"type": "release", "ids": []any{res["reservations"].([]any)[0].(map[string]any)["id"]}}
		}, "holder, its command, its sibling, its member, admin"},
	} {
		for name, p := range who {
			may := slices.Contains(strings.Split(c.may, ", "), name)
			if got := p.askAny(c.fields()); (got["type"] != "error") != may {
				t.Errorf("%s by %s: %v", c.name, name, got)
			}
		}
	}
	stranger := b.dial()
	for _, typ := range []string{"create_task", "list_tasks", "claim_task", "complete_task", "release_task", "reservations", "reserve", "release"} {
		stranger.say(map[string]any{"type": typ})
		if f := stranger.read(); f["code"] != string(wire.NoHello) {
			t.Errorf("%s before hello: %v", typ, f)
		}
	}
}
