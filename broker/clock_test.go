package broker

import (
	"context"
	"testing"
	"time"

	"github.com/coder/websocket"

	"claudemesh/seal"
	"claudemesh/wire"
)

func TestASocketWithoutHelloIsClosed(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		alice := b.join("alice")
		idle, chatty, polite := b.dial(), b.dial(), alice.modern("a")
		pass(wire.HelloDeadline - time.Second)
		chatty.ask("error", map[string]any{"type": "mesh_info"})
		idle.silent()
		pass(2 * time.Second)
		for _, p := range []*testPeer{idle, chatty} {
			if how, _ := p.end(); how.Code != wire.CloseRefused {
				t.Errorf("closed by %v", how)
			}
		}
		pass(10 * time.Minute)
		polite.quiet()
	})
}

func TestSilentConnectionsEnd(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		watcher, alice := b.join("watcher").modern("w"), b.join("alice")
		h := alice.keyed(alice.hello("a"), must(seal.Generate()))
		p := b.dialMute()
		if err := p.Write(context.Background(), websocket.MessageText, must(wire.Append(nil, "", h))); err != nil {
			t.Fatal(err)
		}
		watcher.event("peer_joined")
		pass(wire.PingEvery)
		if c := watcher.find(h.SessionPubkey)["connection"]; c != "online" {
			t.Fatalf("it is %v", c)
		}
		pass(wire.DeadAfter - wire.PingEvery + maxTick)
		if c := watcher.find(h.SessionPubkey)["connection"]; c != "grace" {
			t.Fatalf("it is %v", c)
		}
		pass(wire.Grace + maxTick)
		watcher.event("peer_left")
	})
}

// A connection that does not answer the close frame holds up a shutdown for
// no longer than it may take.
func TestShutdownIsBounded(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		alice := b.join("alice")
		p := b.dialMute()
		if err := p.Write(context.Background(), websocket.MessageText, must(wire.Append(nil, "", alice.hello("a")))); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		began := time.Now()
		b.stop()
		if took := time.Since(began); took > b.cfg.ShutdownWithin {
			t.Errorf("it took %v", took)
		}
	})
}
