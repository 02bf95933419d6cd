//go:build unix

package main

import (
	"slices"
	"testing"

	"claudemesh/peer"
	"claudemesh/wire"
)

// sessionOf waits until somebody else than alice is in the mesh and returns it.
func (m *hostMesh) sessionOf(name string) (found wire.Peer) {
	m.t.Helper()
	eventually(m.t, name+" in the mesh", func() bool {
		list, err := peer.Call(m.t.Context(), m.alice, wire.ListPeers{})
		if err != nil {
			m.t.Log(err)
			return false
		}
		for _, p := range list.Peers {
			if p.DisplayName == name && p.Connection == "online" {
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
	s := u.start(module, "launch", "--quiet", "--name", "builder", "--groups", "backend:lead")
	p := m.sessionOf("builder")
	if !slices.Contains(p.Groups, wire.Group{Name: "backend", Role: "lead"}) {
		t.Errorf("the session is in the groups %v", p.Groups)
	}
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
	again := u.start(module, "launch", "--quiet", "--resume", p.SessionID)
	if got := m.sessionOf("builder"); got.Pubkey != p.Pubkey || got.SessionID != p.SessionID {
		t.Errorf("the resumed session is %s (%s), want %s (%s)", got.Pubkey, got.SessionID, p.Pubkey, p.SessionID)
	}
	again.end()
}
