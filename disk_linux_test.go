package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"claudemesh/peer"
	"claudemesh/wire"
)

// TestFullDiskLosesNothing takes the broker its disk space, by a limit on the
// size of its files: senders get an error, what was acknowledged before is
// kept, and when there is space again all goes on.
func TestFullDiskLosesNothing(t *testing.T) {
	broker := startProcess(t)
	alice, err := peer.Open(t.Context(), peer.Options{Mesh: broker.join("alice")})
	if err != nil {
		t.Fatal(err)
	}
	defer alice.Close(context.Background())
	bob := broker.join("bob")
	send := func(text string, patience time.Duration) (wire.Ack, error) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return alice.Send(ctx, peer.SendRequest{Target: bob.Pubkey, Text: text})
	}
	var want []string
	for i := range 20 {
		ack, err := send(fmt.Sprint(i), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, ack.MessageID)
	}
	broker.limitFiles(t, 0)
	eventually(t, "a message to be refused", func() bool {
		_, err := send("no room", 2*time.Second)
		if err == nil {
			t.Fatal("a message was accepted on a full disk")
		}
		return errors.Is(err, &wire.Error{Code: wire.Unavailable}) // and not on its way once more when the time was over
	})
	if status := broker.health(t); status != http.StatusServiceUnavailable {
		t.Errorf("health on a full disk is %d", status)
	}
	broker.limitFiles(t, unix.RLIM_INFINITY)
	ack, err := send("room again", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, ack.MessageID)
	if status := broker.health(t); status != http.StatusOK {
		t.Errorf("health with space again is %d", status)
	}
	broker.kill()
	broker.restart()
	reader, err := peer.Open(t.Context(), peer.Options{Mesh: bob, Transient: true, Drain: true})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close(context.Background())
	for i, id := range want {
		if r, err := reader.Next(t.Context()); err != nil || r.MessageID != id {
			t.Fatalf("message %d: %+v %v", i, r, err)
		}
	}
}

// limitFiles bounds, in bytes, how far the broker's files may be written.
func (p *process) limitFiles(t *testing.T, n uint64) {
	t.Helper()
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: n, Max: unix.RLIM_INFINITY}, nil); err != nil {
		t.Fatal(err)
	}
}

func (p *process) health(t *testing.T) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+p.ready.Listen+"/health", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}
