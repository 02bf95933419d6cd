//go:build unix

package main

import (
	"slices"
	"strings"
	"testing"

	"claudemesh/wire"
)

// TestChannelAloneIsNotSeen has the host show a channel notification, which it
// does not acknowledge: the message is shown and not reported seen.
func TestChannelAloneIsNotSeen(t *testing.T) {
	m := newHostMesh(t)
	u := m.user("bob", "--no-hooks")
	u.channels = true
	u.env = append(u.env, "CLAUDEMESH_CHANNEL=1")
	s, to := m.seatOf(u, "--dangerously-load-development-channels", "server:claudemesh")
	id := m.deliver(to, "hello from alice")
	s.await("a notification", func(e hostEvent) bool {
		return strings.HasPrefix(e.Text, "notifications/claude/channel") && strings.Contains(e.Text, "hello from alice")
	})
	s.prompt("hi")
	if got := s.ways("hello from alice"); !slices.Equal(got, []string{"channel"}) {
		t.Errorf("the message came by %q, want channel once\n%s", got, s.story())
	}
	if got := m.state(id); got != wire.StateDelivered {
		t.Errorf("the message is %s, want delivered", got)
	}
}

// TestUnshownMailIsNotSeen has mail come to a session that has no way to show
// it, and end.
func TestUnshownMailIsNotSeen(t *testing.T) {
	m := newHostMesh(t)
	u := m.user("bob", "--no-hooks")
	s, to := m.seatOf(u)
	id := m.deliver(to, "hello from alice")
	s.prompt("hi")
	s.end()
	if got := m.state(id); got == wire.StateSeen {
		t.Errorf("the message is seen\n%s", s.story())
	}
	if got := s.ways("hello from alice"); got != nil {
		t.Errorf("the message came by %q", got)
	}
}
