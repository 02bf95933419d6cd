package main

import (
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"claudemesh/wire"
)

// openPTY returns the two ends of a new terminal of 80 by 24.
func openPTY(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminals here:", err)
	}
	t.Cleanup(func() { ours.Close() })
	if err := unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { theirs.Close() })
	if err := unix.IoctlSetWinsize(int(theirs.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// A screen keeps what a terminal was told.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// launchAt starts launch at a terminal, and returns what that shows.
func launchAt(t *testing.T, u *hostUser, ours, theirs *os.File) (*exec.Cmd, *screen) {
	t.Helper()
	cmd := u.command(module, "launch")
	cmd.Env = append(cmd.Env, "TERM=xterm-256color", "ACCESSIBLE=")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := new(screen)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, err := ours.Read(buf)
			if err != nil {
				return
			}
			said.Write(buf[:n])
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		theirs.Close()
		ours.Close()
		<-done
		if t.Failed() {
			t.Logf("the terminal shows %q", said.String())
		}
	})
	return cmd, said
}

// TestLaunchAsksByAFormAtATerminal fills the form in, and looks whether the
// host finds the terminal as the user had it.
func TestLaunchAsksByAFormAtATerminal(t *testing.T) {
	m := newHostMesh(t)
	u := m.user("bob")
	ours, theirs := openPTY(t)
	before, err := unix.IoctlGetTermios(int(theirs.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	_, said := launchAt(t, u, ours, theirs)
	// Of Role a terminal may be sent only what differs from Name.
	for _, c := range []struct{ title, keys string }{{"Name", "\r"}, {"Rol", "lead\r"}, {"Groups", "docs:lead\r"}, {"Messages", "\x1b[B\r"}} {
		eventually(t, "the question "+c.title, func() bool { return strings.Contains(said.String(), c.title) })
		if _, err := ours.WriteString(c.keys); err != nil {
			t.Fatal(err)
		}
	}
	s := u.visit()
	s.await("the session to start", func(e hostEvent) bool { return e.Event == "idle" })
	after, err := unix.IoctlGetTermios(int(theirs.Fd()), unix.TCGETS)
	if err != nil || !reflect.DeepEqual(before, after) {
		t.Errorf("the terminal was\n%+v and is\n%+v, %v", before, after, err)
	}
	if p := m.sessionIn("bob", wire.Group{Name: "docs", Role: "lead"}); p.Role != "lead" {
		t.Errorf("the session is %+v", p)
	}
	if text := said.String(); !strings.Contains(text, "bob, mesh home, role lead, @docs") {
		t.Errorf("the banner is missing")
	}
}

// TestLaunchAsksLineByLineWhereNoFormFits has a terminal that does not know its size.
func TestLaunchAsksLineByLineWhereNoFormFits(t *testing.T) {
	m := newHostMesh(t)
	u := m.user("bob")
	ours, theirs := openPTY(t)
	if err := unix.IoctlSetWinsize(int(theirs.Fd()), unix.TIOCSWINSZ, new(unix.Winsize)); err != nil {
		t.Fatal(err)
	}
	_, said := launchAt(t, u, ours, theirs)
	for _, c := range []struct{ asks, answer string }{{"Name (what others see)", "\n"}, {"Role (optional)", "lead\n"}, {"Groups (optional", "docs\n"}, {"Messages [1]: ", "\n"}} {
		eventually(t, "the question "+c.asks, func() bool { return strings.Contains(said.String(), c.asks) })
		if _, err := ours.WriteString(c.answer); err != nil {
			t.Fatal(err)
		}
	}
	u.visit().await("the session to start", func(e hostEvent) bool { return e.Event == "idle" })
	if p := m.sessionIn("bob", wire.Group{Name: "docs"}); p.Role != "lead" {
		t.Errorf("the session is %+v", p)
	}
}

// TestLaunchStartsNothingWhenItsQuestionsAreEnded has it told to end while it asks.
func TestLaunchStartsNothingWhenItsQuestionsAreEnded(t *testing.T) {
	m := newHostMesh(t)
	ours, theirs := openPTY(t)
	cmd, said := launchAt(t, m.user("bob"), ours, theirs)
	eventually(t, "a question", func() bool { return strings.Contains(said.String(), "Name") })
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("it ended as if all was well")
	}
	eventually(t, "that it says so", func() bool { return strings.Contains(said.String(), errNoAnswer.Error()) })
}
