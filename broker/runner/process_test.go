//go:build unix

package runner

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"claudemesh/broker/runner/confine"
	"claudemesh/broker/runner/source"
	"claudemesh/toolserver"
	"claudemesh/wire"
)

// plays returns a stage whose programs are this binary, with the habits that are
// the arguments of the source. They run, but are not confined.
func plays(t testing.TB) *stage {
	t.Helper()
	s := newStage(t)
	s.Runner.machine.build = func(_ context.Context, job source.Job) (source.Built, error) {
		job.Installing()
		b := source.Built{Args: append([]string{os.Args[0], playing}, job.Source.Args...), Work: job.Dir}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.built[job.Dir] = b
		return b, nil
	}
	s.Runner.machine.command = func(ctx context.Context, cell confine.Cell) (program, error) {
		cmd := exec.CommandContext(ctx, cell.Args[0], cell.Args[1:]...)
		cmd.Env, cmd.Dir = append(slices.Clip(cell.Env), "PATH="+os.Getenv("PATH")), cell.Work
		toolserver.Apart(cmd)
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
		return program{cmd, func() error { return nil }}, nil
	}
	start := s.realMachine().start
	s.Runner.machine.start = func(ctx context.Context, p program, opts toolserver.Options) (server, error) {
		real, err := start(ctx, p, opts)
		select {
		case s.launched <- struct{}{}:
		default:
		}
		return real, err
	}
	t.Cleanup(s.Close)
	return s
}

func habits(all ...string) Spec { return Spec{Source: source.Source{Args: all}} }

// text calls a tool and returns the text of its result.
func (s *stage) text(name, tool string) string {
	s.t.Helper()
	v, err := s.Call(s.t.Context(), name, tool, nil)
	if err != nil {
		s.t.Fatalf("%s of %s: %v", tool, name, err)
	}
	return textOf(s.t, v)
}

func textOf(t testing.TB, v wire.Value) string {
	t.Helper()
	var res struct{ Content []struct{ Text string } }
	if err := json.Unmarshal(v, &res); err != nil || len(res.Content) == 0 {
		t.Fatalf("%s: %v", v, err)
	}
	return res.Content[0].Text
}

// gone waits until processes are, which they are as soon as the kernel has come to it.
func gone(t *testing.T, pids string) {
	t.Helper()
	for _, field := range strings.Fields(pids) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		isGone := func() bool {
			stat, err := os.ReadFile("/proc/" + field + "/stat")
			return syscall.Kill(pid, 0) != nil || err == nil && strings.Contains(string(stat), ") Z ")
		}
		for range 6000 {
			if isGone() {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if !isGone() {
			t.Errorf("process %d is still there", pid)
		}
	}
}

func TestBadServersAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ habit, want string }{
		{"exits", "it does not start: it ended: exit code 3: API_KEY is not set"},
		{"floods", "message of more than 4 MiB"},
		{"complains", "more than 64 MiB in a minute"},
		{"many", "more than the 200 tools"},
	} {
		t.Run(c.habit, func(t *testing.T) {
			t.Parallel()
			s := plays(t)
			s.deploys("bad", habits(c.habit))
			if e := s.outcome(); e.Status != Failed || !strings.Contains(e.Error, c.want) {
				t.Errorf("told that %+v", e)
			}
			if left, _ := filepath.Glob(filepath.Join(s.opts.Dir, "bad", "build-*")); len(left) > 0 {
				t.Errorf("left is %q", left)
			}
		})
	}
}

func TestAServerThatNeverAnswersCanBeStopped(t *testing.T) {
	t.Parallel()
	s := plays(t)
	s.deploys("bad", habits("stubborn", "silent"))
	s.expect(Building, Installing)
	<-s.launched
	if err := s.Remove(t.Context(), "bad"); err != nil {
		t.Error(err)
	}
	s.quiet()
}

