package runner

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"claudemesh/broker/runner/source"
)

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
	onStage(t, func(t *testing.T, s *stage) {
		s.runs("db", Spec{})
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
	onStage(t, func(t *testing.T, s *stage) {
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
