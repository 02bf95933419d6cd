//go:build unix

package main

import (
	"slices"
	"strings"
	"testing"

	"claudemesh/wire"
)

// startHooks keeps all hooks but the waiters, which would take mail first.
func startHooks(_, command string) bool { return !waits(command) }

// resumable is a session that has had a turn, has ended, and to which a message
// was sent then.
func (m *hostMesh) resumable(u *hostUser, text string) (session, mail string) {
	m.t.Helper()
	session = newUUID()
	s := u.start("claude", "--session-id", session)
	to := m.address(session)
	s.prompt("hi")
	s.end()
	return session, m.send(to, text)
}

// resumeWith resumes a session until its start has given the host a text: a hook
// that had too little time leaves that to the next.
func (u *hostUser) resumeWith(session, text string) (s *seat) {
	u.t.Helper()
	eventually(u.t, "the message at a start", func() bool {
		if s != nil {
			s.end()
		}
		s = u.start("claude", "--resume", session)
		return s.opened(text)
	})
	return s
}

// TestMailOfAStartIsSeenWithTheFirstTurn has hooks of a session's start give a
// message, in place of the MCP server or from it: it comes before the model with
// the first turn, once, and has not been seen until then.
func TestMailOfAStartIsSeenWithTheFirstTurn(t *testing.T) {
	const hello = "hello from alice"
	for _, c := range []struct {
		name  string
		keep  func(event, command string) bool
		begin func(m *hostMesh, u *hostUser) (s *seat, mail string)
		turn  func(s *seat)
	}{
		{"before the server is up", startHooks, beginLate, func(s *seat) { s.prompt("hi") }},
		{"from the server", startHooks, beginAnew, func(s *seat) { s.prompt("hi") }},
		{"and no hook tells of turns", func(event, command string) bool { return event == "SessionStart" && !waits(command) }, beginLate,
			func(s *seat) {
				s.must(hostCommand{Do: "begin", Text: "hi"})
				s.do(hostCommand{Do: "call", Name: "list_peers"}) // whether or not it is connected by then
			}},
		{"and the server is killed before the turn", startHooks, beginLate, func(s *seat) {
			s.must(hostCommand{Do: "kill"})
			s.must(hostCommand{Do: "reconnect"})
			s.prompt("hi")
		}},
		{"and the server does not come back for the turn", startHooks, beginLate, func(s *seat) {
			s.must(hostCommand{Do: "kill"})
			s.prompt("hi")
			s.must(hostCommand{Do: "reconnect"})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newHostMesh(t)
			u := m.user("bob")
			u.keepHooks(c.keep)
			s, mail := c.begin(m, u)
			if got := m.state(mail); got == wire.StateSeen {
				t.Errorf("the message is %s before any turn", got)
			}
			c.turn(s)
			m.awaitState(mail, wire.StateSeen)
			s.prompt("anything else?")
			s.call("check_messages", `{}`)
			if got := s.ways(hello); !slices.Equal(got, []string{"SessionStart"}) {
				t.Errorf("the message came by %q, want SessionStart once\n%s", got, s.story())
			}
			if faults := s.faults(); faults != nil {
				t.Errorf("faults: %q", faults)
			}
		})
	}
}

// beginLate resumes a session whose MCP server comes up after the hooks.
func beginLate(m *hostMesh, u *hostUser) (s *seat, mail string) {
	m.t.Helper()
	u.late = true
	session, mail := m.resumable(u, "hello from alice")
	return u.resumeWith(session, "hello from alice"), mail
}

// beginAnew clears a session whose MCP server has a message that nobody was shown.
func beginAnew(m *hostMesh, u *hostUser) (s *seat, mail string) {
	m.t.Helper()
	s, to := m.seatOf(u)
	mail = m.deliver(to, "hello from alice")
	eventually(m.t, "the message when it begins anew", func() bool {
		s.must(hostCommand{Do: "clear"})
		return s.opened("hello from alice")
	})
	return s, mail
}

// TestMailOfAStartThatIsLeftComesAgain leaves a session before its first turn,
// whose start has given the host a message: it has not been seen, and the next
// start gives it again.
func TestMailOfAStartThatIsLeftComesAgain(t *testing.T) {
	const hello = "hello from alice"
	for _, c := range []struct {
		name  string
		leave func(s *seat)
	}{
		{"by its user", (*seat).end},
		{"by a crash", func(s *seat) { s.cmd.Process.Kill(); <-s.ended }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newHostMesh(t)
			u := m.user("bob")
			u.keepHooks(startHooks)
			u.late = true
			session, mail := m.resumable(u, hello)
			left := u.resumeWith(session, hello)
			c.leave(left)
			if got := m.state(mail); got == wire.StateSeen || left.ways(hello) != nil {
				t.Errorf("the message is %s; it came by %q", got, left.ways(hello))
			}
			again := u.start("claude", "--resume", session)
			eventually(t, "the message before the model", func() bool {
				again.prompt("hi")
				return again.ways(hello) != nil
			})
			m.awaitState(mail, wire.StateSeen)
			again.prompt("anything else?")
			if got := again.ways(hello); len(got) != 1 {
				t.Errorf("the message came by %q, want once\n%s", got, again.story())
			}
			if e := again.awaitSeen(hello); !strings.Contains(e.Text, "may have been shown this before") {
				t.Errorf("it came as if for the first time: %q", e.Text)
			}
		})
	}
	t.Run("by beginning anew", func(t *testing.T) {
		t.Parallel()
		m := newHostMesh(t)
		u := m.user("bob")
		u.keepHooks(startHooks)
		s, mail := beginAnew(m, u)
		s.must(hostCommand{Do: "clear"})
		if got := m.state(mail); got == wire.StateSeen {
			t.Errorf("the message is %s before any turn", got)
		}
		eventually(t, "the message before the model", func() bool {
			s.prompt("hi")
			return s.ways(hello) != nil
		})
		m.awaitState(mail, wire.StateSeen)
		if got := s.ways(hello); len(got) != 1 {
			t.Errorf("the message came by %q, want once\n%s", got, s.story())
		}
	})
}