func TestBadAnswersHarmOnlyTheirCall(t *testing.T) {
	t.Parallel()
	s := plays(t)
	s.runs("odd", habits())
	if _, err := s.Call(t.Context(), "odd", "large", nil); err == nil || !strings.Contains(err.Error(), "are the most: ask for less") {
		t.Errorf("a large result: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer time.AfterFunc(50*time.Millisecond, cancel).Stop()
	if _, err := s.Call(ctx, "odd", "hang", nil); err == nil {
		t.Error("what hangs answers")
	}
	v, err := s.Call(t.Context(), "odd", "echo", wire.Value(`{"x":1}`))
	if err != nil || textOf(t, v) != `{"x":1}` {
		t.Errorf("%s, %v", v, err)
	}
	if s.text("odd", "change"); len(s.expect(Running).Tools) != 2 {
		t.Error("the new tool is not told")
	}
	s.quiet()
	if _, err := s.Call(t.Context(), "odd", "huge", nil); err == nil || !strings.Contains(err.Error(), "during the call it was ended: it wrote a message of more than 4 MiB") {
		t.Errorf("a huge result: %v", err)
	}
	if e := s.expect(Restarting, Running); e.Restarts != 1 || len(e.Tools) != 1 {
		t.Errorf("told that %+v", e)
	}
}

func TestWhatAServerLeavesBehindEndsWithIt(t *testing.T) {
	t.Parallel()
	s := plays(t)
	s.runs("db", habits("stubborn"))
	first := s.text("db", "children")
	if _, err := s.Call(t.Context(), "db", "die", nil); err == nil || !strings.Contains(err.Error(), "during the call it ended: exit code 1; its log says more") {
		t.Errorf("%v", err)
	}
	gone(t, first)
	s.expect(Restarting, Running)
	second := s.text("db", "children")
	pid, _, _ := strings.Cut(second, " ")
	if n, err := strconv.Atoi(pid); err != nil || syscall.Kill(n, syscall.SIGKILL) != nil {
		t.Fatalf("%q: %v", pid, err)
	}
	if e := s.expect(Restarting); !strings.HasPrefix(e.Error, "it ended: killed by SIGKILL") {
		t.Errorf("told that %+v", e)
	}
	gone(t, second)
	s.expect(Running)
	third := s.text("db", "children")
	if err := s.Stop(t.Context(), "db"); err != nil { // it ignores SIGTERM
		t.Error(err)
	}
	gone(t, third)
}

func TestSecretsReachTheServiceAndNoLog(t *testing.T) {
	t.Parallel()
	s := plays(t)
	spec := habits("crowded")
	spec.Env = map[string]string{"KEY": "s3cr3t-s3cr3t", "FILE": vault("/etc/key.pem", "-----KEY-----")}
	s.runs("db", spec)
	env := s.text("db", "environment")
	path := filepath.Join(s.opts.Dir, "db", "secrets", "1", "etc", "key.pem")
	if !strings.Contains(env, "KEY=s3cr3t-s3cr3t") || !strings.Contains(env, "FILE="+path+"\n") {
		t.Errorf("it sees %s", env)
	}
	if got := s.text("db", "read"); got != "-----KEY-----<nil>" {
		t.Errorf("the file has %q", got)
	}
	var log string
	var next int64
	for _, want := range []string{"[stdout] listening", "[stderr] the key is [redacted]", "[broker] running"} {
		for range 6000 { // its standard error comes beside its answers
			lines, n := s.Logs("db", 100, 0)
			if log, next = strings.Join(lines, "\n"), n; strings.Contains(log, want) {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if !strings.Contains(log, want) {
			t.Errorf("no %q in the log:\n%s", want, log)
		}
	}
	if strings.Contains(log, "s3cr3t") {
		t.Errorf("the log has the secret:\n%s", log)
	}
	if more, again := s.Logs("db", 100, next); len(more) != 0 || again != next {
		t.Errorf("after the last come %q", more)
	}
	if err := s.Stop(t.Context(), "db"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(path)); err == nil {
		t.Error("the secrets outlive the service")
	}
}
