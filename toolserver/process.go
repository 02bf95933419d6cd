package toolserver

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

const (
	writeTime = 10 * time.Second       // for a server to read a request
	endTime   = 300 * time.Millisecond // for a server to end of its own accord
	drainTime = 3 * time.Second        // to read what one that has ended wrote, should others hold its outputs
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
	how   string        // once done is closed: "exit code 3", "killed by SIGKILL"
	fault error         // why it was ended; guarded by once
	once  sync.Once     // ends it

	mu     sync.Mutex
	reaped bool // its id may be another's; guarded by mu
}

// startProcess starts the program of a server.
func startProcess(cmd *exec.Cmd, opts Options) (*process, error) {
	p := &process{cmd: cmd, patience: opts.Patience, done: make(chan struct{})}
	cmd.Stderr = &bounded{to: &p.log, also: opts.Stderr, over: p.fail}
	cmd.WaitDelay = drainTime
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
		err := cmd.Wait()
		p.reap()
		in.Close()
		out.SetReadDeadline(time.Now().Add(drainTime))
		p.how = howEnded(cmd.ProcessState)
		if opts.After != nil {
			if known := opts.After(); known != nil {
				p.how = known.Error()
			}
		}
		opts.Log.Info("tool server ended", "command", cmd.Path, "how", p.how, "err", err)
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

// howEnded says how a process ended as far as the system tells.
func howEnded(s *os.ProcessState) string {
	if name := signalOf(s); name != "" {
		return "killed by " + name
	}
	return fmt.Sprintf("exit code %d", s.ExitCode())
}

// An Ending is how a program ended that nobody has ended for what it did.
type Ending struct {
	How  string // "exit code 3", "killed by SIGKILL"
	Said string // the last lines of its standard error, in one of at most 2 KiB or so: not for who may not read that
}

// Error implements error.
func (e Ending) Error() string {
	if e.Said == "" {
		return "it ended: " + e.How
	}
	return "it ended: " + e.How + ": " + e.Said
}

// failure says how the process ended, with the last of what it said. It is
// called once it has.
func (p *process) failure() error {
	p.once.Do(func() {}) // p.fault is settled
	if p.fault != nil {
		return p.fault
	}
	return Ending{p.how, p.log.last()}
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
