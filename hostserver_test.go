//go:build unix

package main

import (
	"fmt"
	"strings"
	"testing"
)

// TestServerAnswersBeforeAnyBroker starts a session while the broker is away.
func TestServerAnswersBeforeAnyBroker(t *testing.T) {
	m := newHostMesh(t)
	u := m.user("bob", "--no-hooks")
	m.broker.kill()
	id := newUUID()
	s := u.start("claude", "--session-id", id)
	if tools := s.awaitSeen("mcp__claudemesh__send_message"); tools.Way != "tools" {
		t.Errorf("the tool came by %s", tools.Way)
	}
	s.must(hostCommand{Do: "begin", Text: "hi"})
	if text, err := s.do(hostCommand{Do: "call", Name: "list_peers"}); !strings.Contains(fmt.Sprint(text, err), "not connected") {
		t.Errorf("without a broker list_peers says %q, %v", text, err)
	}
	m.broker.restart()
	m.deliver(m.address(id), "hello from alice")
	s.until("hello from alice", func() { s.call("list_peers", `{}`) })
	if got := s.ways("hello from alice"); len(got) != 1 {
		t.Errorf("the message came by %q, want one way\n%s", got, s.story())
	}
}

// TestMeshJoinedWhileRunningAppears joins and leaves under a running session.
func TestMeshJoinedWhileRunningAppears(t *testing.T) {
	m := newHostMesh(t)
	u := newHostUser(t, "bob")
	u.output(module, "install", "--no-hooks")
	id := newUUID()
	s := u.start("claude", "--session-id", id)
	s.must(hostCommand{Do: "begin", Text: "hi"})
	if text, err := s.do(hostCommand{Do: "call", Name: "list_peers"}); !strings.Contains(fmt.Sprint(text, err), "join") {
		t.Errorf("without a mesh list_peers says %q, %v", text, err)
	}
	u.output(module, "join", "--name", "bob", m.broker.ready.Home.Invite)
	m.deliver(m.address(id), "hello from alice")
	var text string
	s.until("hello from alice", func() { text = s.call("list_peers", `{}`) })
	if !strings.Contains(text, "- alice [") || !strings.Contains(text, "hello from alice") {
		t.Errorf("list_peers says %q", text)
	}
	u.output(module, "leave", "--yes", "home")
	eventually(t, "the mesh to be gone", func() bool {
		text, err := s.do(hostCommand{Do: "call", Name: "list_peers"})
		return strings.Contains(fmt.Sprint(text, err), "no mesh is joined")
	})
}
