package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"claudemesh/broker/runner/confine"
	"claudemesh/broker/runner/source"
	"claudemesh/wire"
)

func TestADeploymentTellsItsProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.Close()
		s.commits("c1")
		s.deploys("db", Spec{Env: map[string]string{"KEY": "v"}})
		e := s.expect(Building, Installing, Running)
		if e.Cause != ByDeploy || e.Name != "db" || e.Commit != "c1" || e.Runtime != "node" || len(e.Tools) != 1 || e.Error != "" || e.Restarts != 0 {
			t.Errorf("told that %+v", e)
		}
		if env := s.last().cmd.Env; !slices.Contains(env, "KEY=v") {
			t.Errorf("it sees %q", env)
		}
		if v, err := s.Call(t.Context(), "db", "a", nil); v != nil || err != nil {
			t.Error(v, err)
		}
	})
}

func TestWhatEndsIsStartedAgainAndGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.Close()
		s.deploys("db", Spec{})
		s.expect(Building, Installing, Running)
		for attempt := 1; attempt <= 5; attempt++ {
			before := time.Now()
			s.last().die(fmt.Errorf("bad luck %d", attempt))
			e := s.expect(Restarting)
			if e.Cause != ByRestart || !strings.Contains(e.Error, fmt.Sprintf("bad luck %d", attempt)) || e.Restarts != attempt {
				t.Errorf("told that %+v", e)
			}
			if _, err := s.Call(t.Context(), "db", "a", nil); err == nil || err.Error() != `service "db" is restarting` {
				t.Errorf("called: %v", err)
			}
			if e := s.expect(Running); e.Cause != ByRestart || len(e.Tools) != 1 || e.Restarts != attempt {
				t.Errorf("told that %+v", e)
			}
			if waited := time.Since(before); waited != time.Duration(attempt)*time.Second {
				t.Errorf("restart %d after %s", attempt, waited)
			}
		}
		s.last().die(errors.New("the last straw"))
		if e := s.expect(Crashed); !strings.Contains(e.Error, "the last straw") || e.Restarts != 5 {
			t.Errorf("told that %+v", e)
		}
		time.Sleep(time.Hour)
		s.quiet()
		if _, err := s.Call(t.Context(), "db", "a", nil); err == nil || err.Error() != `service "db" is crashed` {
			t.Errorf("called: %v", err)
		}
		if n := s.started(); n != 6 {
			t.Errorf("it was started %d times", n)
		}
	})
}

func TestAStartThatFailsCountsAsARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.Close()
		s.deploys("db", Spec{})
		s.expect(Building, Installing, Running)
		s.whenStarted(func(a *actor) error {
			a.greet = forever
			return nil
		})
		before := time.Now()
		s.last().die(errors.New("x"))
		e := s.expect(Restarting, Restarting, Restarting, Restarting, Restarting, Crashed)
		if !strings.Contains(e.Error, "has not told its tools within 1m0s") {
			t.Errorf("told that %+v", e)
		}
		if got, want := time.Since(before), (1+2+3+4+5)*time.Second+5*startTime; got != want {
			t.Errorf("given up after %s, not %s", got, want)
		}
		for _, a := range s.starts {
			if a.Why() == nil {
				t.Error("a program that did not answer still runs")
			}
		}
	})
}

func TestRestartsAreForgottenAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.Close()
		s.deploys("db", Spec{})
		s.expect(Building, Installing, Running)
		for _, c := range []struct {
			well time.Duration
			want int
		}{{0, 1}, {stableAfter - time.Second, 2}, {stableAfter + time.Second, 1}, {time.Minute, 2}} {
			time.Sleep(c.well)
			s.last().die(errors.New("x"))
			if e := s.expect(Restarting, Running); e.Restarts != c.want {
				t.Errorf("after %s: %d restarts, not %d", c.well, e.Restarts, c.want)
			}
		}
	})
}

