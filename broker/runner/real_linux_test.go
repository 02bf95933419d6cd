package runner

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"claudemesh/broker/runner/confine"
	"claudemesh/broker/runner/source"
	"claudemesh/wire"
)

// real returns a stage with the real machine, in a directory that cells can be in.
func real(t *testing.T) *stage {
	t.Helper()
	return realWith(t, func(netip.Addr) bool { return true }, source.Options{})
}

// realWith is real where services reach what admits says, built as opts say.
func realWith(t *testing.T, admits func(netip.Addr) bool, opts source.Options) *stage {
	t.Helper()
	data, err := os.MkdirTemp("", "claudemesh-runner-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeAll(data) })
	c := confine.New(t.Context(), confine.Options{Data: data, Admits: admits, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	s := &stage{t: t, events: make(chan Event, 1000)}
	s.Runner, err = New(Options{
		Dir: filepath.Join(data, "meshes", "m", "services"), Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Builds: make(chan struct{}, 1),
		Changed: func(e Event) { s.events <- e }, Confiner: c, Builder: source.New(opts), Resumes: NewTurns(2),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// needs skips a test that this machine cannot run.
func needs(t *testing.T, s *stage, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skip("there is no", p)
		}
	}
	if err := s.opts.Confiner.Check(confine.Limits{}); err != nil {
		t.Skip("services cannot be confined here:", err)
	}
}

// registry skips a test where npm reaches no registry.
func registry(t *testing.T, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "npm", "view", name, "version").CombinedOutput(); err != nil {
		t.Skipf("npm reaches no registry that has %s: %v: %.300s", name, err, out)
	}
}

func TestAServerOfOthersLivesItsLife(t *testing.T) {
	t.Parallel()
	const name = "@modelcontextprotocol/server-everything"
	s := real(t)
	needs(t, s, "node", "npm")
	registry(t, name)
	spec := Spec{Source: source.Source{Type: source.NPX, Package: name}, Limits: confine.Limits{MemoryMB: 512}, Env: map[string]string{"KEY": "s3cr3t-s3cr3t"}}
	s.deploys("everything", spec)
	e := s.expectReal(Building, Installing, Running)
	if len(e.Tools) < 5 || e.Runtime != "node" {
		t.Fatalf("told that %+v", e)
	}
	echo := func() {
		t.Helper()
		v, err := s.Call(t.Context(), "everything", "echo", wire.Value(`{"message":"hello"}`))
		if err != nil || !strings.Contains(textOf(t, v), "hello") {
			t.Errorf("%s, %v", v, err)
		}
	}
	echo()

	s.kill("everything")
	s.expectReal(Restarting, Running)
	echo()

	if err := s.Update("everything", spec); err != nil {
		t.Fatal(err)
	}
	if e := s.expectReal(Building, Installing, Running); e.Cause != ByUpdate || len(e.Tools) < 5 {
		t.Errorf("told that %+v", e)
	}
	echo()

	if err := s.Stop(t.Context(), "everything"); err != nil {
		t.Fatal(err)
	}
	s.expectReal(Stopped)
	if err := s.Resume("everything", spec); err != nil {
		t.Fatal(err)
	}
	s.expectReal(Running)
	echo()

	dir := filepath.Join(s.opts.Dir, "everything")
	if err := s.Remove(t.Context(), "everything"); err != nil {
		t.Error(err)
	}
	if left := processesIn(t, dir); len(left) > 0 {
		t.Errorf("still there is %v", left)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the directory is there")
	}
}

func TestABarredRegistryIsNamedBeforeWhatNPMMakesOfIt(t *testing.T) {
	t.Parallel()
	s := realWith(t, func(netip.Addr) bool { return false }, source.Options{Env: []string{"PATH=" + os.Getenv("PATH"), "npm_config_registry=http://127.0.0.1:4873/"}})
	needs(t, s, "node", "npm")
	s.deploys("db", Spec{Source: source.Source{Type: source.NPX, Package: "none"}})
	want := `npm install: "127.0.0.1:4873" is not reached: ` + confine.NotAdmitted
	if e := s.expectReal(Building, Installing, Failed); e.Error != want {
		t.Errorf("told that %+v", e)
	}
	lines, _ := s.Logs("db", 100, 0)
	if log := strings.Join(lines, "\n"); !strings.Contains(log, "403") {
		t.Errorf("what npm says is not in its log:\n%s", log)
	}
}

// copies has what is built be a copy of this binary, which plays a server.
func (s *stage) copies() {
	s.Runner.machine.check = func(spec Spec) error { return s.opts.Confiner.Check(spec.Limits) }
	s.Runner.machine.build = func(_ context.Context, job source.Job) (source.Built, error) {
		job.Installing()
		server := filepath.Join(job.Dir, "server")
		p, err := os.ReadFile(os.Args[0])
		if err == nil {
			err = os.WriteFile(server, p, 0o755)
		}
		return source.Built{Args: append([]string{server, playing}, job.Source.Args...), Work: job.Dir}, err
	}
}

func TestAServiceIsKeptInItsCell(t *testing.T) {
	t.Parallel()
	s := real(t)
	needs(t, s)
	s.copies()
	spec := Spec{Source: source.Source{Args: []string{"{home}", "--db={home}/db"}}, Limits: confine.Limits{MemoryMB: 256}, Env: map[string]string{"FILE": vault("/etc/key.pem", "-----KEY-----"), "KEY": "s3cr3t-s3cr3t"}}
	s.deploys("db", spec)
	s.expectReal(Building, Installing, Running)

	dir := filepath.Join(s.opts.Dir, "db")
	if got := s.text("db", "read"); got != "-----KEY-----<nil>" {
		t.Errorf("its file of secrets has %q", got)
	}
	if got := s.text("db", "write"); got == "<nil>" {
		t.Error("it can change what it is made of")
	}
	for line := range strings.Lines(s.text("db", "environment")) {
		name, _, _ := strings.Cut(line, "=")
		if !slices.Contains([]string{"PATH", "HOME", "LANG", "TMPDIR", "FILE", "KEY"}, name) {
			t.Errorf("it sees %s", line)
		}
	}
	if got := s.text("db", "home"); got != "<nil>" {
		t.Errorf("the directory that its arguments name is not its own: %s", got)
	}
	if got := s.text("db", "escape"); got != "<nil>" {
		t.Error(got)
	}
	if _, err := s.Call(t.Context(), "db", "gobble", nil); err == nil {
		t.Error("it takes more memory than it may")
	}
	e := s.expectReal(Restarting) // by the kernel or its supervisor, or of itself where it is given no more
	if !strings.HasPrefix(e.Error, "it ended: killed by SIG") && !strings.HasPrefix(e.Error, "it ended: exit code ") {
		t.Errorf("told that %+v", e)
	}
	if e := s.expectReal(Running); e.Restarts != 1 {
		t.Errorf("told that %+v", e)
	}
	lines, _ := s.Logs("db", wire.MaxServiceLog, 0)
	if log := strings.Join(lines, "\n"); !strings.Contains(log, "memory") && !strings.Contains(log, "allocate") { // which is how -race says it
		t.Errorf("its log does not say that it takes more memory than it may: %s", log)
	}
	if n := len(processesIn(t, dir)); n != 1 {
		t.Errorf("%d processes are there after the restart", n)
	}
	s.text("db", "escape")
	if err := s.Stop(t.Context(), "db"); err != nil {
		t.Error(err)
	}
	if left := processesIn(t, dir); len(left) > 0 {
		t.Errorf("still there is %v", left)
	}
	if err := s.Remove(t.Context(), "db"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the directory is there")
	}
}

// expectReal is expect for what takes as long as it takes.
func (s *stage) expectReal(want ...Status) (e Event) {
	s.t.Helper()
	for i, status := range want {
		select {
		case e = <-s.events:
		case <-s.t.Context().Done():
		}
		if e.Status != status {
			lines, _ := s.Logs(e.Name, 50, 0)
			s.t.Fatalf("event %d of %v is %+v\n%s", i, want, e, strings.Join(lines, "\n"))
		}
	}
	return e
}

// processesIn lists the processes that work in a directory.
func processesIn(t testing.TB, dir string) (pids []int) {
	t.Helper()
	all, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, p := range all {
		if cwd, err := os.Readlink(p); err == nil && strings.HasPrefix(cwd, dir) {
			var pid int
			for _, d := range strings.Split(p, "/")[2] {
				pid = pid*10 + int(d-'0')
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// kill ends what a service runs, as if by accident.
func (s *stage) kill(name string) {
	s.t.Helper()
	pids := processesIn(s.t, filepath.Join(s.opts.Dir, name))
	if len(pids) == 0 {
		s.t.Fatal("it does not run")
	}
	for _, pid := range pids {
		syscall.Kill(pid, syscall.SIGKILL)
	}
}
