package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"claudemesh/peer"
	"claudemesh/seal"
	"claudemesh/wire"
)

// TestKilledBrokerLosesNothing kills the broker over and over while peers
// talk: whatever was acknowledged must be seen by every recipient, once and in
// order, and the database must be sound.
func TestKilledBrokerLosesNothing(t *testing.T) {
	const kills, peers = 20, 4
	broker := startProcess(t)
	told := make(chan struct{}, 1024)
	var all []*tester
	for i := range peers {
		name := fmt.Sprintf("peer%d", i)
		key, err := seal.Generate()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, connect(t, broker.join(name), name, key, told))
	}
	ctx, stop := context.WithCancel(t.Context())
	var talking sync.WaitGroup
	for i, p := range all {
		targets := []string{all[(i+1)%peers].Address(), "*", all[(i+2)%peers].Address()}
		talking.Go(func() {
			if err := p.talk(ctx, targets); err != nil {
				t.Error(err)
			}
		})
	}
	for range kills {
		awaitAcks(t, told, 1+rand.IntN(300)) // a random moment
		broker.kill()
		broker.restart()
	}
	stop()
	talking.Wait()
	want := expected(all)
	unread := int64(0) // by the first member, who is offline and gets what goes to everyone
	for _, p := range all {
		p.await(t, want[p.Address()], broker)
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		for text := range p.acked {
			if strings.Contains(text, "|*|") {
				unread++
			}
		}
	}
	broker.kill()
	checkSound(t, broker.data, unread)
}

// awaitAcks waits for n acknowledgements to any sender.
func awaitAcks(t *testing.T, told <-chan struct{}, n int) {
	t.Helper()
	patience := time.After(time.Minute)
	for range n {
		select {
		case <-told:
		case <-patience:
			t.Fatal("nothing is acknowledged any more")
		}
	}
}

// pair returns alice, connected, and how bob connects as one and the same session.
func (p *process) pair(t *testing.T) (alice *peer.Client, bob peer.Options) {
	t.Helper()
	key, err := seal.Generate()
	if err != nil {
		t.Fatal(err)
	}
	alice, err = peer.Open(t.Context(), peer.Options{Mesh: p.join("alice")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { alice.Close(context.Background()) })
	return alice, peer.Options{Mesh: p.join("bob"), SessionID: "b", SessionKey: key}
}

// TestUnseenMailSurvivesItsReader ends a session after its mail was delivered
// and before it was seen: the session's next process gets it.
func TestUnseenMailSurvivesItsReader(t *testing.T) {
	broker := startProcess(t)
	alice, bob := broker.pair(t)
	first, err := peer.Open(t.Context(), bob)
	if err != nil {
		t.Fatal(err)
	}
	ack, err := alice.Send(t.Context(), peer.SendRequest{Target: first.Address(), Text: "hello"})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := first.Next(t.Context()); err != nil || r.MessageID != ack.MessageID {
		t.Fatal(r, err)
	}
	if err := first.Flush(t.Context()); err != nil { // delivered is on record
		t.Fatal(err)
	}
	first.Close(context.Background())
	status, err := peer.Call(t.Context(), alice, wire.GetMessageStatus{MessageID: ack.MessageID})
	if err != nil || status.Recipients[0].State != wire.StateDelivered {
		t.Fatalf("status %+v %v", status, err)
	}
	second, err := peer.Open(t.Context(), bob)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close(context.Background())
	if r, err := second.Next(t.Context()); err != nil || r.MessageID != ack.MessageID || r.Text() != "hello" {
		t.Fatal(r, err)
	}
}

// TestHalfOpenSocketLosesNothing cuts a session's socket without either end
// being told, sends it mail, and lets the session connect anew.
func TestHalfOpenSocketLosesNothing(t *testing.T) {
	broker := startProcess(t)
	alice, bob := broker.pair(t)
	through := bob
	cut := startProxy(t, broker.ready.Listen)
	through.Mesh.BrokerURL = cut.url
	first, err := peer.Open(t.Context(), through)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close(context.Background())
	cut.silence()
	var ids []string
	for i := range 10 {
		ack, err := alice.Send(t.Context(), peer.SendRequest{Target: first.Address(), Text: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, ack.MessageID)
	}
	second, err := peer.Open(t.Context(), bob)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close(context.Background())
	for i, id := range ids {
		if r, err := second.Next(t.Context()); err != nil || r.MessageID != id {
			t.Fatalf("message %d: %v %v", i, r, err)
		}
	}
}
