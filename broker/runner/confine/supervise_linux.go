package confine

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A supervisor is the first process of a cell. It starts the program, reaps what is
// left to it, and ends everything when the program ends, when a limit is passed that
// the system does not hold, and when the broker is gone.
type supervisor struct {
	spec    *spec
	control *net.UnixConn
	pid     int // the program's
}

// supervise is the supervisor's whole life. It returns the program's exit status.
func supervise() (int, error) {
	for fd := controlFD; fd <= groupFD; fd++ {
		unix.CloseOnExec(fd)
	}
	s, err := readSpec(specFD)
	if err != nil {
		return 126, fmt.Errorf("reading what the cell is: %w", err)
	}
	// Nobody of the same user reads its memory or attaches to it.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return 126, fmt.Errorf("protecting the supervisor: %w", err)
	}
	f := os.NewFile(controlFD, "control")
	conn, err := net.FileConn(f)
	f.Close()
	if err != nil {
		return 126, fmt.Errorf("connection to the broker: %w", err)
	}
	v := &supervisor{spec: s, control: conn.(*net.UnixConn)}
	if !s.Spaces {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return 126, fmt.Errorf("adopting what the program leaves: %w", err)
		}
	}
	if err := v.prepare(); err != nil {
		return 126, err
	}
	return v.run()
}

// prepare makes the cell around the program.
func (v *supervisor) prepare() error {
	if !v.spec.Spaces {
		return nil
	}
	if v.spec.Loopback {
		if err := loopbackUp(); err != nil {
			return fmt.Errorf("setting up the cell's network: %w", err)
		}
	}
	if v.spec.Proxy {
		if err := v.offerProxy(); err != nil {
			return fmt.Errorf("setting up the cell's proxy: %w", err)
		}
	}
	if err := buildRoot(v.spec); err != nil {
		return fmt.Errorf("setting up the cell's files: %w", err)
	}
	return nil
}

// offerProxy listens in the cell's network and hands the listener to the broker,
// who accepts from its own: no byte passes through here.
func (v *supervisor) offerProxy() error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := json.Marshal(notice{Proxy: true})
	if err != nil {
		return err
	}
	if _, _, err := v.control.WriteMsgUnix(b, unix.UnixRights(int(f.Fd())), nil); err != nil {
		return err
	}
	v.spec.Env = withProxy(v.spec.Env, "http://"+l.Addr().String())
	return nil
}

// withProxy adds the variables by which programs find a proxy, but for those
// that are set.
func withProxy(env []string, url string) []string {
	for _, kv := range []string{
		"HTTP_PROXY=" + url, "HTTPS_PROXY=" + url, "http_proxy=" + url, "https_proxy=" + url,
		"NO_PROXY=localhost,127.0.0.1,::1", "no_proxy=localhost,127.0.0.1,::1", "NODE_USE_ENV_PROXY=1",
	} {
		env = withDefault(env, kv)
	}
	return env
}

// withDefault adds name=value unless the name is set.
func withDefault(env []string, kv string) []string {
	name := kv[:strings.IndexByte(kv, '=')+1]
	if slices.ContainsFunc(env, func(s string) bool { return strings.HasPrefix(s, name) }) {
		return env
	}
	return append(env, kv)
}

// run starts the program and stays until all is over.
func (v *supervisor) run() (int, error) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	if err := v.start(); err != nil {
		return 126, err
	}
	debug.FreeOSMemory() // what follows takes little, and may take long
	gone := make(chan struct{})
	go func() { // ends with the process
		v.control.Read(make([]byte, 1))
		close(gone)
	}()
	status := make(chan syscall.WaitStatus, 1)
	empty := make(chan struct{})
	go func() { // ends with the last process of the cell, or with this one
		v.reap(status)
		close(empty)
	}()
	var ws syscall.WaitStatus
	why := v.watch(signals, gone, status, &ws)
	if !v.spec.Spaces { // the end of the first process of a pid namespace is everybody's
		endDescendants(empty, v.spec.Cgroup)
	}
	if why == "" {
		why = v.outOfMemory()
	}
	code := ws.ExitStatus()
	how := fmt.Sprintf("exit code %d", code)
	if ws.Signaled() {
		code = 128 + int(ws.Signal())
		how = "killed by " + unix.SignalName(ws.Signal())
	}
	if why != "" {
		code = 128 + int(unix.SIGKILL) // whatever became of the program when others of the cell were killed
	}
	if ws.Signaled() || why != "" {
		if b, err := json.Marshal(notice{Ended: &End{how, why}}); err == nil {
			v.control.Write(b)
		}
	}
	return code, nil
}

// start starts the second stage, which becomes the program.
func (v *supervisor) start() error {
	f, err := v.spec.file()
	if err != nil {
		return err
	}
	defer f.Close()
	sys := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if !v.spec.Spaces {
		// Whoever signals the group of what the broker has started means the program.
		if sys.Pgid, err = unix.Getpgid(unix.Getppid()); err != nil {
			return fmt.Errorf("joining the process group: %w", err)
		}
	}
	if v.spec.Cgroup {
		sys.UseCgroupFD, sys.CgroupFD = true, groupFD
	}
	v.pid, err = syscall.ForkExec("/proc/self/exe", []string{arg0, "enter"}, &syscall.ProcAttr{
		Env: []string{"GOMAXPROCS=1"}, Files: []uintptr{0, 1, 2, f.Fd()}, Sys: sys,
	})
	if err != nil {
		return fmt.Errorf("starting the program: %w", err)
	}
	return letGo(0, 1)
}

// reap waits for every process of the cell, the program among them.
func (v *supervisor) reap(status chan<- syscall.WaitStatus) {
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return
		case pid == v.pid:
			status <- ws
		}
	}
}

// watch stays until the program or the broker is gone, or the program is to be. It
// returns why it is to be, if it is for a limit.
func (v *supervisor) watch(signals <-chan os.Signal, gone <-chan struct{}, status <-chan syscall.WaitStatus, ws *syscall.WaitStatus) string {
	var tick <-chan time.Time
	if v.spec.WatchMemory || v.spec.WatchProcesses {
		every := watchEvery
		if v.spec.WatchProcesses {
			every = countEvery
		}
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		tick = ticker.C
	}
	*ws = 9 // as of one that was killed
	for {
		select {
		case *ws = <-status:
			return ""
		case <-gone:
			return ""
		case s := <-signals:
			if s != unix.SIGTERM {
				continue // a terminal's; the broker decides
			}
			if !v.spec.Spaces {
				return ""
			}
			unix.Kill(-v.pid, unix.SIGTERM)
		case <-tick:
			if why := v.over(); why != "" {
				return why
			}
		}
	}
}
