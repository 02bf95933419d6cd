package launch

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"claudemesh/peer"
)

// startWait runs a waiter and returns what it printed and reported, once it has
// ended.
func startWait(ctx context.Context, getenv func(string) string) func() (text string, woke bool, err error) {
	var out strings.Builder
	var woke bool
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		woke, err = Wait(ctx, WaitRun{Getenv: getenv, Stderr: &out, Stdin: strings.NewReader("{}"), lookEvery: time.Millisecond})
	}()
	return func() (string, bool, error) { <-done; return out.String(), woke, err }
}

func TestWaitEndsWithMail(t *testing.T) {
	s, getenv := newTestSession(t)
	end := startWait(t.Context(), getenv)
	<-s.asked
	full := peer.MailRecord{Full: true}
	full.MessageID = "m1"
	s.mail <- peer.MailAnswer{Text: "a peer says hello", Records: []peer.MailRecord{full}}
	text, woke, err := end()
	if text != "a peer says hello\n" || !woke || err != nil {
		t.Errorf("printed %q, woke %v, %v", text, woke, err)
	}
	requests, reports, shown := s.record()
	if requests[0].Way != peer.WayWake || len(reports) > 0 || strings.Join(shown, ",") != "wake m1" {
		t.Errorf("asked %+v, reported %v, confirmed %v", requests, reports, shown)
	}
}

func TestWaitNeverWakesWithoutMail(t *testing.T) {
	t.Run("one turn only", func(t *testing.T) {
		s, getenv := newTestSession(t, "mail")
		env := func(name string) string {
			if name == "CLAUDE_CODE_ENTRYPOINT" {
				return "sdk-cli"
			}
			return getenv(name)
		}
		if text, woke, err := startWait(t.Context(), env)(); text != "" || woke || err != nil {
			t.Errorf("printed %q, woke %v, %v", text, woke, err)
		}
		if requests, _, _ := s.record(); len(requests) > 0 {
			t.Errorf("asked %v", requests)
		}
	})
	t.Run("outside of a hook", func(t *testing.T) {
		if text, woke, err := startWait(t.Context(), testEnv(nil))(); text != "" || woke || err == nil {
			t.Errorf("printed %q, woke %v, %v", text, woke, err)
		}
	})
	t.Run("a session that fails", func(t *testing.T) {
		s, getenv := newTestSession(t)
		s.fault = errors.New("out of order")
		ctx, cancel := context.WithCancel(t.Context())
		end := startWait(ctx, getenv)
		<-s.asked
		cancel()
		if text, woke, err := end(); text != "" || woke || !errors.Is(err, context.Canceled) {
			t.Errorf("printed %q, woke %v, %v", text, woke, err)
		}
	})
	t.Run("a panic", func(t *testing.T) {
		if _, woke, err := startWait(t.Context(), nil)(); woke || err == nil {
			t.Errorf("woke %v, %v", woke, err)
		}
	})
	t.Run("nowhere to print", func(t *testing.T) {
		_, getenv := newTestSession(t, "mail")
		r, w := io.Pipe()
		r.Close()
		if woke, err := Wait(t.Context(), WaitRun{Getenv: getenv, Stderr: w}); woke || err == nil {
			t.Errorf("woke %v, %v", woke, err)
		}
	})
}

func TestNewerWaiterSupersedesTheOlder(t *testing.T) {
	s, getenv := newTestSession(t)
	older := startWait(t.Context(), getenv)
	<-s.asked
	newer := startWait(t.Context(), getenv)
	if text, woke, err := older(); text != "" || woke || !errors.Is(err, errSuperseded) {
		t.Errorf("the older printed %q, woke %v, %v", text, woke, err)
	}
	<-s.left
	<-s.asked
	s.mail <- peer.MailAnswer{Text: "mail"}
	if text, woke, err := newer(); text != "mail\n" || !woke || err != nil {
		t.Errorf("the newer printed %q, woke %v, %v", text, woke, err)
	}
}

func TestWaiterEndsWithItsHost(t *testing.T) {
	s, getenv := newTestSession(t)
	host := exec.CommandContext(t.Context(), os.Args[0])
	host.Env = append(os.Environ(), roleVariable+"=server")
	stdin, err := host.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	end := startWait(t.Context(), func(name string) string {
		if name == "CLAUDE_PID" {
			return strconv.Itoa(host.Process.Pid)
		}
		return getenv(name)
	})
	<-s.asked
	stdin.Close()
	if err := host.Wait(); err != nil {
		t.Fatal(err)
	}
	if text, woke, err := end(); text != "" || woke || !errors.Is(err, errHostGone) {
		t.Errorf("printed %q, woke %v, %v", text, woke, err)
	}
	dir, err := peer.RuntimeDir()
	if err != nil {
		t.Fatal(err)
	}
	if left := names(t, dir); strings.Contains(left, "waiter") || strings.Contains(left, "turns") {
		t.Errorf("left behind: %s", left)
	}
}

func TestWaiterRestsAfterSixWakesInAMinute(t *testing.T) {
	s, getenv := newTestSession(t)
	for i := range maxWakes {
		s.mail <- peer.MailAnswer{Text: "mail " + strconv.Itoa(i)}
		text, woke, err := startWait(t.Context(), getenv)()
		<-s.asked
		if !woke || err != nil {
			t.Fatalf("wake %d: %v", i, err)
		}
		if says := strings.Contains(text, "6 times within a minute"); says != (i == maxWakes-1) {
			t.Errorf("wake %d says %q", i, text)
		}
	}
	s.mail <- peer.MailAnswer{Text: "one more"}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if text, woke, err := startWait(ctx, getenv)(); text != "" || woke || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("printed %q, woke %v, %v", text, woke, err)
	}
	if len(s.mail) != 1 {
		t.Error("mail was taken that was not shown")
	}
}

func TestWakesLongAgoDoNotCount(t *testing.T) {
	var w turns
	now := time.Now()
	for i := range 50 {
		if w.woke(now.Add(time.Duration(i) * wakeWindow / (maxWakes - 1))) {
			t.Fatalf("wake %d was one too many", i)
		}
	}
}