func TestAServiceThatDoesNotAnswerPingsIsStartedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.Close()
		silent := 0
		mute := func(a *actor) error {
			a.pings = func(ctx context.Context) error {
				silent++
				if silent%3 == 0 && silent < 9 {
					return nil // just in time
				}
				return forever(ctx)
			}
			return nil
		}
		s.whenStarted(mute)
		s.deploys("db", Spec{})
		s.expect(Building, Installing, Running)
		before := time.Now()
		e := s.expect(Restarting)
		if !strings.Contains(e.Error, "3 pings in a row") || silent != 9 {
			t.Errorf("told that %+v after %d pings", e, silent)
		}
		if got, want := time.Since(before), 9*pingEvery+pingTime; got != want {
			t.Errorf("after %s, not %s", got, want)
		}
		if s.last().Why() == nil {
			t.Error("it runs")
		}
		s.expect(Running)
	})
}

func TestAServiceThatFillsTheDiskIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.Close()
		s.deploys("db", Spec{})
		s.expect(Building, Installing, Running)
		home := filepath.Join(s.opts.Dir, "db", "home")
		file := filepath.Join(home, "big")
		if err := errors.Join(os.Mkdir(home, 0o700), os.WriteFile(file, nil, 0o600), os.Truncate(file, maxDisk+1)); err != nil {
			t.Fatal(err)
		}
		e := s.expect(Restarting, Restarting, Restarting, Restarting, Restarting, Crashed)
		if !strings.Contains(e.Error, "more than 1024 MiB") || s.started() != 1 || s.last().Why() == nil {
			t.Errorf("told that %+v", e)
		}
		if took := time.Since(s.began); took != pingEvery+15*time.Second {
			t.Errorf("after %s", took)
		}
	})
}

func TestToolsAreToldAgainWhenTheyChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.Close()
		s.deploys("db", Spec{})
		s.expect(Building, Installing, Running)
		a := s.last()
		for i := range 100 { // it cannot decide
			a.retell(tool("a"), tool(fmt.Sprint("b", i)))
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		time.Sleep(retellEvery)
		told := 0
		for ; len(s.events) > 0; told++ {
			if e := <-s.events; e.Status != Running || e.Cause != ByTools || len(e.Tools) != 2 {
				t.Errorf("told that %+v", e)
			} else if len(s.events) == 0 && e.Tools[1].Name != "b99" {
				t.Errorf("at last it has %s", e.Tools[1].Name)
			}
		}
		if told != 2 {
			t.Errorf("told %d times in 10 s", told)
		}
		a.retell(tool("a"), tool("b99"))
		a.opts.Changed()
		time.Sleep(time.Minute)
		s.quiet()
		a.retell(tool("a"), tool("a"))
		time.Sleep(time.Minute)
		s.quiet()
		if lines, _ := s.Logs("db", 1, 0); len(lines) != 1 || !strings.Contains(lines[0], `two of its tools are called "a"`) {
			t.Errorf("the log ends with %q", lines)
		}
	})
}

func TestAFailedDeploymentLeavesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		building func(context.Context, source.Job) error
		starting func(*actor) error
		want     string
		takes    time.Duration
	}{
		"cannot be built": {
			building: func(context.Context, source.Job) error {
				return errors.New("npm: no such package")
			},
			want: "no such package",
		},
		"is never built": {
			building: func(ctx context.Context, _ source.Job) error { return forever(ctx) },
			want:     "not built within 10m0s",
			takes:    buildTime,
		},
		"exits at once": {
			starting: func(*actor) error { return errors.New("it ended: API_KEY is missing") },
			want:     "it does not start: it ended: API_KEY is missing",
			takes:    2 * time.Second,
		},
		"never answers": {
			starting: func(a *actor) error { a.greet = forever; return nil },
			want:     "within 1m0s",
			takes:    startTime,
		},
		"has too many tools": {
			starting: func(a *actor) error { a.tools = make([]wire.MCPTool, 201); return nil },
			want:     "more than the 200 tools",
		},
		"says a secret": {
			starting: func(*actor) error { return errors.New("it ended: cannot log in with hunter2hunter2") },
			want:     "cannot log in with [redacted]",
			takes:    2 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				defer s.Close()
				s.whenBuilt(c.building)
				s.whenStarted(c.starting)
				s.deploys("db", Spec{Env: map[string]string{"PW": "hunter2hunter2"}})
				e := s.next()
				for e.Status == Building || e.Status == Installing {
					e = s.next()
				}
				if e.Status != Failed || !strings.Contains(e.Error, c.want) {
					t.Errorf("told that %+v", e)
				}
				if took := time.Since(s.began); took != c.takes {
					t.Errorf("after %s, not %s", took, c.takes)
				}
				for _, a := range s.starts {
					if a.Why() == nil {
						t.Error("a program runs")
					}
				}
				if left, _ := filepath.Glob(filepath.Join(s.opts.Dir, "db", "*")); len(left) > 0 && c.building != nil {
					t.Errorf("left is %q", left)
				}
				if _, err := s.Call(t.Context(), "db", "a", nil); err == nil || err.Error() != `service "db" is failed` {
					t.Errorf("called: %v", err)
				}
				lines, _ := s.Logs("db", 1000, 0)
				if log := strings.Join(lines, "\n"); !strings.Contains(log, c.want) || strings.Contains(log, "hunter2") {
					t.Errorf("the log has %s", log)
				}
			})
		})
	}
}

