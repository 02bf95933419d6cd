package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A terminal is a shell that is typed at.
type terminal struct {
	t     *testing.T
	in    io.Writer
	lines chan string     // what is printed, until the shell has ended
	said  strings.Builder // what of it was read
}

// openTerminal starts a shell. It is killed at the end of the test.
func openTerminal(t *testing.T, env []string) *terminal {
	t.Helper()
	cmd := exec.Command("sh")
	cmd.Env = env
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, in: in, lines: make(chan string)}
	go func() {
		defer close(term.lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			term.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		for range term.lines { // until the reader has ended
		}
		r.Close()
	})
	return term
}

// run types a command, waits for its end and fails the test unless it succeeds.
func (term *terminal) run(where, command string) {
	term.t.Helper()
	const done = "--done--"
	// A command that asks a question gets no answer: the README has none.
	term.enter(where, "{ "+command+"\n} </dev/null; echo "+done+" $?")
	if out := term.await(where, command, done); !strings.HasSuffix(out, done+" 0\n") {
		term.t.Fatalf("%s: %s\n%s", where, command, out)
	}
}

// runUntil types a command that runs on and waits until it has printed text.
// The command takes the place of the shell, and ends with it.
func (term *terminal) runUntil(where, command, text string) {
	term.t.Helper()
	term.enter(where, "exec "+command)
	term.await(where, command, text)
}

func (term *terminal) enter(where, line string) {
	term.t.Helper()
	if _, err := io.WriteString(term.in, line+"\n"); err != nil {
		term.t.Fatalf("%s: %v", where, err)
	}
}

// await reads up to a line that holds text and returns what was read.
func (term *terminal) await(where, command, text string) string {
	term.t.Helper()
	const longest = 5 * time.Minute // it may be the go command that builds
	var out strings.Builder
	for late := time.After(longest); ; {
		select {
		case line, ok := <-term.lines:
			if !ok {
				term.t.Fatalf("%s: %s: ended without %q\n%s", where, command, text, out.String())
			}
			out.WriteString(line + "\n")
			if strings.Contains(line, text) {
				term.t.Logf("%s: %s\n%s", where, command, out.String())
				term.said.WriteString(out.String())
				return out.String()
			}
		case <-late:
			term.t.Fatalf("%s: %s: no %q within %v\n%s", where, command, text, longest, out.String())
		}
	}
}
