package confine

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mark returns a number of seconds to sleep by which the processes of one test
// are known.
func mark() string { return fmt.Sprintf("%d.%d", 3000+rand.IntN(1000), rand.Int32()) }

// marked returns the processes of the machine that have the mark in their arguments.
func marked(mark string) (pids []string) {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range all {
		if b, err := os.ReadFile(path); err == nil && bytes.Contains(b, []byte(mark)) {
			pids = append(pids, filepath.Base(filepath.Dir(path)))
		}
	}
	return pids
}

// daemons is a script whose grandchildren leave the group and the session, ignore what
// asks them to end, and let go of the pipes.
func daemons(mark string) []string {
	return []string{"sh", "-c", `
		for i in 1 2 3; do
			setsid sh -c 'trap "" TERM HUP INT; (trap "" TERM; exec sleep '$1') </dev/null >/dev/null 2>&1 & sleep '$1 </dev/null >/dev/null 2>&1 &
		done
		(sleep $1 &)
		while [ $(cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\0" "\n" | grep -cx "$1") -lt 9 ]; do sleep 0.05; done
		trap "" TERM
		echo up
		read x`, "sh", mark}
}

// started starts a cell's program and waits for its first line.
func started(t *testing.T, c *Confiner, ctx context.Context, cell Cell) *Program {
	t.Helper()
	p, err := c.Command(ctx, cell)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	if _, err := p.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	p.Stderr = &said
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		p.Wait()
		t.Fatalf("%v: %s %s", err, line, said.String())
	}
	return p
}

func TestNothingIsLeftOfACell(t *testing.T) {
	for _, end := range []struct {
		how string
		do  func(p *Program, cancel context.CancelFunc)
	}{
		{"killed group", func(p *Program, _ context.CancelFunc) { syscall.Kill(-p.Process.Pid, syscall.SIGKILL) }},
		{"killed process", func(p *Program, _ context.CancelFunc) { p.Process.Kill() }},
		{"ended context", func(_ *Program, cancel context.CancelFunc) { cancel() }},
		{"killed supervisor", func(p *Program, _ context.CancelFunc) {
			for _, pid := range childrenOf(strconv.Itoa(p.Process.Pid)) {
				syscall.Kill(pid, syscall.SIGKILL) // below a process that holds its group; else it is the program
			}
		}},
		{"closed", func(p *Program, _ context.CancelFunc) { p.Close() }},
	} {
		t.Run(end.how, func(t *testing.T) {
			eachWay(t, func(t *testing.T, c *Confiner) {
				m := mark()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				p := started(t, c, ctx, newCell(t, daemons(m)...))
				if len(marked(m)) < 7 {
					t.Errorf("only %v are there before the end", marked(m))
				}
				end.do(p, cancel)
				if err := p.Wait(); err == nil {
					t.Error("it ended well")
				}
				p.Close()
				if left := marked(m); len(left) > 0 {
					t.Errorf("%v are left", left)
				}
			})
		})
	}
}

func TestWhatAProgramLeavesEndsWithIt(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Confiner) {
		m := mark()
		cell := newCell(t, "sh", "-c", "setsid sh -c 'trap \"\" TERM; sleep "+m+"' & (sleep "+m+" &); exit 5")
		if out, err := run(t, c, cell); err == nil || err.Error() != "exit status 5" {
			t.Errorf("%v: %s", err, out)
		}
		if left := marked(m); len(left) > 0 {
			t.Errorf("%v are left", left)
		}
	})
}

func TestAskingAGroupToEndAsksTheProgram(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Confiner) {
		p := started(t, c, t.Context(), newCell(t, "sh", "-c", `trap "exit 9" TERM; echo up; while :; do sleep 0.02; done`))
		syscall.Kill(-p.Process.Pid, syscall.SIGTERM)
		if err := p.Wait(); err == nil || err.Error() != "exit status 9" {
			t.Error(err)
		}
	})
}

// TestNothingIsLeftWhenTheBrokerIsKilled has a process be the broker, and kills it.
func TestNothingIsLeftWhenTheBrokerIsKilled(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Confiner) {
		m := mark()
		cell := newCell(t, daemons(m)...)
		_, way, _ := strings.Cut(t.Name(), "/")
		b := exec.CommandContext(t.Context(), "/proc/self/exe", append([]string{"play", "broker", strings.ReplaceAll(way, "_", " "), cell.Dir}, cell.Args...)...)
		out, err := b.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		b.Stderr = os.Stderr
		if err := b.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil || len(marked(m)) < 7 {
			t.Errorf("%s, %v: %v", line, err, marked(m))
		}
		b.Process.Kill()
		b.Wait()
		for deadline := time.Now().Add(2 * endWithin); len(marked(m)) > 0; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%v are left", marked(m))
			}
		}
	})
}
