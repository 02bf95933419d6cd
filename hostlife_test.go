//go:build unix

package main

import (
	"slices"
	"testing"

	"claudemesh/wire"
)

// TestMailWaitsForAResumedSession writes to a session that has ended: its mail
// is there when the session is resumed, as the same peer.
func TestMailWaitsForAResumedSession(t *testing.T) {
	m := newHostMesh(t)
	u := m.user("bob")
	id := newUUID()
	s := u.start("claude", "--session-id", id)
	to := m.address(id)
	s.prompt("hi")
	s.end()
	mail := m.send(to, "hello from alice")
	again := u.start("claude", "--resume", id)
	if got := m.address(id); got != to {
		t.Errorf("the resumed session has the address %s, want %s", got, to)
	}
	again.prompt("anything else?")
	again.awaitSeen("hello from alice")
	m.awaitState(mail, wire.StateSeen)
	again.prompt("really?")
	if got := again.ways("hello from alice"); len(got) != 1 {
		t.Errorf("the message came by %q, want one way\n%s", got, again.story())
	}
}

// TestPrintModeIsNotHeldUp runs the host without a terminal, where it waits for
// every hook: none may wait for mail.
func TestPrintModeIsNotHeldUp(t *testing.T) {
	m := newHostMesh(t)
	u := m.user("bob")
	s := u.start("claude", "-p", "what is new")
	s.await("the turn to end", func(e hostEvent) bool { return e.Event == "idle" && e.Turn == 1 })
	<-s.ended
	if got := s.ways("what is new"); !slices.Equal(got, []string{"prompt"}) {
		t.Errorf("the prompt came by %q", got)
	}
	if faults := s.faults(); faults != nil {
		t.Errorf("faults: %q", faults)
	}
}

// TestMailFindsAClearedSession has the host give its session another id, and
// keep the MCP server.
func TestMailFindsAClearedSession(t *testing.T) {
	m := newHostMesh(t)
	s, to := m.seatOf(m.user("bob"))
	s.prompt("hi")
	s.must(hostCommand{Do: "clear"})
	id := m.send(to, "hello from alice")
	s.awaitSeen("hello from alice")
	m.awaitState(id, wire.StateSeen)
	s.prompt("anything else?")
	if got := s.ways("hello from alice"); len(got) != 1 {
		t.Errorf("the message came by %q, want one way\n%s", got, s.story())
	}
}
