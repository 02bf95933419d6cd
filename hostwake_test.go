//go:build unix

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

// visit waits until something other than the test starts the fake host, and
// returns a seat in that session, which ends with the test.
func (u *hostUser) visit() *seat {
	u.t.Helper()
	log, err := os.Create(filepath.Join(u.t.TempDir(), "stderr"))
	if err != nil {
		u.t.Fatal(err)
	}
	s := newSeat(u, log)
	s.listen()
	u.t.Cleanup(func() {
		s.enc.Encode(hostCommand{Do: "exit"}) // in print mode it ends by itself
		select {
		case <-s.told: // for it is gone
		case <-time.After(patience):
			u.t.Errorf("the session did not end\n%s\n%s", s.story(), s.log())
		}
	})
	return s
}

// launchWaking launches a session that mail wakes when it is closed, has
// a turn, which makes it one that can be resumed, and closes it.
func (m *hostMesh) launchWaking(u *hostUser, flags ...string) wire.Peer {
	m.t.Helper()
	u.env = append(u.env, "CLAUDEMESH_CHANNEL=off") // which takes mail for 20 s where hooks are slow to ask
	s := u.start(module, append([]string{"launch", "--name", "builder", "--wake-when-closed"}, flags...)...)
	p := m.sessionOf("builder")
	m.t.Cleanup(func() { u.output(module, "launch", "--stop-waking", p.SessionID) })
	id := m.send(p.Pubkey, "for the open session")
	s.awaitSeen("for the open session")
	m.awaitState(id, wire.StateSeen)
	s.prompt("hi")
	s.end()
	m.kept(p.SessionID)
	return p
}

// kept waits until the keeper of a session is connected in its place.
func (m *hostMesh) kept(session string) {
	m.t.Helper()
	eventually(m.t, "the keeper in the mesh", func() bool { return m.channelOf(session) == "keeper" })
}

func (m *hostMesh) channelOf(session string) (channel string) {
	list, err := peer.Call(m.t.Context(), m.alice, wire.ListPeers{})
	if err != nil {
		m.t.Log(err)
	}
	for _, p := range list.Peers {
		if p.SessionID == session && p.Connection == "online" {
			channel = p.Channel
		}
	}
	return channel
}

// TestMailWakesAClosedSession closes a session, writes to it twice, and opens
// it again in between by other means than launch.
func TestMailWakesAClosedSession(t *testing.T) {
	t.Parallel()
	m := newHostMesh(t)
	u := m.user("bob")
	u.output(module, "create", "--template", "research", "--mesh", "home")
	p := m.launchWaking(u)
	id := m.send(p.Pubkey, "hello </channel> from alice")
	run := u.visit()
	run.awaitSeen("You are in a research group") // as when it was launched
	e := run.awaitSeen("hello [/channel> from alice")
	for _, want := range []string{"Nobody is at the keyboard", "not your user's", id} {
		if !strings.Contains(e.Text, want) {
			t.Errorf("the prompt says nothing of %q: %s", want, e.Text)
		}
	}
	m.awaitState(id, wire.StateSeen)
	if got := run.ways("from alice"); !slices.Equal(got, []string{"prompt"}) {
		t.Errorf("the message came by %q, want by the prompt once\n%s", got, run.story())
	}
	if faults := run.faults(); faults != nil {
		t.Errorf("faults: %q", faults)
	}

	open := u.start("claude", "--resume", p.SessionID)
	eventually(t, "the session in the mesh", func() bool { return m.channelOf(p.SessionID) == "claude-code" })
	id = m.send(p.Pubkey, "while it is open")
	open.awaitSeen("while it is open")
	m.awaitState(id, wire.StateSeen)
	open.end()
	m.kept(p.SessionID)
	m.send(p.Pubkey, "closed again")
	run = u.visit()
	run.awaitSeen("closed again")
	if got := run.ways("while it is open"); got != nil {
		t.Errorf("what the open session was shown came by %q", got)
	}
}

