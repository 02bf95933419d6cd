//go:build unix

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// backgroundBroker reads which broker launch has started for a user, and ends
// it with the test.
func (u *hostUser) backgroundBroker() (pid int, url string) {
	u.t.Helper()
	text, err := os.ReadFile(filepath.Join(u.home, ".claudemesh", "broker.json"))
	var b struct {
		PID       int
		BrokerURL string
	}
	if err == nil {
		err = json.Unmarshal(text, &b)
	}
	if err != nil || b.PID == 0 {
		u.t.Fatalf("broker.json: %v: %s", err, text)
	}
	u.t.Cleanup(func() { syscall.Kill(b.PID, syscall.SIGKILL) })
	return b.PID, b.BrokerURL
}

// TestLaunchStartsAndRevivesABrokerOfItsOwn launches on a machine where nothing
// is set up, and again when the broker of the first time has died.
func TestLaunchStartsAndRevivesABrokerOfItsOwn(t *testing.T) {
	u := newHostUser(t, "bob")
	address, release, err := holdPort()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	u.env = append(u.env, "CLAUDEMESH_LISTEN="+address)
	first := u.start(module, "launch", "--quiet")
	pid, url := u.backgroundBroker()
	first.end()
	if log := first.log(); strings.Contains(log, "broker") {
		t.Errorf("with --quiet launch says %q", log)
	}
	second := u.start(module, "launch")
	if log := second.log(); strings.Contains(log, "started again") {
		t.Errorf("the broker runs, and launch says %q", log)
	}
	second.end()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the broker to be gone", func() bool { return u.command(module, "status").Run() != nil })
	third := u.start(module, "launch")
	again, sameURL := u.backgroundBroker()
	if log := third.log(); again == pid || sameURL != url || !strings.Contains(log, "had stopped; it was started again in the background, at "+url) {
		t.Errorf("broker %d at %s became %d at %s; launch says %q", pid, url, again, sameURL, log)
	}
	u.output(module, "status")
	third.end()
}

// TestStatusTellsOfRunningSessions asks outside of any session.
func TestStatusTellsOfRunningSessions(t *testing.T) {
	m := newHostMesh(t)
	u := m.user("bob")
	if text := u.output(module, "status"); strings.Contains(text, "runs") {
		t.Errorf("without a session status says %q", text)
	}
	id := newUUID()
	s := u.start("claude", "--session-id", id)
	mail := m.send(m.address(id), "hello from alice")
	s.awaitSeen("hello from alice")
	m.awaitState(mail, "seen")
	text := u.output(module, "status")
	for _, want := range []string{"session " + id + " runs", "wake: ", "0 messages unseen", "check: open, has not worked yet"} {
		if !strings.Contains(text, want) {
			t.Errorf("status says nothing of %q:\n%s", want, text)
		}
	}
	var status struct {
		Sessions []struct {
			Session string
			Ways    []struct{ Name, LastWorked string }
		}
	}
	if err := json.Unmarshal([]byte(u.output(module, "status", "--json")), &status); err != nil || len(status.Sessions) != 1 || status.Sessions[0].Session != id {
		t.Fatalf("status --json: %v %+v", err, status)
	}
	for _, w := range status.Sessions[0].Ways {
		if w.Name == "wake" && w.LastWorked == "" {
			t.Error("the message came by wake, and status does not know")
		}
	}
	s.end()
	if text := u.output(module, "status"); strings.Contains(text, id) {
		t.Errorf("the session has ended, and status says %q", text)
	}
}
