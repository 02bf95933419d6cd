package runner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// TestFewAreResumedAtATime has a broker begin anew with six services, of which
// the stage starts two at a time.
func TestFewAreResumedAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		names := []string{"a", "b", "c", "d", "e", "f"}
		for _, name := range names {
			s.deploys(name, Spec{})
			s.expect(Building, Installing, Running)
		}
		s.Close()
		s.again(s.opts.Dir)
		defer s.Close()
		before := s.started()
		greeted := make(chan struct{})
		s.whenStarted(func(a *actor) error {
			a.greet = func(ctx context.Context) error {
				select {
				case <-greeted:
				case <-ctx.Done():
				}
				return ctx.Err()
			}
			return nil
		})
		for _, name := range names {
			if err := s.Resume(name, Spec{}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		var queued []string
		for len(s.events) > 0 {
			e := s.next()
			if e.Status != Restarting || e.Cause != ByQueue || !strings.Contains(e.Error, "its turn") {
				t.Errorf("told that %+v", e)
			}
			queued = append(queued, e.Name)
		}
		if slices.Sort(queued); !slices.Equal(queued, names[2:]) || s.started() != before+2 {
			t.Errorf("%q wait, and %d were started", queued, s.started()-before)
		}
		if err := s.Remove(t.Context(), "d"); err != nil {
			t.Error(err)
		}
		var ran []string
		for range 5 {
			greeted <- struct{}{}
			for e := s.next(); ; e = s.next() {
				if e.Status == Running {
					ran = append(ran, e.Name)
					break
				}
				if e.Status != Restarting || e.Cause != ByResume || e.Error != "" {
					t.Errorf("told that %+v", e)
				}
			}
			synctest.Wait()
		}
		if slices.Sort(ran[:2]); !slices.IsSorted(ran) || slices.Contains(ran, "d") {
			t.Errorf("they run in the order %q", ran)
		}
	})
}

// TestATurnIsGivenBackHoweverAServiceFares has each way in which one is not
// resumed leave the next its turn.
func TestATurnIsGivenBackHoweverAServiceFares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.Close()
		for range 3 {
			if err := s.Resume("not a name", Spec{}); err == nil {
				t.Error("it is one")
			}
		}
		s.whenStarted(func(*actor) error { return fmt.Errorf("bad luck") })
		for i := range 3 {
			if err := s.Resume(fmt.Sprint("new", i), Spec{}); err != nil { // of which nothing is installed
				t.Error(err)
			}
			for e := s.next(); e.Status != Failed; e = s.next() {
				if e.Cause != ByDeploy {
					t.Errorf("told that %+v", e)
				}
			}
		}
		s.whenStarted(nil)
		s.deploys("db", Spec{})
		s.expect(Building, Installing, Running)
		for range 3 {
			if err := s.Stop(t.Context(), "db"); err != nil {
				t.Fatal(err)
			}
			s.expect(Stopped)
			if err := s.Resume("db", Spec{}); err != nil {
				t.Fatal(err)
			}
			s.expect(Running)
		}
	})
}
