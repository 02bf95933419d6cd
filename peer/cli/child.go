package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	stopWithin   = 15 * time.Second // then a child is killed
	maxReadyLine = 64 << 10
	keptStderr   = 4 << 10
)

// A Child is a process that this one started and must end with Stop or Kill.
type Child struct {
	cmd    *exec.Cmd
	stdout lineWriter
	stderr tailWriter
	done   chan struct{} // closed when the process has ended
	err    error         // why, once done is closed
}

// StartChild starts cmd, whose standard output and error it takes over.
func StartChild(cmd *exec.Cmd) (*Child, error) {
	c := &Child{cmd: cmd, done: make(chan struct{})}
	c.stdout.line = make(chan struct{})
	cmd.Stdout, cmd.Stderr = &c.stdout, &c.stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { // Stop and Kill wait for it
		c.err = cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// Ready waits for the first line that the child prints and returns it. A child
// that ends instead is an error with the last of what it said.
func (c *Child) Ready(ctx context.Context) (string, error) {
	select {
	case <-c.stdout.line:
		return c.stdout.first(), nil
	case <-c.done:
		return "", c.Failure()
	case <-ctx.Done():
		return "", fmt.Errorf("%s does not say that it is ready: %w", c.cmd.Path, ctx.Err())
	}
}

// Done returns a channel that is closed when the process has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Failure says how a child ended that should be running, with the last of what
// it wrote to its standard error. Call it once Done is closed.
func (c *Child) Failure() error {
	if said := strings.TrimSpace(c.stderr.String()); said != "" {
		return fmt.Errorf("%s ended: %s", c.cmd.Path, said)
	}
	return fmt.Errorf("%s ended: %w", c.cmd.Path, errors.Join(c.err, errors.New("without a word")))
}

// PID returns the process id.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Stop asks the child to end, waits for it, and kills it if it takes longer
// than 15 s. A child that has been killed is an error.
func (c *Child) Stop() error {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		c.Kill() // it has ended, or this system has no such signal
		return nil
	}
	late := time.NewTimer(stopWithin)
	defer late.Stop()
	select {
	case <-c.done:
		return nil
	case <-late.C:
		c.Kill()
		return fmt.Errorf("%s did not end within %v and was killed", c.cmd.Path, stopWithin)
	}
}

// Kill ends the child at once, as a power failure would, and waits for it.
func (c *Child) Kill() {
	_ = c.cmd.Process.Kill() // it fails only where the process has ended
	<-c.done
}

// Usage is what a process has used.
type Usage struct {
	CPU time.Duration // user and system time since it started
	RSS int64         // bytes of memory resident now; 0 where that is not known
	// Switches counts how often the process went to sleep of its own accord,
	// and so how often it woke; 0 where that is not known.
	Switches int64
}

// Usage returns what the child has used so far, where the system tells it of a
// running process, as Linux does. Elsewhere it is zero until the child has ended.
func (c *Child) Usage() Usage {
	select {
	case <-c.done:
		if s := c.cmd.ProcessState; s != nil {
			return Usage{CPU: s.UserTime() + s.SystemTime()}
		}
		return Usage{}
	default:
		return usageOf(c.PID())
	}
}

// lineWriter keeps the first line written to it and drops the rest.
type lineWriter struct {
	line chan struct{} // closed when the first line is complete

	mu       sync.Mutex
	buf      []byte
	complete bool
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.complete {
		return len(p), nil
	}
	w.buf = append(w.buf, p...)
	if i := bytes.IndexByte(w.buf, '\n'); i >= 0 || len(w.buf) > maxReadyLine {
		w.buf = w.buf[:max(i, 0)]
		w.complete = true
		close(w.line)
	}
	return len(p), nil
}

func (w *lineWriter) first() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.buf)
}

// tailWriter keeps the end of what is written to it.
type tailWriter struct {
	mu  sync.Mutex
	buf []byte
}

func (w *tailWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf = append(w.buf, p...)
	if over := len(w.buf) - keptStderr; over > 0 {
		w.buf = append(w.buf[:0], w.buf[over:]...)
	}
	return len(p), nil
}

func (w *tailWriter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.buf)
}
