package cli

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"testing"
)

// childPart, in the environment, has TestMainOfChild play a child.
const childPart = "CHILD_PART"

func TestMainOfChild(t *testing.T) {
	switch os.Getenv(childPart) {
	case "":
		t.Skip("this is the program of the other tests' children")
	case "ready":
		fmt.Println("listening")
		fmt.Println("and more")
		<-t.Context().Done()
	case "stubborn":
		signal.Ignore(os.Interrupt)
		fmt.Println("listening")
		bufio.NewReader(os.Stdin).ReadByte() // never comes
	case "failing":
		fmt.Fprintln(os.Stderr, strings.Repeat("x", keptStderr), "the disk is full")
		os.Exit(3)
	case "mute":
	}
	os.Exit(0)
}

func child(t *testing.T, part string) *Child {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestMainOfChild$")
	cmd.Env = append(os.Environ(), childPart+"="+part)
	if part == "stubborn" {
		if _, err := cmd.StdinPipe(); err != nil {
			t.Fatal(err)
		}
	}
	c, err := StartChild(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Kill)
	return c
}

func TestChildIsReadyWithItsFirstLine(t *testing.T) {
	c := child(t, "stubborn")
	if line, err := c.Ready(t.Context()); err != nil || line != "listening" {
		t.Fatalf("ready: %q, %v", line, err)
	}
	if runtime.GOOS == "linux" {
		if u := c.Usage(); u.RSS == 0 || u.Switches == 0 {
			t.Errorf("usage of a running process: %+v", u)
		}
	}
	c.Kill()
	select {
	case <-c.Done():
	default:
		t.Error("Kill did not wait for the process")
	}
	if u := c.Usage(); u.CPU == 0 {
		t.Errorf("usage of a process that has ended: %+v", u)
	}
	c.Kill() // again does no harm
}

func TestChildThatStopsIsWaitedFor(t *testing.T) {
	c := child(t, "ready")
	if _, err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	select {
	case <-c.Done():
	default:
		t.Error("Stop did not wait for the process")
	}
}

func TestChildThatEndsInsteadOfBeingReadySaysWhy(t *testing.T) {
	c := child(t, "failing")
	if _, err := c.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "the disk is full") || len(err.Error()) > keptStderr+500 {
		t.Errorf("ready: %v", err)
	}
	c = child(t, "mute")
	if _, err := c.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "without a word") {
		t.Errorf("ready: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := child(t, "stubborn").Ready(ctx); err == nil {
		t.Error("waited on without a context")
	}
}

func TestLineThatNeverEndsIsCut(t *testing.T) {
	w := lineWriter{line: make(chan struct{})}
	for range maxReadyLine/1000 + 2 {
		if n, err := w.Write(make([]byte, 1000)); n != 1000 || err != nil {
			t.Fatal(n, err)
		}
	}
	select {
	case <-w.line:
	default:
		t.Errorf("%d bytes are kept", len(w.buf))
	}
	if w.first() != "" {
		t.Errorf("it is taken for a line of %d bytes", len(w.first()))
	}
}
