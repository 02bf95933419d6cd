package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// brokersKey is where a script keeps its brokers, by their names.
type brokersKey struct{}

// A brokerProcess is a broker that a script started, and how to start it again.
type brokerProcess struct {
	name string
	args []string // of serve, without --listen
	env  []string
	addr string // of each start
	log  string // file of its standard error

	cmd  *exec.Cmd     // nil while it is not running
	done chan struct{} // closed when it has ended
	err  error         // of its end; read after done
}

// ready is what serve --json prints when it listens.
type ready struct {
	URL    string `json:"url"`
	Listen string `json:"listen"`
	Home   *struct {
		MeshID string `json:"meshId"`
		Invite string `json:"invite"`
	} `json:"home"`
}

// startBroker starts a broker and waits until it listens: broker [NAME] [FLAG...].
func startBroker(ts *testscript.TestScript, neg bool, args []string) {
	name := "broker"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	if neg {
		ts.Fatalf("to see serve fail, run it: ! claudemesh serve")
	}
	all := ts.Value(brokersKey{}).(map[string]*brokerProcess)
	b := all[name]
	if b == nil {
		work := ts.Getenv("WORK")
		addr, release, err := holdPort()
		ts.Check(err)
		ts.Defer(release)
		b = &brokerProcess{name: name, addr: addr, env: brokerEnv(ts), log: filepath.Join(work, name+".log")}
		ts.Setenv(b.variable("DATA"), filepath.Join(work, name))
		all[name] = b
		ts.Defer(func() { b.cleanUp(ts) })
	}
	if b.running() {
		ts.Fatalf("broker %s runs already", name)
	}
	b.args = append([]string{"serve", "--json", "--data", ts.Getenv(b.variable("DATA"))}, args...)
	b.start(ts)
}

// stopBroker asks a broker to end and waits until it has, which must be in
// good order: stop-broker [NAME].
func stopBroker(ts *testscript.TestScript, neg bool, args []string) {
	b := runningBroker(ts, neg, args)
	if runtime.GOOS == "windows" {
		b.end(ts, os.Kill)
		return
	}
	b.end(ts, syscall.SIGTERM)
	if b.err != nil {
		ts.Fatalf("broker %s: %v", b.name, b.err)
	}
}

// killBroker ends a broker as a power cut would: kill-broker [NAME].
func killBroker(ts *testscript.TestScript, neg bool, args []string) {
	runningBroker(ts, neg, args).end(ts, os.Kill)
}

// restartBroker stops a broker and starts it at the same address: restart-broker [NAME].
func restartBroker(ts *testscript.TestScript, neg bool, args []string) {
	stopBroker(ts, neg, args)
	named(ts, args).start(ts)
}

func runningBroker(ts *testscript.TestScript, neg bool, args []string) *brokerProcess {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: stop-broker, kill-broker or restart-broker [NAME]")
	}
	b := named(ts, args)
	if b == nil || !b.running() {
		ts.Fatalf("that broker is not running: %v", args)
	}
	return b
}

// named returns the broker that args name, "broker" if they name none.
func named(ts *testscript.TestScript, args []string) *brokerProcess {
	name := "broker"
	if len(args) > 0 {
		name = args[0]
	}
	return ts.Value(brokersKey{}).(map[string]*brokerProcess)[name]
}

// brokerEnv is the environment of a broker: the persona's, and nothing of the
// machine's but what programs need to run.
func brokerEnv(ts *testscript.TestScript) (env []string) {
	for _, key := range []string{
		"PATH", "HOME", "USERPROFILE", "TMPDIR", "TMP", "TZ", "XDG_RUNTIME_DIR", "CLAUDEMESH_CONFIG_DIR",
		"CLAUDEMESH_DISPLAY_NAME", "GORACE", "GOCOVERDIR", "SYSTEMROOT",
	} {
		if v := ts.Getenv(key); v != "" {
			env = append(env, key+"="+v)
		}
	}
	return env
}

// variable is the name of a variable that tells scripts of the broker.
func (b *brokerProcess) variable(what string) string {
	return strings.ToUpper(strings.ReplaceAll(b.name, "-", "_")) + "_" + what
}

func (b *brokerProcess) running() bool { return b.cmd != nil }

// start starts the process, waits for its ready line and sets the variables.
func (b *brokerProcess) start(ts *testscript.TestScript) {
	program, err := exec.LookPath(module)
	ts.Check(err)
	log, err := os.OpenFile(b.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	defer log.Close()
	cmd := exec.Command(program, append(b.args, "--listen", b.addr)...)
	cmd.Env, cmd.Dir, cmd.Stderr = b.env, ts.Getenv("WORK"), log
	stdout, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	b.cmd, b.done = cmd, make(chan struct{})
	first := make(chan string, 1)
	go func() {
		defer close(b.done)
		r := bufio.NewReader(stdout)
		line, _ := r.ReadString('\n')
		first <- line
		io.Copy(io.Discard, r)
		b.err = cmd.Wait()
	}()
	r, err := b.ready(first)
	if err != nil {
		b.end(ts, os.Kill)
		ts.Fatalf("broker %s: %v", b.name, err)
	}
	b.addr = r.Listen
	ts.Setenv(b.variable("URL"), r.URL)
	ts.Setenv(b.variable("HTTP"), "http://"+r.Listen)
	ts.Setenv(b.variable("LISTEN"), r.Listen)
	ts.Setenv(b.variable("PID"), fmt.Sprint(cmd.Process.Pid))
	if r.Home != nil {
		ts.Setenv(b.variable("MESH"), r.Home.MeshID)
		ts.Setenv(b.variable("INVITE"), r.Home.Invite)
	}
}

// ready waits for the first line of a broker.
func (b *brokerProcess) ready(first <-chan string) (r ready, err error) {
	select {
	case line := <-first:
		if line == "" {
			return r, errors.New("it ended before it listened")
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.URL == "" || r.Listen == "" {
			return r, fmt.Errorf("no ready line: %q", line)
		}
		return r, nil
	case <-time.After(patience):
		return r, fmt.Errorf("not ready after %v", patience)
	}
}

// end signals the process and waits until it is gone.
func (b *brokerProcess) end(ts *testscript.TestScript, sig os.Signal) {
	if err := b.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		ts.Fatalf("broker %s: %v", b.name, err)
	}
	select {
	case <-b.done:
		b.cmd = nil
	case <-time.After(patience):
		ts.Fatalf("broker %s: still there %v after %v", b.name, patience, sig)
	}
}

// cleanUp kills what still runs at the end of a script, and adds the end of the
// broker's log to the script's.
func (b *brokerProcess) cleanUp(ts *testscript.TestScript) {
	if b.running() {
		b.cmd.Process.Kill()
		<-b.done
	}
	const tail = 8 << 10
	log, err := os.ReadFile(b.log)
	if err == nil && len(log) > 0 {
		ts.Logf("[log of broker %s]\n%s", b.name, log[max(0, len(log)-tail):])
	}
}
