package runner

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"claudemesh/broker/runner/source"
	"claudemesh/toolserver"
	"claudemesh/wire"
)

const (
	maxLives  = 8    // of one service that have not ended
	maxCalls  = 16   // of one service under way
	maxQueue  = 64   // that wait for their turn
	maxReason = 1000 // characters of an error that is told
)

// A service is what a Runner knows under a name.
type service struct {
	r    *Runner
	name string
	dir  string
	log  *ring

	life  *life // the last one; guarded by r.mu
	lives int   // that have not ended; guarded by r.mu

	slots chan struct{} // of the calls under way
	queue chan struct{} // of those and the ones that wait

	mu       sync.Mutex
	status   Status
	instance *instance // while it runs
}

func newService(r *Runner, name string) *service {
	return &service{
		r: r, name: name, dir: filepath.Join(r.opts.Dir, name), log: newRing(time.Now().UnixMilli()),
		slots: make(chan struct{}, maxCalls), queue: make(chan struct{}, maxCalls+maxQueue),
		status: Stopped,
	}
}

// set says where a service stands; in is nil unless it runs.
func (s *service) set(status Status, in *instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.instance = status, in
}

// stands returns what set was told.
func (s *service) stands() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// take returns the instance that runs, for one call: its caller is Done with it.
func (s *service) take() (*instance, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.instance == nil {
		return nil, fmt.Errorf("service %q is %s", s.name, s.status)
	}
	s.instance.calls.Add(1)
	return s.instance, nil
}

// Call calls a tool of a service that runs with an object of arguments, and
// returns the whole result, at most wire.MaxCallResult bytes, within
// wire.ServiceCall, in which it may have to wait for its turn: ErrBusy if too many
// do. Errors say which service, and what of it: that there is none (ErrUnknown),
// that it is not running, ended during the call, gave no answer in time, or
// answered with an error.
func (r *Runner) Call(ctx context.Context, name, tool string, args wire.Value) (wire.Value, error) {
	s := r.find(name)
	if s == nil {
		return nil, ErrUnknown
	}
	if status := s.stands(); status != Running {
		return nil, fmt.Errorf("service %q is %s", name, status)
	}
	select {
	case s.queue <- struct{}{}:
		defer func() { <-s.queue }()
	default:
		return nil, fmt.Errorf("service %q: %w", name, ErrBusy)
	}
	late, cancel := context.WithTimeout(ctx, wire.ServiceCall)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-late.Done():
		return nil, s.late(ctx)
	}
	in, err := s.take()
	if err != nil {
		return nil, err
	}
	defer in.calls.Done()
	v, err := in.Call(late, tool, args)
	switch {
	case err == nil:
		return v, nil
	case late.Err() != nil:
		return nil, s.late(ctx)
	case in.ended():
		return nil, fmt.Errorf("service %q: during the call %s", name, s.ending(in))
	}
	return nil, fmt.Errorf("service %q: %s", name, s.told(err))
}

// late is the error of a call that was given up; ctx is that of its caller.
func (s *service) late(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("service %q has not answered within %s", s.name, wire.ServiceCall)
}

// ending is how an instance ended as its callers may read it, who may not read
// the log.
func (s *service) ending(in *instance) string {
	if e, ok := errors.AsType[toolserver.Ending](in.Why()); ok && e.Said != "" {
		return toolserver.Ending{How: e.How}.Error() + "; its log says more"
	}
	return s.told(in.Why())
}

// told is an error as others may read it. That the disk is full comes first.
func (s *service) told(err error) string {
	text := err.Error()
	if !errors.Is(err, source.ErrFull) && s.isOfFullDisk(err) {
		text = source.ErrFull.Error() + ": " + text
	}
	return wire.Shorten(s.log.redact(text), maxReason)
}

// littleRoom is how many bytes a program may have left when it found no more. What it
// says of that is believed up to there: it may mean another disk, as /dev/shm.
const littleRoom = 16 << 20

// isOfFullDisk reports whether something failed because the disk is full.
func (s *service) isOfFullDisk(err error) bool {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return true
	}
	e, ok := errors.AsType[toolserver.Ending](err)
	if !ok || !source.SaysFull(e.Said) {
		return false
	}
	left, known := s.r.room(s.r.opts.Dir)
	return known && left < littleRoom
}

// unreached puts a host that the service or its build did not get into its log.
func (s *service) unreached(host, why string) { s.log.note("%s", unreached(host, why)) }

func unreached(host, why string) string { return fmt.Sprintf("%.100q is not reached: %s", host, why) }
