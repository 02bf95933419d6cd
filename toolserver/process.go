package toolserver

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"claudemesh/wire"
)

const (
	writeTime = 10 * time.Second       // for a server to read a request
	endTime   = 300 * time.Millisecond // for a server to end of its own accord
)

// A process is a server that was started as a program.
type process struct {
	cmd      *exec.Cmd
	in       io.WriteCloser
	out      *os.File // messages reads it
	messages *messages
	log      tail
	patience time.Duration // Options.Patience

	done  chan struct{} // closed when it has ended
	err   error         // how, once done is closed
	known error         // why, if who has made it knows; once done is closed
	fault error         // why it was ended; guarded by once
	once  sync.Once     // ends it

	mu     sync.Mutex
	reaped bool // its id may be another's; guarded by mu
}

// startProcess starts the program of a server.
func startProcess(cmd *exec.Cmd, opts Options) (*process, error) {
	p := &process{cmd: cmd, patience: opts.Patience, done: make(chan struct{})}
	cmd.Stderr = &bounded{to: &p.log, also: opts.Stderr, over: p.fail}
	cmd.WaitDelay = endTime
	// Pipes of our own: those of exec.Cmd have no deadline.
	theirs, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, theirs.Close(), in.Close())
	}
	cmd.Stdin, cmd.Stdout = theirs, theirOut
	err = cmd.Start()
	theirs.Close()
	theirOut.Close()
	if err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	opts.Log.Info("tool server started", "command", cmd.Path, "pid", cmd.Process.Pid)
	p.in, p.out = &timedWriter{f: in, over: p.fail}, out
	p.messages = newMessages(out, p.in, opts.Stdout, p.fail)
	go func() { // end waits for it
		if awaitEnd(cmd) {
			p.reap() // before its id is free
		}
		p.err = cmd.Wait()
		p.reap()
		in.Close()
		out.SetReadDeadline(time.Now().Add(endTime)) // should others hold its end
		if opts.After != nil {
			p.known = opts.After()
		}
		opts.Log.Info("tool server ended", "command", cmd.Path, "err", p.err)
		close(p.done)
	}()
	return p, nil
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// signal sends something to the group of a process, unless its id may be that of
// another by now.
func (p *process) signal(send func(*exec.Cmd)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		send(p.cmd)
	}
}

// reap ends what a process that has ended has left behind. From then on nothing
// is sent to its group.
func (p *process) reap() {
	p.signal(func(cmd *exec.Cmd) {
		killGroup(cmd)
		p.reaped = true
	})
}

// fail ends a process for what it did.
func (p *process) fail(err error) {
	p.once.Do(func() {
		p.fault = err
		p.signal(killGroup)
	})
}

// end has the process end, and waits for it.
func (p *process) end() {
	p.in.Close()
	if !p.endsWithin(endTime) && p.patience > 0 {
		p.signal(askGroup)
		p.endsWithin(p.patience)
	}
	if !p.ended() {
		p.once.Do(func() { p.signal(killGroup) })
		<-p.done
	}
	p.out.Close()
}

// endsWithin waits for a process that ends of its own accord.
func (p *process) endsWithin(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.done:
		return true
	case <-t.C:
		return false
	}
}

// LastWords is how a program ended of which nothing is known but what it wrote
// last to its standard error: whoever may not read that may not read the error.
type LastWords string

// Error implements error.
func (w LastWords) Error() string { return "it ended: " + string(w) }

// failure says how the process ended, with the last of what it said. It is
// called once it has.
func (p *process) failure() error {
	said := wire.Shorten(strings.TrimSpace(p.log.String()), 500)
	p.once.Do(func() {}) // p.fault is settled
	switch {
	case p.fault != nil:
		return p.fault
	case p.known != nil:
		return fmt.Errorf("it ended: %w", p.known)
	case said != "":
		return LastWords(said)
	case p.err != nil:
		return fmt.Errorf("it ended: %w", p.err)
	}
	return errors.New("it ended")
}

// A timedWriter ends a process that does not read: what it has of a request is
// not the whole of it, and would spoil the next.
type timedWriter struct {
	f    *os.File
	over func(error)
}

func (w *timedWriter) Write(p []byte) (int, error) {
	w.f.SetWriteDeadline(time.Now().Add(writeTime)) // where pipes have none a write may wait
	n, err := w.f.Write(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.over(fmt.Errorf("it was ended: it has not read a request within %s", writeTime))
	}
	return n, err
}

func (w *timedWriter) Close() error { return w.f.Close() }

// noLog is the standard error that the process keeps for itself.
type noLog struct{}

func (noLog) Read([]byte) (int, error) { return 0, io.EOF }
func (noLog) Close() error             { return nil }
