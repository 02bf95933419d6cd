package runner

import (
	"context"
	"errors"
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
	onStage(t, func(t *testing.T, s *stage) {
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
			onStage(t, func(t *testing.T, s *stage) {
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
	onStage(t, func(t *testing.T, s *stage) {
		s.whenBuilt(func(ctx context.Context, job source.Job) error {
			if job.Source.Package == "slow" {
				return forever(ctx)
			}
			return nil
		})
		s.deploys("db", Spec{Source: source.Source{Package: "slow"}})
		s.expect(Building)
		s.runs("db", Spec{Source: source.Source{Package: "quick"}})
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
	onStage(t, func(t *testing.T, s *stage) {
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
