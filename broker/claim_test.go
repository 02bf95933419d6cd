package broker

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

func TestOfAHundredClaimsOneWins(t *testing.T) {
	t.Parallel()
	b := newBroker(t, func(c *Config) { c.MaxConnections = 200 })
	m := b.join("alice")
	peers := make([]*testPeer, 100)
	for i := range peers {
		peers[i] = m.modern(fmt.Sprint("s", i))
	}
	id := peers[0].newTask("one")
	answers := make([]map[string]any, len(peers))
	var wg sync.WaitGroup
	for i, p := range peers {
		wg.Go(func() { answers[i] = p.askAny(map[string]any{"type": "claim_task", "taskId": id}) })
	}
	wg.Wait()
	var won []int
	for i, a := range answers {
		switch {
		case a["type"] == "task_list":
			won = append(won, i)
		case a["code"] != string(wire.TaskNotClaimable):
			t.Errorf("%v", a)
		}
	}
	if len(won) != 1 || peers[0].task(id)["claimedByPubkey"] != peers[won[0]].key {
		t.Fatalf("%v won, the board says %v", won, peers[0].task(id))
	}
}

func TestAClaimEndsWithItsPresence(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		end  func(t *testing.T, b *testBroker, bob *testMember, p *testPeer, again func() *testPeer)
		want string
	}{
		{"lost, within the grace", func(_ *testing.T, _ *testBroker, _ *testMember, p *testPeer, _ func() *testPeer) {
			p.drop()
			pass(wire.Grace - maxTick)
		}, "claimed"},
		{"lost, beyond the grace", func(_ *testing.T, _ *testBroker, _ *testMember, p *testPeer, _ func() *testPeer) {
			p.drop()
			pass(wire.Grace + maxTick)
		}, "open"},
		{"back within the grace", func(_ *testing.T, _ *testBroker, _ *testMember, p *testPeer, again func() *testPeer) {
			p.drop()
			pass(wire.Grace / 2)
			again()
			pass(time.Hour)
		}, "claimed"},
		{"left", func(_ *testing.T, _ *testBroker, _ *testMember, p *testPeer, _ func() *testPeer) {
			p.leave()
			synctest.Wait()
		}, "open"},
		{"revoked", func(t *testing.T, b *testBroker, bob *testMember, _ *testPeer, _ func() *testPeer) {
			if status, res := b.call("DELETE", "/mesh/"+b.mesh+"/member/"+bob.id, b.owner, nil); status != 200 {
				t.Errorf("%d %v", status, res)
			}
		}, "open"},
		{"a restart, within the grace", func(_ *testing.T, b *testBroker, _ *testMember, _ *testPeer, _ func() *testPeer) {
			b.restart()
			pass(wire.Grace - maxTick)
		}, "claimed"},
		{"a restart, back", func(_ *testing.T, b *testBroker, _ *testMember, _ *testPeer, again func() *testPeer) {
			b.restart()
			again()
			pass(time.Hour)
		}, "claimed"},
		{"a restart, not back", func(_ *testing.T, b *testBroker, bob *testMember, _ *testPeer, _ func() *testPeer) {
			b.restart()
			b.join("dave").modern("d") // somebody is here to see the grace end
			pass(wire.Grace + maxTick)
		}, "open"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *testBroker) {
				bob, key := b.join("bob"), must(seal.Generate())
				again := func() *testPeer { return b.connect(bob.keyed(bob.hello("b"), key)) }
				p := again()
				id := p.newTask("t")
				got := p.ask("task_list", map[string]any{"type": "claim_task", "taskId": id, "brief": true, "reserve": map[string]any{"repo": "r", "patterns": []string{"src"}}})
				if task := got["tasks"].([]any)[0].(map[string]any); task["status"] != "claimed" || task["claimExpiresAt"] != nil || len(got["reservations"].([]any)) != 1 {
					t.Fatalf("%v", got)
				}
				p.ask("reservation_list", map[string]any{"type": "reserve", "repo": "r", "patterns": []string{"bound"}, "untilGone": true, "ttl": 7200})
				p.ask("reservation_list", map[string]any{"type": "reserve", "repo": "r", "patterns": []string{"free"}, "ttl": 7200})
				c.end(t, b, bob, p, again)
				watcher := b.join("watcher").modern("w")
				if got := watcher.task(id); got["status"] != c.want {
					t.Errorf("the task is %v", got)
				}
				want := map[string]string{"claimed": "src bound free", "open": "free"}[c.want]
				if c.name == "revoked" {
					want = ""
				}
				if got := watcher.reserved("r"); got != want && !strings.Contains(c.name, "back") {
					t.Errorf("reserved is %q, want %q", got, want)
				}
			})
		})
	}
}

func TestTheClaimOfACommand(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		alice, key := b.join("alice"), must(seal.Generate())
		watcher := b.join("watcher").modern("w")
		id, other := watcher.newTask("by a member"), watcher.newTask("by a session")
		alice.command(false).ask("task_list", map[string]any{"type": "claim_task", "taskId": id})
		session := b.connect(alice.keyed(alice.hello("a"), key))
		inside := alice.commandOf(key, false)
		inside.ask("task_list", map[string]any{"type": "claim_task", "taskId": other})
		inside.leave()
		synctest.Wait()
		if got := watcher.task(other); got["claimExpiresAt"] != nil || got["claimedByPubkey"] != session.key {
			t.Errorf("the claim of a session by a command is %v", got)
		}
		session.leave()
		synctest.Wait()
		if got := watcher.task(other); got["status"] != "open" {
			t.Errorf("when the session is gone the task is %v", got)
		}
		alice.commandOf(key, false).ask("task_list", map[string]any{"type": "claim_task", "taskId": other})
		if got := watcher.task(other); got["claimExpiresAt"] == nil {
			t.Errorf("a claim for a session that is gone never ends: %v", got)
		}
		pass(wire.ClaimFor - time.Minute)
		if got := watcher.task(id); got["status"] != "claimed" {
			t.Errorf("within its day the task is %v", got)
		}
		pass(time.Minute)
		if got := watcher.task(id); got["status"] != "open" {
			t.Errorf("after its day the task is %v", got)
		}
	})
}

// A command may claim for a session whose end is decided in the same commit.
func TestAClaimInTheCommitThatEndsThePresenceEnds(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		alice, key := b.join("alice"), must(seal.Generate())
		watcher, session := b.join("watcher").modern("w"), b.connect(alice.keyed(alice.hello("a"), key))
		id := watcher.newTask("t")
		inside := alice.commandOf(key, false)
		release := b.holdWriter()
		session.leave()
		synctest.Wait()
		inside.say(map[string]any{"type": "claim_task", "taskId": id, "_reqId": "claim"})
		synctest.Wait()
		release()
		if got := watcher.task(id); got["status"] != "claimed" || got["claimExpiresAt"] == nil {
			t.Errorf("%v", got)
		}
	})
}
