package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatEndsIsStartedAgainAndGivenUp(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.runs("db", Spec{})
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
	onStage(t, func(t *testing.T, s *stage) {
		s.runs("db", Spec{})
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
	onStage(t, func(t *testing.T, s *stage) {
		s.runs("db", Spec{})
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
	onStage(t, func(t *testing.T, s *stage) {
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
		s.runs("db", Spec{})
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
	onStage(t, func(t *testing.T, s *stage) {
		s.runs("db", Spec{})
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
	onStage(t, func(t *testing.T, s *stage) {
		s.runs("db", Spec{})
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
