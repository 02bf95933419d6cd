package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"claudemesh/broker/runner/confine"
	"claudemesh/broker/runner/source"
	"claudemesh/wire"
)

const (
	buildTime   = 10 * time.Minute // for a build, but for the time it waits for its turn
	buildMemory = 1024             // MB at least, while building: npm alone needs half of it
	buildTasks  = 256              // processes and threads at least, while building

	installedFile = "installed" // has the number of the build that is started
	buildPrefix   = "build-"
	homeDir       = "home"
	tmpDir        = "tmp"
	secretsDir    = "secrets"
)

// An install is a build that can be started.
type install struct {
	build int
	source.Built
}

func (s *service) buildDir(n int) string {
	return filepath.Join(s.dir, buildPrefix+strconv.Itoa(n))
}

// buildNumber is the number of a directory with a build, 0 if it is none.
func buildNumber(name string) int {
	digits, ok := strings.CutPrefix(name, buildPrefix)
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 1 || digits != strconv.Itoa(n) {
		return 0
	}
	return n
}

// builds lists the builds that there are, finished or not, ascending.
func (s *service) builds() ([]int, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all []int
	for _, e := range entries {
		if n := buildNumber(e.Name()); n > 0 {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all, nil
}

// newBuild makes a build of a spec beside those that there are. tell is told
// when it begins to install; it may be called from another goroutine, while
// newBuild waits.
func (l *life) newBuild(ctx context.Context, spec Spec, tell func(Status)) (install, error) {
	s := l.s
	select {
	case s.r.opts.Builds <- struct{}{}:
		defer func() { <-s.r.opts.Builds }()
	case <-ctx.Done():
		return install{}, ctx.Err()
	}
	late := fmt.Errorf("it was not built within %s", buildTime)
	ctx, cancel := context.WithTimeoutCause(ctx, buildTime, late)
	defer cancel()
	if err := os.MkdirAll(s.dir, 0o711); err != nil {
		return install{}, err
	}
	before, err := s.builds()
	if err != nil {
		return install{}, err
	}
	in := install{build: 1}
	if len(before) > 0 {
		in.build = before[len(before)-1] + 1
	}
	dir := s.buildDir(in.build)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return install{}, err
	}
	in.Built, err = l.runBuild(ctx, spec, dir, tell)
	if err != nil {
		err = cmp.Or(context.Cause(ctx), err)
		return install{}, errors.Join(err, s.dropBuild(in.build))
	}
	return in, nil
}

func (l *life) runBuild(ctx context.Context, spec Spec, dir string, tell func(Status)) (source.Built, error) {
	log := &lineWriter{ring: l.s.log, prefix: "[build] "}
	defer log.flush()
	return l.s.r.build(ctx, l.job(spec, dir, log, func() { tell(Installing) }))
}

func (l *life) job(spec Spec, dir string, log io.Writer, installing func()) source.Job {
	src := spec.Source
	src.Args = l.s.atHome(src.Args)
	return source.Job{
		Source: src, Runtime: spec.Runtime, Dir: dir, Log: log, Installing: installing,
		Run: func(ctx context.Context, work string, args, env, network []string, log io.Writer) error {
			limits := spec.Limits
			limits.MemoryMB = max(limits.MemoryMB, buildMemory)
			limits.Processes = max(limits.Processes, buildTasks)
			limits.Network = l.s.r.buildNetwork(spec.Limits, network)
			barred := make(chan string, 1)
			err := l.s.r.runIn(ctx, confine.Cell{
				Dir: l.s.dir, Write: []string{dir}, Work: work, Args: args, Env: env, Limits: limits,
				Read: l.s.r.opts.Builder.Trusted(), Unreached: func(host, why string) {
					l.s.unreached(host, why)
					if why == confine.NotAdmitted && isOf(network, host) {
						select {
						case barred <- host:
						default: // one says it
						}
					}
				},
			}, log)
			select {
			case host := <-barred:
				if err != nil { // npm would speak of a password
					return source.Plain(unreached(host, confine.NotAdmitted))
				}
			default:
			}
			return err
		},
	}
}

// atHome returns arguments with the directory that a service may change in the place
// of {home}: who deploys it cannot know where that is.
func (s *service) atHome(args []string) []string {
	args = slices.Clone(args)
	for i, arg := range args {
		args[i] = strings.ReplaceAll(arg, "{home}", filepath.Join(s.dir, homeDir))
	}
	return args
}

// isOf reports whether a host that was not reached is one of a list of host:port.
// What is asked for in plain HTTP may come without a port.
func isOf(hosts []string, host string) bool {
	return slices.Contains(hosts, host) || slices.Contains(hosts, host+":80")
}

// buildNetwork is what a build may reach: some hosts, or none. Where the machine
// cannot hold it to those, a service that has all of the machine's network is
// built with that too.
func (r *Runner) buildNetwork(l confine.Limits, hosts []string) []string {
	if slices.Contains(l.Network, confine.AllNetwork) && r.holds(confine.Limits{Network: hosts}) != nil {
		return l.Network
	}
	return hosts
}

// runIn runs a program to its end.
func (r *Runner) runIn(ctx context.Context, cell confine.Cell, log io.Writer) error {
	p, err := r.command(ctx, cell)
	if err != nil {
		return err
	}
	p.Stdout, p.Stderr = log, log
	p.WaitDelay = time.Second
	err = p.Run()
	return cmp.Or(p.close(), err)
}

func (s *service) dropBuild(n int) error {
	return errors.Join(removeAll(s.buildDir(n)), removeAll(s.secretsOf(n)))
}

// installed returns what is to be started: fs.ErrNotExist if there is nothing.
func (s *service) installed() (install, error) {
	p, err := os.ReadFile(filepath.Join(s.dir, installedFile))
	if err != nil {
		return install{}, err
	}
	in := install{build: buildNumber(buildPrefix + strings.TrimSpace(string(p)))}
	if in.build == 0 {
		return install{}, fmt.Errorf("the file %s of the service names no build", installedFile)
	}
	in.Built, err = s.r.load(s.buildDir(in.build))
	return in, err
}

// keep makes a build the one that is started from now on, and deletes the others.
func (s *service) keep(in install) error {
	if err := s.mark(in.build); err != nil {
		return err
	}
	return s.dropOthers(in.build)
}

// mark writes, at once or not at all, which build is started.
func (s *service) mark(n int) error {
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	next := installedFile + ".next"
	if err := root.RemoveAll(next); err != nil {
		return err
	}
	f, err := root.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, n)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return root.Rename(next, installedFile)
}

