//go:build unix

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A hostUser is somebody with a home in which a fake host, as "claude" on the
// PATH, and claudemesh are at work.
type hostUser struct {
	t        *testing.T
	home     string
	runtime  string // XDG_RUNTIME_DIR
	project  string
	channels bool // the remote flag that allows channels is on
	late     bool // servers come up when the hooks of the start have ended
	env      []string
	control  net.Listener
}

// newHostUser makes a home, with the fake host on its PATH.
func newHostUser(t *testing.T, name string) *hostUser {
	t.Helper()
	u := &hostUser{t: t, home: filepath.Join(t.TempDir(), name)}
	t.Cleanup(u.leavesNothing)
	runtime, err := os.MkdirTemp("", "cm") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(runtime) })
	u.runtime, u.project = runtime, filepath.Join(u.home, "project")
	bin := filepath.Join(u.home, "bin")
	for _, dir := range []string{u.project, bin, filepath.Join(u.home, ".claude")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if u.control, err = new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.control.Close() })
	u.env = append(slices.DeleteFunc(os.Environ(), func(e string) bool {
		return strings.HasPrefix(e, "CLAUDE") || strings.HasPrefix(e, "ANTHROPIC")
	}), "HOME="+u.home, "XDG_RUNTIME_DIR="+u.runtime, "CLAUDEMESH_CONFIG_DIR="+filepath.Join(u.home, ".claudemesh"),
		"CLAUDEMESH_DISPLAY_NAME="+name, "GORACE=atexit_sleep_ms=10", "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	u.write("bin/claude", fmt.Sprintf("#!/bin/sh\n%s=%s exec fakehost \"$@\"\n", hostControl, u.control.Addr()))
	return u
}

// write writes a file below the home, a program if it is in bin.
func (u *hostUser) write(name, text string) {
	u.t.Helper()
	// A process that another test starts now would have the file open until it
	// is its own program, and nobody could run it meanwhile.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	mode := os.FileMode(0o600)
	if strings.HasPrefix(name, "bin/") {
		mode = 0o700
	}
	if err := os.WriteFile(filepath.Join(u.home, name), []byte(text), mode); err != nil {
		u.t.Fatal(err)
	}
}

// leavesNothing waits until every process of the user has ended: a waiter whose
// host was killed looks for that now and then, and what still writes is in the
// way of the removal of the home. Where there is no /proc it sees none.
func (u *hostUser) leavesNothing() {
	eventually(u.t, "the end of all processes of "+filepath.Base(u.home), func() bool {
		all, _ := filepath.Glob("/proc/[0-9]*/environ")
		return !slices.ContainsFunc(all, func(path string) bool {
			env, err := os.ReadFile(path)
			return err == nil && slices.Contains(strings.Split(string(env), "\x00"), "HOME="+u.home)
		})
	})
}

// command is a program that the user runs in the project.
func (u *hostUser) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	if name == "claude" {
		cmd.Path = filepath.Join(u.home, "bin", name)
		cmd.Err = nil
	}
	cmd.Env, cmd.Dir = slices.Clone(u.env), u.project
	if u.channels {
		cmd.Env = append(cmd.Env, hostChannels+"=on")
	}
	if u.late {
		cmd.Env = append(cmd.Env, hostLate+"=on")
	}
	return cmd
}