func TestANewDeploymentTakesThePlaceOfTheOneUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.Close()
		s.whenBuilt(func(ctx context.Context, job source.Job) error {
			if job.Source.Package == "slow" {
				return forever(ctx)
			}
			return nil
		})
		s.deploys("db", Spec{Source: source.Source{Package: "slow"}})
		s.expect(Building)
		s.deploys("db", Spec{Source: source.Source{Package: "quick"}})
		s.expect(Building, Installing, Running)
		first := s.last()
		s.deploys("db", Spec{Source: source.Source{Package: "quick"}})
		s.expect(Building)
		if first.Why() == nil {
			t.Error("two run at once")
		}
		s.expect(Installing, Running)
		time.Sleep(time.Hour)
		s.quiet()
		all, err := s.find("db").builds()
		if err != nil || len(all) != 1 {
			t.Errorf("builds %v are there, %v", all, err)
		}
	})
}

func TestBuildsWaitForTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.Close()
		turn := make(chan struct{})
		s.whenBuilt(func(context.Context, source.Job) error {
			<-turn
			return nil
		})
		for _, name := range []string{"a", "b", "c"} {
			s.deploys(name, Spec{})
		}
		for want := 1; want <= 3; want++ {
			time.Sleep(buildTime - time.Second) // waiting counts for nothing
			if n := s.begun(); n != want {
				t.Errorf("%d builds have begun, not %d", n, want)
			}
			turn <- struct{}{}
		}
		for running := 0; running < 3; {
			if s.next().Status == Running {
				running++
			}
		}
	})
}

func TestInstructionsDoNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		turn := make(chan struct{})
		s.whenBuilt(func(context.Context, source.Job) error {
			<-turn
			return nil
		})
		var err error
		n := 0
		for ; err == nil; n++ {
			err = s.Deploy("db", Spec{})
		}
		if n != maxLives+1 || !strings.Contains(err.Error(), "still busy") {
			t.Errorf("%d were taken: %v", n-1, err)
		}
		close(turn)
		s.Close()
		if err := s.Deploy("db", Spec{}); err == nil {
			t.Error("a Runner that is closed deploys")
		}
	})
}

func TestWhatIsInstalledIsResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		s.commits("c1")
		s.deploys("db", Spec{})
		s.deploys("gone", Spec{})
		for range 6 {
			s.next()
		}
		s.Close()
		s.quiet() // they are to run again
		dir := s.opts.Dir
		for _, p := range []string{"db/build-7/half", "db/secrets/1/key", "db/tmp/x", "db/home/kept", "gone/build-1/x", "stray/x", ".odd/x"} {
			p = filepath.Join(dir, p)
			if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o700), os.WriteFile(p, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
		}

		s.again(dir)
		if err := s.Sweep([]string{"db", "new"}); err != nil {
			t.Fatal(err)
		}
		var left []string
		filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
			if !d.IsDir() || strings.HasPrefix(d.Name(), "build") {
				p, _ = filepath.Rel(dir, p)
				left = append(left, p)
			}
			return err
		})
		if want := []string{"db/build-1", "db/home/kept", "db/installed"}; !slices.Equal(left, want) {
			t.Errorf("left is %q", left)
		}
		built := s.begun()
		if err := s.Resume("db", Spec{}); err != nil {
			t.Fatal(err)
		}
		if e := s.expect(Running); e.Cause != ByResume || e.Commit != "c1" || s.begun() != built {
			t.Errorf("told that %+v after %d builds", e, s.begun()-built)
		}
		if err := s.Resume("new", Spec{}); err != nil {
			t.Fatal(err)
		}
		if e := s.expect(Building, Installing, Running); e.Cause != ByDeploy {
			t.Errorf("told that %+v", e)
		}
		s.Close()

		s.again(dir)
		defer s.Close()
		s.whenStarted(func(*actor) error { return errors.New("no network yet") })
		if err := s.Resume("db", Spec{}); err != nil {
			t.Fatal(err)
		}
		if e := s.expect(Restarting); !strings.Contains(e.Error, "no network yet") {
			t.Errorf("told that %+v", e)
		}
		s.whenStarted(nil)
		s.expect(Running)
	})
}

func TestStopAndRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.Close()
		s.deploys("db", Spec{})
		s.expect(Building, Installing, Running)
		a := s.last()
		if err := s.Stop(t.Context(), "db"); err != nil || a.Why() == nil {
			t.Fatal(err)
		}
		if e := s.expect(Stopped); e.Cause != ByStop {
			t.Errorf("told that %+v", e)
		}
		if err := s.Resume("db", Spec{}); err != nil {
			t.Fatal(err)
		}
		s.expect(Running)
		a = s.last()
		if err := s.Remove(t.Context(), "db"); err != nil || a.Why() == nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(s.opts.Dir, "db")); err == nil {
			t.Error("the directory is there")
		}
		if _, err := s.Call(t.Context(), "db", "a", nil); !errors.Is(err, ErrUnknown) {
			t.Errorf("called: %v", err)
		}
		for _, err := range []error{s.Stop(t.Context(), "never"), s.Remove(t.Context(), "never")} {
			if err != nil {
				t.Error(err)
			}
		}
		for _, name := range []string{"", "..", "a/b", "-x", ".hidden"} {
			if s.Remove(t.Context(), name) == nil || s.Deploy(name, Spec{}) == nil {
				t.Errorf("%q is a name", name)
			}
		}
		s.quiet()
		if len(s.services) != 0 {
			t.Errorf("%d services are known", len(s.services))
		}
	})
}

func TestAWaitThatIsGivenUpDoesNotUndoWhatItWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.Close()
		turn := make(chan struct{})
		s.whenBuilt(func(context.Context, source.Job) error {
			<-turn
			return nil
		})
		s.deploys("db", Spec{})
		s.expect(Building)
		synctest.Wait() // it is being built
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Remove(ctx, "db"); err == nil || !strings.Contains(err.Error(), "has not ended yet") {
			t.Errorf("%v", err)
		}
		close(turn)
		synctest.Wait()
		if _, err := os.Stat(filepath.Join(s.opts.Dir, "db")); err == nil || len(s.services) != 0 {
			t.Error("it was not removed")
		}
	})
}

func TestABuildReachesItsHostsOrWhatItsServiceDoes(t *testing.T) {
	t.Parallel()
	hosts, all := []string{"registry.example:443"}, []string{confine.AllNetwork}
	for _, c := range []struct {
		name        string
		service     []string
		spaces      bool
		hosts, want []string
	}{
		{"a service without a network", nil, true, hosts, hosts},
		{"a service with the machine's", all, true, hosts, hosts},
		{"a step that needs none", all, true, nil, nil},
		{"without namespaces, a service with the machine's", all, false, hosts, all},
		{"without namespaces, a step that needs none", all, false, nil, all},
		{"without namespaces, any other", nil, false, hosts, hosts}, // and is refused
	} {
		r := &Runner{machine: machine{holds: func(l confine.Limits) error {
			if c.spaces || slices.Equal(l.Network, all) {
				return nil
			}
			return errors.New("there are no namespaces")
		}}}
		if got := r.buildNetwork(confine.Limits{Network: c.service}, c.hosts); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, not %q", c.name, got, c.want)
		}
	}
}
