package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"claudemesh/peer"
)

// TestKilledBrokerSendsWhatIsDueOnce kills the broker over and over while
// schedules come due: each is sent exactly once to its recipient.
func TestKilledBrokerSendsWhatIsDueOnce(t *testing.T) {
	const entries, kills = 300, 6
	broker := startProcess(t)
	alice, options := broker.pair(t)
	bob, err := peer.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer bob.Close(context.Background())
	schedule := func(text string, after time.Duration) {
		t.Helper()
		target := bob.Address()
		if len(text)%2 == 0 {
			target = "*"
		}
		if _, err := alice.Schedule(t.Context(), peer.ScheduleRequest{Target: target, Text: text, After: &after}); err != nil {
			t.Fatal(err)
		}
	}
	begun := time.Now()
	for i := range entries {
		schedule(fmt.Sprint(i), max(0, time.Second+time.Duration(i)*5*time.Millisecond-time.Since(begun)/2))
	}
	got := make(map[string]int)
	read := func() string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r, err := bob.Next(ctx)
		if err != nil {
			t.Fatalf("after %d: %v", len(got), err)
		}
		bob.MarkSeen(r.MessageID)
		if got[r.Text()]++; got[r.Text()] > 1 {
			t.Errorf("%q was sent twice", r.Text())
		}
		if r.SenderMember != alice.Mesh().Pubkey || r.ScheduleID == "" {
			t.Errorf("%q comes from %s, as %q", r.Text(), r.SenderPubkey, r.ScheduleID)
		}
		return r.Text()
	}
	for range kills {
		for range entries / (kills + 1) {
			read()
		}
		broker.kill()
		broker.restart()
	}
	for len(got) < entries {
		read()
	}
	if err := alice.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	schedule("the end", 0) // whatever was sent twice has come before it
	for read() != "the end" {
	}
	if rest, err := alice.Scheduled(t.Context()); err != nil || len(rest) != 0 {
		t.Errorf("still to come: %v, %v", rest, err)
	}
}
