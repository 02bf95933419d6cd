//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"claudemesh/wire"
)

// TestMailArrivesByEachWayAlone leaves one way open and all others shut: the
// message comes before the model by that way, once, and is reported seen.
func TestMailArrivesByEachWayAlone(t *testing.T) {
	only := func(event string) func(string, string) bool {
		return func(e, command string) bool { return e == event && !waits(command) }
	}
	none := func(string, string) bool { return false }
	const hello = "hello from alice"
	for _, c := range []struct {
		name    string
		way     string // as the recording has it
		install []string
		keep    func(event, command string) bool
		play    func(m *hostMesh, s *seat, to string) (id string)
	}{
		{"wake", "wake", nil, func(_, command string) bool { return waits(command) }, func(m *hostMesh, _ *seat, to string) string {
			return m.send(to, hello)
		}},
		{"wake at the second turn", "wake", nil, func(_, command string) bool { return waits(command) }, func(m *hostMesh, s *seat, to string) string {
			s.prompt("hi")
			return m.send(to, hello)
		}},
		{"with a prompt", "UserPromptSubmit", nil, only("UserPromptSubmit"), func(m *hostMesh, s *seat, to string) string {
			id := m.deliver(to, hello)
			s.until(hello, func() { s.prompt("hi") })
			return id
		}},
		{"after a tool", "PostToolUse", nil, only("PostToolUse"), func(m *hostMesh, s *seat, to string) string {
			s.must(hostCommand{Do: "begin", Text: "hi"})
			id := m.deliver(to, hello)
			s.until(hello, func() { s.must(hostCommand{Do: "tool", Name: "Bash"}) })
			s.must(hostCommand{Do: "stop"})
			return id
		}},
		{"at the end of a turn", "Stop", nil, only("Stop"), func(m *hostMesh, s *seat, to string) string {
			s.must(hostCommand{Do: "begin", Text: "hi"})
			id := m.deliver(to, hello)
			s.until(hello, func() { s.must(hostCommand{Do: "stop"}) })
			return id
		}},
		{"the session's own socket", "socket", []string{"--native-messaging"}, none, func(m *hostMesh, _ *seat, to string) string {
			return m.send(to, hello)
		}},
		{"with a tool's result", "result", nil, none, func(m *hostMesh, s *seat, to string) string {
			id := m.deliver(to, hello)
			s.until(hello, func() { s.call("list_peers", `{}`) })
			return id
		}},
		{"when asked for", "result", nil, none, func(m *hostMesh, s *seat, to string) string {
			id := m.deliver(to, hello)
			s.until(hello, func() { s.call("check_messages", `{}`) })
			return id
		}},
		{"when waited for", "result", nil, none, func(m *hostMesh, s *seat, to string) string {
			called := make(chan error, 1)
			go func() {
				_, err := s.do(hostCommand{Do: "call", Name: "check_messages", Args: json.RawMessage(`{"wait_seconds": 60}`)})
				called <- err
			}()
			id := m.send(to, hello)
			if err := <-called; err != nil {
				t.Error(err)
			}
			return id
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newHostMesh(t)
			u := m.user("bob", c.install...)
			u.keepHooks(c.keep)
			s, to := m.seatOf(u)
			id := c.play(m, s, to)
			s.awaitSeen(hello)
			m.awaitState(id, wire.StateSeen)
			s.prompt("anything else?")
			if got := s.ways(hello); !slices.Equal(got, []string{c.way}) {
				t.Errorf("the message came by %q, want %q once\n%s", got, c.way, s.story())
			}
			if faults := s.faults(); faults != nil {
				t.Errorf("faults: %q", faults)
			}
		})
	}
}

