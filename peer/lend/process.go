package lend

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

const (
	maxLine   = 4 << 20                // bytes of one message of a server
	maxMinute = 64 << 20               // bytes that a server may write in a minute
	writeTime = 10 * time.Second       // for a server to read a request
	endTime   = 300 * time.Millisecond // for a server to end of its own accord
	keptLog   = 2 << 10                // bytes of its standard error
)

// A process is a server that was started as a program.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out io.Reader
	log tail

	done  chan struct{} // closed when it has ended
	err   error         // how, once done is closed
	flood error         // why it was ended for what it wrote; guarded by once
	once  sync.Once     // ends it
}

// startProcess starts the program of a server.
func startProcess(from peer.ToolServer, log *slog.Logger) (*process, error) {
	if from.Command == "" {
		return nil, errors.New("its entry in the configuration has neither a command nor a url")
	}
	p := &process{cmd: exec.Command(from.Command, from.Args...), done: make(chan struct{})}
	p.cmd.Env = environment(from.Env)
	p.cmd.Dir = from.Dir
	if home, err := os.UserHomeDir(); p.cmd.Dir == "" && err == nil {
		p.cmd.Dir = home
	}
	p.cmd.Stderr = &p.log
	p.cmd.WaitDelay = endTime
	apart(p.cmd)
	// Pipes of our own: those of exec.Cmd have no deadline.
	theirs, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, theirs.Close(), in.Close())
	}
	p.cmd.Stdin, p.cmd.Stdout = theirs, theirOut
	err = p.cmd.Start()
	theirs.Close()
	theirOut.Close()
	if err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	log.Info("tool server started", "command", from.Command, "pid", p.cmd.Process.Pid)
	p.in, p.out = &timedWriter{f: in}, &boundedReader{r: out, over: p.flooded}
	go func() { // end waits for it
		p.err = p.cmd.Wait()
		killGroup(p.cmd) // what it has left behind
		in.Close()
		log.Info("tool server ended", "command", from.Command, "err", p.err)
		close(p.done)
	}()
	return p, nil
}

// environment is what a server sees: where programs, files and the user are,
// and what its entry says. No secret of the session's is in it.
func environment(extra map[string]string) []string {
	var env []string
	for _, name := range []string{
		"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR",
		"SystemRoot", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "TEMP", "TMP", "PATHEXT", "COMSPEC",
	} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	for name, v := range extra {
		env = append(env, name+"="+v)
	}
	return env
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// flooded ends a process for what it wrote.
func (p *process) flooded(err error) {
	p.once.Do(func() {
		p.flood = err
		killGroup(p.cmd)
	})
}

// end has the process end, and waits for it.
func (p *process) end() {
	p.in.Close()
	select {
	case <-p.done:
	case <-time.After(endTime):
		p.once.Do(func() { killGroup(p.cmd) })
		<-p.done
	}
}

// failure says how the process ended, with the last of what it said. It is
// called once it has.
func (p *process) failure() error {
	said := wire.Shorten(strings.TrimSpace(p.log.String()), 500)
	p.once.Do(func() {}) // p.flood is settled
	switch {
	case p.flood != nil:
		return p.flood
	case said != "":
		return fmt.Errorf("it ended: %s", said)
	case p.err != nil:
		return fmt.Errorf("it ended: %w", p.err)
	}
	return errors.New("it ended")
}

// A timedWriter fails when the process does not read.
type timedWriter struct{ f *os.File }

func (w *timedWriter) Write(p []byte) (int, error) {
	w.f.SetWriteDeadline(time.Now().Add(writeTime)) // where pipes have none a write may wait
	return w.f.Write(p)
}

func (w *timedWriter) Close() error { return w.f.Close() }

// A boundedReader ends where a line, or what comes in a minute, is too long.
type boundedReader struct {
	r     io.ReadCloser
	over  func(error)
	line  int       // bytes of the line under way
	since time.Time // when counting began
	count int       // bytes since
}

func (b *boundedReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if i := strings.LastIndexByte(string(p[:n]), '\n'); i >= 0 {
		b.line = n - i - 1
	} else {
		b.line += n
	}
	if now := time.Now(); now.Sub(b.since) > time.Minute {
		b.since, b.count = now, 0
	}
	b.count += n
	switch {
	case b.line > maxLine:
		err = fmt.Errorf("it was ended: it wrote a message of more than %d MiB", maxLine>>20)
	case b.count > maxMinute:
		err = fmt.Errorf("it was ended: it wrote more than %d MiB in a minute", maxMinute>>20)
	default:
		if err != nil {
			b.r.Close()
		}
		return n, err
	}
	b.over(err)
	b.r.Close()
	return 0, io.EOF
}

// A tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p[max(0, len(p)-keptLog):]...)
	if over := len(t.buf) - keptLog; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}

// noLog is the standard error that the process keeps for itself.
type noLog struct{}

func (noLog) Read([]byte) (int, error) { return 0, io.EOF }
func (noLog) Close() error             { return nil }
