//go:build unix

package main

import (
	"encoding/json"
	"slices"
	"testing"

	"claudemesh/wire"
)

// TestWorkingModelGetsAllMailItAsksFor sends with the usual priority, which the
// broker holds back while a turn goes on, to a model that asks for its mail
// within the turn, at once or by waiting.
func TestWorkingModelGetsAllMailItAsksFor(t *testing.T) {
	m := newHostMesh(t)
	s, to := m.seatOf(m.user("bob"))
	s.must(hostCommand{Do: "begin", Text: "hi"})
	m.awaitStatus(to, wire.Working)
	first := m.write(to, "it was held back", wire.Next)
	if got := m.state(first); got != wire.StateQueued {
		t.Fatalf("the message is %s, want queued: the session works", got)
	}
	s.call("check_messages", `{}`)
	m.awaitStatus(to, wire.Working)
	if got := m.state(m.write(to, "for later", wire.Next)); got != wire.StateQueued {
		t.Errorf("after the call the message is %s, want queued: the session works on", got)
	}
	s.call("check_messages", `{}`)
	called := make(chan error, 1)
	go func() {
		_, err := s.do(hostCommand{Do: "call", Name: "check_messages", Args: json.RawMessage(`{"wait_seconds": 60}`)})
		called <- err
	}()
	m.awaitState(m.write(to, "the answer", wire.Next), wire.StateSeen)
	if err := <-called; err != nil {
		t.Error(err)
	}
	s.must(hostCommand{Do: "stop"})
	s.prompt("anything else?")
	for _, text := range []string{"it was held back", "for later", "the answer"} {
		if got := s.ways(text); !slices.Equal(got, []string{"result"}) {
			t.Errorf("%q came by %q, want result once\n%s", text, got, s.story())
		}
	}
	m.awaitState(first, wire.StateSeen)
}