// TestOneKeeperOfASession starts a second one, and ends the first.
func TestOneKeeperOfASession(t *testing.T) {
	t.Parallel()
	m := newHostMesh(t)
	u := m.user("bob")
	p := m.launchWaking(u)
	if out, err := u.command(module, "keep", p.SessionID).CombinedOutput(); err == nil || !strings.Contains(string(out), "another process waits") {
		t.Errorf("a second keeper: %v\n%s", err, out)
	}
	if text := u.output(module, "doctor"); !strings.Contains(text, "closed sessions that mail wakes: "+p.SessionID) {
		t.Errorf("doctor says %q", text)
	}
	if text := u.output(module, "launch", "--stop-waking", p.SessionID); !strings.Contains(text, "no longer wakes") {
		t.Errorf("--stop-waking says %q", text)
	}
	eventually(t, "the keeper to be gone", func() bool { return m.channelOf(p.SessionID) == "" })
	if text := u.output(module, "launch", "--stop-waking", p.SessionID); !strings.Contains(text, "Nothing waits") {
		t.Errorf("--stop-waking says %q", text)
	}
	dir := filepath.Join(u.home, ".claudemesh", "launched", p.SessionID)
	if _, err := os.Stat(filepath.Join(dir, "config.json")); !os.IsNotExist(err) {
		t.Errorf("the keys of the session are left in %s: %v", dir, err)
	}
}

// TestMailOfAFailedWakeIsOfferedAgain has the host fail once.
func TestMailOfAFailedWakeIsOfferedAgain(t *testing.T) {
	t.Parallel()
	m := newHostMesh(t)
	u := m.user("bob")
	p := m.launchWaking(u)
	host := filepath.Join(u.home, "bin", "claude")
	real, err := os.ReadFile(host)
	if err != nil {
		t.Fatal(err)
	}
	replace := func(text string) {
		u.write("bin/next", text)
		if err := os.Rename(filepath.Join(u.home, "bin", "next"), host); err != nil {
			t.Fatal(err)
		}
	}
	replace("#!/bin/sh\ncat >$HOME/prompt; echo \"$@\" >$HOME/args; echo no credit >&2; exit 1\n")
	id := m.send(p.Pubkey, "hello from alice")
	eventually(t, "the wake to fail", func() bool { return strings.Contains(u.wakeLog(p.SessionID), "no credit") })
	replace(string(real))
	if got := m.state(id); got == wire.StateSeen {
		t.Error("the wake has failed, and the message is seen")
	}
	args, err := os.ReadFile(filepath.Join(u.home, "args"))
	if err != nil || strings.Contains(string(args), "alice") || strings.Contains(u.wakeLog(p.SessionID), "hello") {
		t.Errorf("the text is on the command line %q or in the log: %v", args, err)
	}
	u.visit().awaitSeen("hello from alice")
	m.awaitState(id, wire.StateSeen)
}

// wakeLog is what the keeper of a session has written.
func (u *hostUser) wakeLog(session string) string {
	text, err := os.ReadFile(filepath.Join(u.home, ".claudemesh", "launched", session, "wake.log"))
	if err != nil {
		u.t.Log(err)
	}
	return string(text)
}

// TestWakesAreBounded writes to a closed session that is woken once an hour:
// what comes second waits until it is resumed, which ends the waking.
func TestWakesAreBounded(t *testing.T) {
	t.Parallel()
	m := newHostMesh(t)
	u := m.user("bob")
	p := m.launchWaking(u, "--wakes-per-hour", "1")
	id := m.send(p.Pubkey, "the first")
	if e := u.visit().awaitSeen("the first"); !strings.Contains(e.Text, "woken this session 1 times within an hour") {
		t.Errorf("the prompt does not say that it is the last: %s", e.Text)
	}
	m.awaitState(id, wire.StateSeen)
	id = m.send(p.Pubkey, "the second")
	eventually(t, "the message to wait", func() bool { return strings.Contains(u.wakeLog(p.SessionID), "mail waits") })
	if got := m.state(id); got == wire.StateSeen {
		t.Error("nobody was shown the message, and it is seen")
	}
	again := u.start(module, "launch", "--quiet", "--resume", p.SessionID)
	again.prompt("go on")
	again.awaitSeen("the second")
	m.awaitState(id, wire.StateSeen)
	if got := again.ways("the first"); got != nil {
		t.Errorf("what a wake has shown came again by %q", got)
	}
	again.end()
	if text := u.output(module, "launch", "--stop-waking", p.SessionID); !strings.Contains(text, "Nothing waits") {
		t.Errorf("resumed by launch, and still: %q", text)
	}
}
