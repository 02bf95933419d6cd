//go:build unix

package main

import (
	"slices"
	"testing"

	"claudemesh/wire"
)

// TestMailArrivesWithoutTheServer has the MCP server die, with a message that
// it received and nobody was shown, and one that comes later: hooks bring both,
// and the server that comes back brings neither again.
func TestMailArrivesWithoutTheServer(t *testing.T) {
	const before, after = "sent before the end", "sent after the end"
	for _, c := range []struct {
		event string
		waits bool
		play  func(s *seat)
	}{
		{"UserPromptSubmit", false, func(s *seat) { s.prompt("hi") }},
		{"PostToolUse", false, func(s *seat) {
			s.must(hostCommand{Do: "begin", Text: "hi"})
			s.must(hostCommand{Do: "tool", Name: "Bash"})
			s.must(hostCommand{Do: "stop"})
		}},
		{"Stop", false, func(s *seat) { s.prompt("hi") }},
		{"Stop", true, func(s *seat) { s.prompt("hi") }},
	} {
		way := c.event
		if c.waits {
			way = "wake"
		}
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			m := newHostMesh(t)
			u := m.user("bob")
			u.keepHooks(func(event, command string) bool { return event == c.event && waits(command) == c.waits })
			s, to := m.seatOf(u)
			ids := []string{m.deliver(to, before)}
			s.must(hostCommand{Do: "kill"})
			ids = append(ids, m.send(to, after))
			c.play(s)
			if !c.waits { // a hook that had too little time leaves it to the next
				eventually(t, "both before the model", func() bool {
					there := s.ways(before) != nil && s.ways(after) != nil
					if !there {
						c.play(s)
					}
					return there
				})
			}
			s.awaitSeen(before)
			s.awaitSeen(after)
			for _, id := range ids {
				m.awaitState(id, wire.StateSeen)
			}
			s.must(hostCommand{Do: "reconnect"})
			s.prompt("anything else?")
			s.call("check_messages", `{}`)
			for _, text := range []string{before, after} {
				if got := s.ways(text); !slices.Equal(got, []string{way}) {
					t.Errorf("%q came by %q, want %q once\n%s", text, got, way, s.story())
				}
			}
			if faults := s.faults(); faults != nil {
				t.Errorf("faults: %q", faults)
			}
		})
	}
}

// TestMailArrivesAtTheStart has only the first hook of a session, which may run
// before the MCP server has come up.
func TestMailArrivesAtTheStart(t *testing.T) {
	m := newHostMesh(t)
	u := m.user("bob")
	u.keepHooks(func(event, command string) bool { return event == "SessionStart" && !waits(command) })
	id := newUUID()
	s := u.start("claude", "--session-id", id)
	to := m.address(id)
	s.prompt("hi")
	s.end()
	mail := m.send(to, "hello from alice")
	again := u.resumeWith(id, "hello from alice")
	m.address(id)
	again.prompt("anything else?")
	again.call("check_messages", `{}`)
	m.awaitState(mail, wire.StateSeen)
	if got := again.ways("hello from alice"); !slices.Equal(got, []string{"SessionStart"}) {
		t.Errorf("the message came by %q, want SessionStart once\n%s", got, again.story())
	}
}

// TestHooksWithoutServerAndBrokerAreSilent has nobody to ask: the turn goes on
// as if there were no hooks.
func TestHooksWithoutServerAndBrokerAreSilent(t *testing.T) {
	m := newHostMesh(t)
	s, _ := m.seatOf(m.user("bob"))
	s.must(hostCommand{Do: "kill"})
	m.broker.kill()
	for range 2 {
		s.must(hostCommand{Do: "begin", Text: "hi"})
		s.must(hostCommand{Do: "tool", Name: "Bash"})
		s.must(hostCommand{Do: "stop"})
	}
	for _, way := range []string{"SessionStart", "UserPromptSubmit", "PostToolUse", "Stop", "wake"} {
		if slices.Contains(s.ways("claudemesh"), way) {
			t.Errorf("%s said something\n%s", way, s.story())
		}
	}
	if faults := s.faults(); faults != nil {
		t.Errorf("faults: %q", faults)
	}
}
