//go:build unix

package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"claudemesh/peer"
	"claudemesh/wire"
)

// TestWatchInsideASessionPrintsItsMail has the model watch for its mail by a
// command whose lines start turns, with all other ways open: the session stays
// connected by its server, and each message is shown once, by the command if it
// waits. Before it does, and for a moment after each message, another way may
// have it.
func TestWatchInsideASessionPrintsItsMail(t *testing.T) {
	m := newHostMesh(t)
	s, to := m.seatOf(m.user("bob"))
	s.must(hostCommand{Do: "monitor", Text: "exec " + module + " watch"})
	turnOver := func(seen hostEvent) { // at its end the Stop hook takes mail too
		s.await("the turn to end", func(e hostEvent) bool { return e.Event == "idle" && e.Turn >= seen.Turn })
	}
	var texts []string
	for range 3 {
		eventually(t, "a message by watch", func() bool {
			text := fmt.Sprintf("message number %02d.", len(texts))
			texts = append(texts, text)
			id := m.send(to, text)
			turnOver(s.awaitSeen(text))
			m.awaitState(id, wire.StateSeen)
			return slices.Contains(s.ways(text), "monitor")
		})
	}
	if text := s.call("list_peers", `{}`); !strings.Contains(text, "alice") {
		t.Errorf("the server is not connected any more: %s", text)
	}
	s.prompt("anything else?")
	for _, text := range texts {
		if got := s.ways(text); len(got) != 1 {
			t.Errorf("%q came by %q, want one way\n%s", text, got, s.story())
		}
	}
	if faults := s.faults(); faults != nil {
		t.Errorf("faults: %q", faults)
	}
}

// TestCommandsInsideASessionAreTheSession runs commands with the environment of
// the session: inbox reads what its server has, send writes as the session, and
// a reply says that what it answers was seen.
func TestCommandsInsideASessionAreTheSession(t *testing.T) {
	m := newHostMesh(t)
	u := m.user("bob", "--no-hooks")
	id := newUUID()
	u.start("claude", "--session-id", id)
	to := m.address(id)
	u.env = append(u.env, "CLAUDE_CODE_SESSION_ID="+id)
	mail := m.deliver(to, "hello from alice")
	eventually(t, "the message in the session", func() bool { return strings.Contains(u.output(module, "inbox", "--peek"), "hello from alice") })
	if got := m.state(mail); got != wire.StateDelivered {
		t.Errorf("after a peek the message is %s", got)
	}
	if out := u.output(module, "inbox"); strings.Count(out, "hello from alice") != 1 {
		t.Errorf("inbox printed %q", out)
	}
	m.awaitState(mail, wire.StateSeen)
	if out := u.output(module, "inbox"); strings.Contains(out, "hello") {
		t.Errorf("inbox printed it again: %q", out)
	}
	u.output(module, "send", "alice", "hello from bob", "--reply-to", mail)
	r, err := m.alice.Next(t.Context())
	if err != nil || r.SenderPubkey != to || r.ReplyTo != mail {
		t.Errorf("alice got %+v, %v; want it from %s", r, err, to)
	}
	list, err := peer.Call(t.Context(), m.alice, wire.ListPeers{})
	if err != nil || !slices.ContainsFunc(list.Peers, func(p wire.Peer) bool { return p.Pubkey == to && p.Connection == "online" }) {
		t.Errorf("the session is not online any more: %+v, %v", list.Peers, err)
	}
}
