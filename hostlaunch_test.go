//go:build unix

package main

import (
	"fmt"
	"slices"
	"testing"

	"claudemesh/peer"
	"claudemesh/wire"
)

// sessionOf waits until somebody else than alice is in the mesh and returns it.
func (m *hostMesh) sessionOf(name string) (found wire.Peer) {
	m.t.Helper()
	return m.sessionIn(name)
}

// sessionIn is sessionOf for one that is in groups, which are joined after the
// session is online.
func (m *hostMesh) sessionIn(name string, groups ...wire.Group) (found wire.Peer) {
	m.t.Helper()
	eventually(m.t, fmt.Sprintf("%s in the mesh and in %v", name, groups), func() bool {
		list, err := peer.Call(m.t.Context(), m.alice, wire.ListPeers{})
		if err != nil {
			m.t.Log(err)
			return false
		}
		for _, p := range list.Peers {
			missing := slices.ContainsFunc(groups, func(g wire.Group) bool { return !slices.Contains(p.Groups, g) })
			if p.DisplayName == name && p.Connection == "online" && !missing {
				found = p
			}
		}
		return found.Pubkey != ""
	})
	return found
}

// TestLaunchedSessionIsAPeer launches a session, writes to it while it is idle,
// and resumes it as the same peer.
func TestLaunchedSessionIsAPeer(t *testing.T) {
	m := newHostMesh(t)
	u := m.user("bob")
	u.env = append(u.env, "CLAUDEMESH_CHANNEL=off") // which takes mail for 20 s where hooks are slow to ask
	s := u.start(module, "launch", "--quiet", "--name", "builder", "--groups", "backend:lead")
	backend := wire.Group{Name: "backend", Role: "lead"}
	p := m.sessionIn("builder", backend)
	id := m.send(p.Pubkey, "hello from alice")
	s.awaitSeen("hello from alice")
	m.awaitState(id, wire.StateSeen)
	s.prompt("anything else?")
	if got := s.ways("hello from alice"); !slices.Equal(got, []string{"wake"}) {
		t.Errorf("the message came by %q, want wake once\n%s", got, s.story())
	}
	if faults := s.faults(); faults != nil {
		t.Errorf("faults: %q", faults)
	}
	s.end()
	u.env = append(u.env, "CLAUDEMESH_DISPLAY_NAME=")
	for _, resume := range [][]string{
		{module, "launch", "--quiet", "--resume", p.SessionID}, {module, "launch", "--quiet", "--continue"}, {"claude", "--resume", p.SessionID},
	} {
		again := u.start(resume[0], resume[1:]...)
		if got := m.sessionIn("builder", backend); got.Pubkey != p.Pubkey || got.SessionID != p.SessionID {
			t.Errorf("%q: the resumed session is %s (%s), want %s (%s)", resume, got.Pubkey, got.SessionID, p.Pubkey, p.SessionID)
		}
		again.end()
	}
}

// TestHostWithinALaunchedSessionIsAnother has a command of a launched session
// start a host of its own, which inherits the environment of launch.
func TestHostWithinALaunchedSessionIsAnother(t *testing.T) {
	m := newHostMesh(t)
	u := m.user("bob")
	outer := u.start(module, "launch", "--quiet", "--name", "builder")
	p := m.sessionOf("builder")
	id := newUUID()
	outer.must(hostCommand{Do: "monitor", Text: "exec claude --session-id " + id})
	inner := u.visit()
	if to := m.address(id); to == p.Pubkey {
		t.Error("the session within is the one that was launched")
	}
	mail := m.send(p.Pubkey, "for the outer")
	outer.awaitSeen("for the outer")
	m.awaitState(mail, wire.StateSeen)
	inner.prompt("hi")
	inner.call("check_messages", `{}`)
	if got := inner.ways("for the outer"); got != nil {
		t.Errorf("the mail of the session that was launched came to the one within by %q", got)
	}
}
