package runner

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"claudemesh/broker/runner/confine"
	"claudemesh/broker/runner/source"
	"claudemesh/toolserver"
)

func TestAFullDiskIsNamedFirst(t *testing.T) {
	full := source.ErrFull.Error()
	said := toolserver.Ending{How: "exit code 1", Said: "OSError: [Errno 28] No space left on device"}
	for _, c := range []struct {
		name     string
		building error
		ended    error
		left     int64
		want     string
	}{
		{"a program that builds says so", fmt.Errorf("npm install: %w", source.ErrFull), nil, 0, "npm install: " + full},
		{"the broker finds it itself", fmt.Errorf("write installed: %w", syscall.ENOSPC), nil, 0, full + ": write installed: no space left on device"},
		{"its user may have no more", fmt.Errorf("write installed: %w", syscall.EDQUOT), nil, 0, full + ": write installed: disk quota exceeded"},
		{"the service says so", nil, said, 4096, full + ": it does not start: " + said.Error()},
		{"the service means another disk", nil, said, littleRoom, "it does not start: " + said.Error()},
		{"the service ended for another reason", nil, toolserver.Ending{How: "exit code 1"}, 0, "it does not start: it ended: exit code 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			onStage(t, func(t *testing.T, s *stage) {
				s.left.Store(c.left)
				s.whenBuilt(func(context.Context, source.Job) error { return c.building })
				s.whenStarted(func(*actor) error { return c.ended })
				s.deploys("db", Spec{})
				if e := s.outcome(); e.Status != Failed || e.Error != c.want {
					t.Errorf("told that %+v", e)
				}
				if lines, _ := s.Logs("db", 1, 0); len(lines) != 1 || !strings.HasSuffix(lines[0], "failed: "+c.want) {
					t.Errorf("the log ends with %q", lines)
				}
			})
		})
	}
}

func TestARegistryThatIsBarredIsTheReasonOfAFailedBuild(t *testing.T) {
	t.Parallel()
	const registry = "registry.example:443"
	barred := fmt.Sprintf("%q is not reached: %s", registry, confine.NotAdmitted)
	for _, c := range []struct {
		name, host, why, program string
		want                     string
	}{
		{"the registry is", registry, confine.NotAdmitted, "false", barred},
		{"the registry is, in plain HTTP", "registry.example", confine.NotAdmitted, "false", strings.Replace(barred, ":443", "", 1)},
		{"the registry is, and another serves", registry, confine.NotAdmitted, "true", ""},
		{"the registry does not answer", registry, "the host does not answer", "false", "exit status 1"},
		{"what a script wants besides is", "other.example:443", confine.NotAdmitted, "false", "exit status 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path, err := exec.LookPath(c.program)
			if err != nil {
				t.Skip(err)
			}
			s := newStage(t)
			defer s.Close()
			s.Runner.machine.command = func(ctx context.Context, cell confine.Cell) (program, error) {
				cell.Unreached(c.host, c.why)
				return program{exec.CommandContext(ctx, path), func() error { return nil }}, nil
			}
			s.whenBuilt(func(ctx context.Context, job source.Job) error {
				return job.Run(ctx, job.Dir, []string{path}, nil, []string{registry, "registry.example:80"}, job.Log)
			})
			s.deploys("db", Spec{})
			s.expect(Building)
			if e := s.outcome(); e.Error != c.want {
				t.Errorf("told that %+v", e)
			}
			lines, _ := s.Logs("db", 10, 0)
			if log := strings.Join(lines, "\n"); !strings.Contains(log, fmt.Sprintf("[broker] %q is not reached: %s", c.host, c.why)) {
				t.Errorf("the log has %s", log)
			}
		})
	}
}