// output runs a program to its end, which must be a good one.
func (u *hostUser) output(name string, args ...string) string {
	u.t.Helper()
	var stderr strings.Builder
	cmd := u.command(name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		u.t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

// A seat is where the test sits in a session of the fake host: it has the user
// type and the model act, and records what a model would have been shown.
type seat struct {
	u       *hostUser
	cmd     *exec.Cmd
	enc     *json.Encoder
	ended   chan struct{}
	answers chan hostEvent
	stderr  *os.File
	told    chan struct{} // closed when all that the session tells was recorded

	mu      sync.Mutex
	events  []hostEvent
	changed chan struct{} // closed and renewed with each event
}

// start runs a program that is, or becomes, the fake host, and waits until the
// session is idle. The program ends with the test, unless it has before.
func (u *hostUser) start(name string, args ...string) *seat {
	u.t.Helper()
	log, err := os.Create(filepath.Join(u.t.TempDir(), "stderr"))
	if err != nil {
		u.t.Fatal(err)
	}
	cmd := u.command(name, args...)
	cmd.Stderr, cmd.Stdout = log, log
	if err := cmd.Start(); err != nil {
		u.t.Fatal(err)
	}
	s := newSeat(u, log)
	s.cmd = cmd
	go func() { // u.t.Cleanup waits for it
		defer close(s.ended)
		cmd.Wait()
	}()
	u.t.Cleanup(s.end)
	s.listen()
	s.await("the session to start", func(e hostEvent) bool { return e.Event == "idle" })
	return s
}

func newSeat(u *hostUser, log *os.File) *seat {
	return &seat{u: u, ended: make(chan struct{}), answers: make(chan hostEvent, 1), changed: make(chan struct{}), told: make(chan struct{}), stderr: log}
}

// listen takes the connection of the session and reads what it tells.
func (s *seat) listen() {
	s.u.t.Helper()
	s.u.control.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	conn, err := s.u.control.Accept()
	if err != nil {
		s.u.t.Fatalf("the fake host did not come up: %v\n%s", err, s.log())
	}
	s.enc = json.NewEncoder(conn)
	go func() {
		defer close(s.told)
		for dec := json.NewDecoder(bufio.NewReader(conn)); ; {
			var e hostEvent
			if dec.Decode(&e) != nil {
				return
			}
			s.record(e)
		}
	}()
	s.u.t.Cleanup(func() { conn.Close(); <-s.told })
}

func (s *seat) record(e hostEvent) {
	s.mu.Lock()
	s.events = append(s.events, e)
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
	if e.Event == "answer" {
		s.answers <- e
	}
}

// end has the user leave, and waits until the program is gone and all that it
// told was recorded.
func (s *seat) end() {
	if s.enc == nil { // it never came up
		s.cmd.Process.Kill()
		<-s.ended
		return
	}
	s.enc.Encode(hostCommand{Do: "exit"}) // which one that has ended needs not
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.cmd.Process.Kill()
		<-s.ended
		s.u.t.Errorf("the session did not end\n%s", s.log())
	}
	<-s.told
}

// log is what the session and what it started wrote to standard error.
func (s *seat) log() string {
	text, _ := os.ReadFile(s.stderr.Name())
	return string(text)
}

// do has the session do something and returns what the model got of it.
func (s *seat) do(cmd hostCommand) (string, error) {
	s.u.t.Helper()
	if err := s.enc.Encode(cmd); err != nil {
		s.u.t.Fatalf("%s: %v\n%s", cmd.Do, err, s.log())
	}
	select {
	case a := <-s.answers:
		if a.Err != "" {
			return a.Text, fmt.Errorf("%s", a.Err)
		}
		return a.Text, nil
	case <-s.ended:
		s.u.t.Fatalf("%s: the session has ended\n%s", cmd.Do, s.log())
	case <-time.After(2 * patience):
		s.u.t.Fatalf("%s: no answer\n%s", cmd.Do, s.log())
	}
	return "", io.EOF
}

// must is do for what must go well.
func (s *seat) must(cmd hostCommand) string {
	s.u.t.Helper()
	text, err := s.do(cmd)
	if err != nil {
		s.u.t.Fatalf("%s %s: %v\n%s", cmd.Do, cmd.Name, err, s.log())
	}
	return text
}

// prompt is a whole turn in which the model calls no tool.
func (s *seat) prompt(text string) {
	s.u.t.Helper()
	s.must(hostCommand{Do: "begin", Text: text})
	s.must(hostCommand{Do: "stop"})
}

// until has the session do something, again if need be, until the model was
// shown a text: a hook whose time is over and a server that has only just got
// a message bring it the next time.
func (s *seat) until(text string, step func()) {
	s.u.t.Helper()
	eventually(s.u.t, fmt.Sprintf("%q before the model", text), func() bool {
		step()
		return s.ways(text) != nil
	})
}

// call has the model call a tool of the MCP server; args is JSON.
func (s *seat) call(name, args string) string {
	s.u.t.Helper()
	return s.must(hostCommand{Do: "call", Name: name, Args: json.RawMessage(args)})
}

// await waits until an event is of a kind, and returns the first such.
func (s *seat) await(what string, is func(hostEvent) bool) hostEvent {
	s.u.t.Helper()
	limit := time.After(patience)
	for from := 0; ; {
		s.mu.Lock()
		events, changed := s.events[from:], s.changed
		s.mu.Unlock()
		if i := slices.IndexFunc(events, is); i >= 0 {
			return events[i]
		}
		from += len(events)
		select {
		case <-changed:
		case <-limit:
			s.u.t.Fatalf("waited for %s in vain\n%s\n%s", what, s.story(), s.log())
		}
	}
}

// awaitSeen waits until the model has been shown a text, and returns how.
func (s *seat) awaitSeen(text string) hostEvent {
	s.u.t.Helper()
	return s.await(fmt.Sprintf("%q before the model", text), func(e hostEvent) bool { return e.Event == "seen" && strings.Contains(e.Text, text) })
}

// opened reports whether the host has a text for the first turn of a session.
func (s *seat) opened(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.events, func(e hostEvent) bool { return e.Event == "opening" && strings.Contains(e.Text, text) })
}

// ways returns how a text came before the model, once for each time.
func (s *seat) ways(text string) (ways []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Event == "seen" {
			for range strings.Count(e.Text, text) {
				ways = append(ways, e.Way)
			}
		}
	}
	return ways
}

// faults are what the session found wrong with its hooks and servers.
func (s *seat) faults() (faults []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Event == "fault" {
			faults = append(faults, e.Text)
		}
	}
	return faults
}

// story is all that the session told, for whoever looks for a fault.
func (s *seat) story() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, e := range s.events {
		fmt.Fprintf(&b, "%s %d %s %s%.400q\n", e.Event, e.Turn, e.Way, e.Err, e.Text)
	}
	return b.String()
}