// dropOthers deletes all builds but one, with their secrets.
func (s *service) dropOthers(n int) error {
	all, err := s.builds()
	for _, other := range all {
		if other != n {
			err = errors.Join(err, s.dropBuild(other))
		}
	}
	return err
}

// Sweep deletes what a broker before this one has left of services that are not
// among names, and what it had not finished of those that are. It is called
// before the first service is begun.
func (r *Runner) Sweep(names []string) error {
	services, err := os.ReadDir(r.opts.Dir)
	for _, e := range services {
		if wire.ValidServerName(e.Name()) && slices.Contains(names, e.Name()) {
			err = errors.Join(err, newService(r, e.Name()).sweep())
		} else {
			err = errors.Join(err, removeAll(filepath.Join(r.opts.Dir, e.Name())))
		}
	}
	return err
}

// sweep leaves only what a service needs to be resumed.
func (s *service) sweep() error {
	in, err := s.installed()
	entries, readErr := os.ReadDir(s.dir)
	for _, e := range entries {
		n := buildNumber(e.Name())
		if e.Name() == homeDir || err == nil && (e.Name() == installedFile || n == in.build && n > 0) {
			continue
		}
		readErr = errors.Join(readErr, removeAll(filepath.Join(s.dir, e.Name())))
	}
	return readErr
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
