package runner

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"claudemesh/broker/runner/source"
	"claudemesh/wire"
)

// git is what a service is updated from.
func git() Spec { return Spec{Source: source.Source{Type: source.Git}} }

// runs returns a stage on which the first version of a service runs.
func runs(t *testing.T) *stage {
	t.Helper()
	s := newStage(t)
	s.commits("c1")
	s.runs("db", git())
	return s
}

func TestAnUpdateTakesThePlaceOfWhatRunsOnceItIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := runs(t)
		defer s.Close()
		old := s.last()
		asked := make(chan struct{})
		answer := make(chan struct{})
		old.calls = func(ctx context.Context, _ string) (wire.Value, error) {
			close(asked)
			<-answer
			return wire.Value(`"old"`), ctx.Err()
		}
		called := make(chan error, 1)
		go func() {
			v, err := s.Call(t.Context(), "db", "a", nil)
			if err == nil && string(v) != `"old"` {
				err = errors.New(string(v))
			}
			called <- err
		}()
		<-asked

		s.commits("c2")
		s.whenStarted(func(a *actor) error {
			if old.Why() != nil {
				t.Error("the old version has ended before the new one was up")
			}
			a.tools = []wire.MCPTool{tool("b")}
			return nil
		})
		if err := s.Update("db", git()); err != nil {
			t.Fatal(err)
		}
		for _, status := range []Status{Building, Installing} {
			if e := s.expect(status); e.Cause != ByUpdate {
				t.Errorf("told that %+v", e)
			}
			if got := s.find("db").stands(); got != Running {
				t.Errorf("while it is %s the service is %s", status, got)
			}
		}
		e := s.expect(Running)
		if e.Cause != ByUpdate || e.Commit != "c2" || e.Previous != "c1" || e.Tools[0].Name != "b" {
			t.Errorf("told that %+v", e)
		}
		synctest.Wait()
		if old.Why() != nil {
			t.Error("the old version was ended during a call")
		}
		if _, err := s.Call(t.Context(), "db", "b", nil); err != nil {
			t.Error(err)
		}
		close(answer)
		if err := <-called; err != nil {
			t.Errorf("the call of the old version: %v", err)
		}
		synctest.Wait()
		if all, _ := s.find("db").builds(); old.Why() == nil || len(all) != 1 || all[0] != 2 {
			t.Errorf("builds %v are there", all)
		}
		s.quiet()

		built := s.begun()
		if err := s.Update("db", git()); err != nil {
			t.Fatal(err)
		}
		if e := s.expect(Building, Running); e.Commit != "c2" || e.Previous != "c2" || s.begun() != built {
			t.Errorf("nothing new: %+v", e)
		}
	})
}

func TestAnUpdateThatFailsLeavesWhatRan(t *testing.T) {
	for name, c := range map[string]struct {
		fail  func(*stage)
		takes time.Duration
		want  string
	}{
		"is not built": {func(s *stage) {
			s.whenBuilt(func(context.Context, source.Job) error {
				return errors.New("a syntax error")
			})
		}, 0, "a syntax error"},
		"does not start": {func(s *stage) { s.whenStarted(func(*actor) error { return errors.New("no module") }) }, 0, "the new version does not start: no module"},
		"does not answer": {func(s *stage) {
			s.whenStarted(func(a *actor) error { a.greet = forever; return nil })
		}, startTime, "within 1m0s"},
		"cannot be marked": {func(s *stage) {
			s.whenStarted(func(*actor) error { return os.RemoveAll(s.opts.Dir + "/db") })
		}, 0, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := runs(t)
				defer s.Close()
				old := s.last()
				s.commits("c2")
				c.fail(s)
				before := time.Now()
				if err := s.Update("db", git()); err != nil {
					t.Fatal(err)
				}
				e := s.next()
				for e.Status == Building || e.Status == Installing {
					e = s.next()
				}
				if e.Status != Running || e.Cause != ByKeep || e.Commit != "c1" || !strings.Contains(e.Error, c.want) || len(e.Tools) != 1 {
					t.Errorf("told that %+v", e)
				}
				if took := time.Since(before); took != c.takes {
					t.Errorf("after %s, not %s", took, c.takes)
				}
				synctest.Wait()
				for _, a := range s.starts[1:] {
					if a.Why() == nil {
						t.Error("the new version runs")
					}
				}
				if _, err := s.Call(t.Context(), "db", "a", nil); err != nil || old.Why() != nil {
					t.Errorf("the old version: %v", err)
				}
				if all, _ := s.find("db").builds(); c.want != "no such file" && (len(all) != 1 || all[0] != 1) {
					t.Errorf("builds %v are there", all)
				}
				s.whenBuilt(nil)
				s.whenStarted(nil)
				if err := s.Update("db", git()); err != nil {
					t.Errorf("it cannot be tried again: %v", err)
				}
				if e := s.expect(Building, Installing, Running); e.Commit != "c2" || e.Previous != "c1" {
					t.Errorf("told that %+v", e)
				}
			})
		})
	}
}

func TestAnUpdateRevivesWhatWasGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := runs(t)
		s.whenStarted(func(*actor) error { return errors.New("x") })
		s.last().die(errors.New("x"))
		s.expect(Restarting, Restarting, Restarting, Restarting, Restarting, Crashed)
		if err := s.Update("db", git()); err != nil {
			t.Fatal(err)
		}
		if e := s.expect(Building, Installing, Failed); e.Cause != ByUpdate || !strings.Contains(e.Error, "does not start: x") {
			t.Errorf("told that %+v", e)
		}
		s.whenStarted(nil)
		if err := s.Update("db", git()); err != nil {
			t.Fatal(err)
		}
		if e := s.expect(Building, Installing, Running); e.Cause != ByUpdate || e.Restarts != 0 {
			t.Errorf("told that %+v", e)
		}
		s.Close()

		s.again(s.opts.Dir)
		defer s.Close()
		if err := s.Update("db", git()); err != nil {
			t.Fatal(err)
		}
		if e := s.expect(Building, Installing, Running); e.Cause != ByUpdate || e.Previous != "c1" {
			t.Errorf("of what does not run: %+v", e)
		}
	})
}

func TestWhatRestartsDuringItsUpdateIsReplacedStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := runs(t)
		defer s.Close()
		turn := make(chan struct{})
		s.whenBuilt(func(context.Context, source.Job) error {
			<-turn
			return nil
		})
		s.commits("c2")
		if err := s.Update("db", git()); err != nil {
			t.Fatal(err)
		}
		s.expect(Building)
		if err := s.Update("db", git()); err == nil || !strings.Contains(err.Error(), "under way already") {
			t.Errorf("a second update: %v", err)
		}
		s.last().die(errors.New("x"))
		s.expect(Restarting)
		close(turn)
		if e := s.expect(Installing, Running); e.Cause != ByUpdate || e.Commit != "c2" || e.Restarts != 0 {
			t.Errorf("told that %+v", e)
		}
		time.Sleep(time.Hour)
		s.quiet()
		if n := s.started(); n != 2 {
			t.Errorf("it was started %d times", n)
		}
	})
}

func TestSecretsOfAnUpdateOutliveTheCrashOfWhatItReplaces(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		spec := Spec{Env: map[string]string{"FILE": vault("key", "k")}}
		s.runs("db", spec)
		turn := make(chan struct{})
		s.whenStarted(func(a *actor) error {
			a.greet = func(context.Context) error { <-turn; return nil }
			return nil
		})
		if err := s.Update("db", spec); err != nil {
			t.Fatal(err)
		}
		s.expect(Building, Installing)
		synctest.Wait() // it is being greeted
		next := s.last()
		s.whenStarted(func(*actor) error { return errors.New("x") })
		s.starts[0].die(errors.New("x"))
		s.expect(Restarting, Restarting, Restarting, Restarting, Restarting, Crashed)
		secrets := func() string {
			all, _ := filepath.Glob(filepath.Join(s.opts.Dir, "db", "secrets", "*", "*"))
			for i, p := range all {
				all[i] = filepath.Base(filepath.Dir(p))
			}
			return strings.Join(all, " ")
		}
		if got := secrets(); got != "2" {
			t.Errorf("there are secrets of the builds %q", got)
		}
		close(turn)
		s.expect(Running)
		if next.Why() != nil || secrets() != "2" {
			t.Errorf("%v; there are secrets of the builds %q", next.Why(), secrets())
		}
	})
}

func TestAnUpdateEndsWithItsService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := runs(t)
		defer s.Close()
		s.commits("c2")
		s.whenBuilt(func(ctx context.Context, _ source.Job) error { return forever(ctx) })
		if err := s.Update("db", git()); err != nil {
			t.Fatal(err)
		}
		s.expect(Building)
		if err := s.Stop(t.Context(), "db"); err != nil {
			t.Fatal(err)
		}
		s.expect(Stopped)
		if all, _ := s.find("db").builds(); len(all) != 1 {
			t.Errorf("builds %v are there", all)
		}
		s.quiet()
	})
}
