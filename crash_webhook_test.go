package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

// TestKilledBrokerSendsWhatWasPostedOnce kills the broker over and over while a
// service posts to a webhook, and again what was not acknowledged: each delivery
// comes exactly once.
func TestKilledBrokerSendsWhatWasPostedOnce(t *testing.T) {
	const posts, kills = 300, 6
	broker := startProcess(t, "--webhook-rate", "1000000")
	alice, options := broker.pair(t)
	bob, err := peer.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer bob.Close(context.Background())
	hook, err := peer.Call(t.Context(), alice, wire.CreateWebhook{Name: "ci", Target: bob.Address()})
	if err != nil {
		t.Fatal(err)
	}
	// What bob has not read is never more than the broker keeps for him while he
	// is away.
	unread := make(chan struct{}, wire.KeptEvents)
	posted := make(chan struct{})
	go func() {
		defer close(posted)
		for i := range posts {
			select {
			case unread <- struct{}{}:
			case <-t.Context().Done():
				return
			}
			for t.Context().Err() == nil && !postOnce(t.Context(), hook.URL, i) {
				time.Sleep(5 * time.Millisecond) // as a service does, until the broker is back
			}
		}
	}()
	got := make(map[string]int)
	read := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r, err := bob.Next(ctx)
		if err != nil {
			t.Fatalf("after %d: %v", len(got), err)
		}
		bob.MarkSeen(r.MessageID)
		if r.Event == wire.EventEventsMissed {
			return // what bob has read gives way too, while the broker has not heard of it
		}
		if got[string(r.EventData)]++; got[string(r.EventData)] > 1 {
			t.Errorf("%s came twice", r.EventData)
		} else {
			<-unread
		}
		if r.SenderPubkey != "webhook:ci" || !json.Valid(r.EventData) {
			t.Errorf("%s comes from %s", r.EventData, r.SenderPubkey)
		}
	}
	for range kills {
		for range posts / (kills + 1) {
			read()
		}
		broker.kill()
		broker.restart()
	}
	for len(got) < posts {
		read()
	}
	<-posted
	unread <- struct{}{}
	if !postOnce(t.Context(), hook.URL, posts) { // what came twice is before it
		t.Fatal("the last is refused")
	}
	for got[fmt.Sprintf(`{"n":%d}`, posts)] == 0 {
		read()
	}
}

// postOnce posts delivery n and reports whether it was acknowledged.
func postOnce(ctx context.Context, url string, n int) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(fmt.Sprintf(`{"n":%d}`, n)))
	if err != nil {
		return false
	}
	req.Close = true // what is kept may lead to the broker that was killed
	req.Header.Set("X-GitHub-Delivery", fmt.Sprint("delivery-", n))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}
