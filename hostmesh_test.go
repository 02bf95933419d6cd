//go:build unix

package main

import (
	"context"
	"slices"
	"testing"

	"claudemesh/peer"
	"claudemesh/wire"
)

// A hostMesh is a broker with a member, alice, who writes to sessions of the
// fake host.
type hostMesh struct {
	t      *testing.T
	broker *process
	alice  *peer.Client
}

func newHostMesh(t *testing.T, flags ...string) *hostMesh {
	t.Helper()
	m := &hostMesh{t: t, broker: startProcess(t, flags...)}
	var err error
	m.alice, err = peer.Open(t.Context(), peer.Options{Mesh: m.broker.join("alice"), DisplayName: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.alice.Close(context.Background()) })
	return m
}

// user makes somebody who has joined the mesh and installed claudemesh.
func (m *hostMesh) user(name string, install ...string) *hostUser {
	m.t.Helper()
	u := newHostUser(m.t, name)
	u.output(module, "join", "--name", name, m.broker.ready.Home.Invite)
	u.output(module, append([]string{"install"}, install...)...)
	return u
}

// address waits until a host session is in the mesh and returns its address.
func (m *hostMesh) address(session string) (key string) {
	m.t.Helper()
	eventually(m.t, "session "+session+" in the mesh", func() bool {
		list, err := peer.Call(m.t.Context(), m.alice, wire.ListPeers{})
		if err != nil {
			m.t.Log(err) // the broker may be on its way
			return false
		}
		for _, p := range list.Peers {
			if p.SessionID == session && p.Connection == "online" {
				key = p.Pubkey
			}
		}
		return key != ""
	})
	return key
}

// awaitStatus waits until the mesh knows a session's status, which it is told
// of beside what the session does.
func (m *hostMesh) awaitStatus(address string, want wire.Status) {
	m.t.Helper()
	eventually(m.t, "the session to be "+string(want), func() bool {
		list, err := peer.Call(m.t.Context(), m.alice, wire.ListPeers{})
		return err == nil && slices.ContainsFunc(list.Peers, func(p wire.Peer) bool { return p.Pubkey == address && p.Status == want })
	})
}

// send has alice write, with a priority that interrupts, and returns the id.
func (m *hostMesh) send(address, text string) (id string) {
	m.t.Helper()
	return m.write(address, text, wire.Now)
}

// write has alice write with a priority, and returns the id.
func (m *hostMesh) write(address, text string, priority wire.Priority) (id string) {
	m.t.Helper()
	ack, err := m.alice.Send(m.t.Context(), peer.SendRequest{Target: address, Text: text, Priority: priority})
	if err != nil {
		m.t.Fatal(err)
	}
	return ack.MessageID
}

// deliver is send that waits until the session's process has the message.
func (m *hostMesh) deliver(address, text string) (id string) {
	m.t.Helper()
	id = m.send(address, text)
	m.awaitState(id, wire.StateDelivered)
	return id
}

// state is how far a message to one recipient has come.
func (m *hostMesh) state(id string) wire.DeliveryState {
	m.t.Helper()
	status, err := peer.Call(m.t.Context(), m.alice, wire.GetMessageStatus{MessageID: id})
	if err != nil || len(status.Recipients) != 1 {
		m.t.Fatalf("status of %s: %+v, %v", id, status, err)
	}
	return status.Recipients[0].State
}

func (m *hostMesh) awaitState(id string, want wire.DeliveryState) {
	m.t.Helper()
	eventually(m.t, "message "+id+" to be "+string(want), func() bool { return m.state(id) == want })
}

// seatOf starts a session of the user and returns it with its address.
func (m *hostMesh) seatOf(u *hostUser, args ...string) (s *seat, address string) {
	m.t.Helper()
	id := newUUID()
	s = u.start("claude", append([]string{"--session-id", id}, args...)...)
	return s, m.address(id)
}