// TestMailComesOnceWithAllWaysOpen sends to a session while it is idle, busy
// and between, with every way at work.
func TestMailComesOnceWithAllWaysOpen(t *testing.T) {
	m := newHostMesh(t)
	s, to := m.seatOf(m.user("bob", "--native-messaging"))
	ids := make(map[string]string) // by text
	send := func() {
		text := fmt.Sprintf("message number %02d.", len(ids))
		ids[text] = m.send(to, text)
	}
	for range 4 {
		send()
		s.must(hostCommand{Do: "begin", Text: "hi"})
		send()
		s.must(hostCommand{Do: "tool", Name: "Bash"})
		send()
		s.call("list_peers", `{}`)
		send()
		s.must(hostCommand{Do: "stop"})
	}
	for text, id := range ids {
		s.awaitSeen(text)
		m.awaitState(id, wire.StateSeen)
	}
	s.prompt("anything else?")
	for text := range ids {
		if got := s.ways(text); len(got) != 1 {
			t.Errorf("%s came by %q, want one way", text, got)
		}
	}
	if t.Failed() || s.faults() != nil {
		t.Errorf("faults: %q\n%s", s.faults(), s.story())
	}
}

// TestMailSurvivesTheDeathOfItsServer kills the MCP server when a message was
// delivered and the model has not seen it.
func TestMailSurvivesTheDeathOfItsServer(t *testing.T) {
	m := newHostMesh(t)
	u := m.user("bob")
	u.keepHooks(func(event, command string) bool { return event == "UserPromptSubmit" })
	s, to := m.seatOf(u)
	id := m.deliver(to, "hello from alice")
	s.must(hostCommand{Do: "kill"})
	s.prompt("hi")
	if got := m.state(id); got == wire.StateSeen && s.ways("hello from alice") == nil {
		t.Error("the message is seen, and nobody has shown it")
	}
	s.must(hostCommand{Do: "reconnect"})
	eventually(t, "the message before the model", func() bool {
		s.prompt("hi again")
		return s.ways("hello from alice") != nil
	})
	m.awaitState(id, wire.StateSeen)
	s.prompt("anything else?")
	if got := s.ways("hello from alice"); len(got) != 1 {
		t.Errorf("the message came by %q, want one way\n%s", got, s.story())
	}
}

// TestMailSurvivesTheDeathOfABusyHost kills the host when a waiter has given it a
// message that it reads only when the running tool has ended.
func TestMailSurvivesTheDeathOfABusyHost(t *testing.T) {
	m := newHostMesh(t)
	u := m.user("bob")
	session := newUUID()
	s := u.start("claude", "--session-id", session)
	to := m.address(session)
	s.must(hostCommand{Do: "begin", Text: "hi"})
	id := m.send(to, "hello from alice")
	s.await("the wake in the host's queue", func(e hostEvent) bool { return e.Text == "queued wake" })
	s.cmd.Process.Kill()
	<-s.ended
	if got := m.state(id); got == wire.StateSeen || s.ways("hello from alice") != nil {
		t.Errorf("the message is %s; it came by %q", got, s.ways("hello from alice"))
	}
	again := u.start("claude", "--resume", session)
	again.prompt("go on")
	again.awaitSeen("hello from alice")
	m.awaitState(id, wire.StateSeen)
}

// TestSessionsOfOneMemberHaveTheirOwnMail runs two sessions of one user in one
// directory.
func TestSessionsOfOneMemberHaveTheirOwnMail(t *testing.T) {
	m := newHostMesh(t)
	u := m.user("bob")
	first, toFirst := m.seatOf(u)
	second, toSecond := m.seatOf(u)
	if toFirst == toSecond {
		t.Fatal("both sessions have one address")
	}
	var ids []string
	for range 3 {
		ids = append(ids, m.send(toFirst, "for the first"), m.send(toSecond, "for the second"))
		first.prompt("hi")
		second.prompt("hi")
	}
	for _, id := range ids {
		m.awaitState(id, wire.StateSeen)
	}
	for _, c := range []struct {
		s           *seat
		own, others string
	}{{first, "for the first", "for the second"}, {second, "for the second", "for the first"}} {
		c.s.prompt("anything else?")
		if got := c.s.ways(c.own); len(got) != 3 {
			t.Errorf("%q came by %q, want three times\n%s", c.own, got, c.s.story())
		}
		if got := c.s.ways(c.others); got != nil {
			t.Errorf("%q came to another session by %q", c.others, got)
		}
	}
}
