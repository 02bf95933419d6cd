package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"claudemesh/broker/runner/source"
)

// Update builds a service anew and puts the new one in the place of the one that
// runs, once it is up; if it does not come up the old one stays. A git source is
// not built if it has no other commit. Update returns once that is accepted; what
// becomes of it is told by Changed, with ByUpdate or ByKeep.
func (r *Runner) Update(name string, spec Spec) error {
	if err := r.Check(name, spec); err != nil {
		return err
	}
	r.mu.Lock()
	var l *life
	if s := r.services[name]; s != nil {
		l = s.life
	}
	r.mu.Unlock()
	if l != nil {
		taken, err := l.update(spec)
		if taken || err != nil {
			return err
		}
	}
	_, err := r.enter(name, &spec, (*life).remake)
	return err
}

// remake is what a life does that Update has begun, of a service that does not run.
func (l *life) remake() {
	l.make(ByUpdate)
	l.mind()
}

// update begins an update beside what the life minds. It reports whether the
// life minds anything.
func (l *life) update(spec Spec) (taken bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.done:
		return false, nil
	default:
	}
	switch {
	case l.updating:
		return true, fmt.Errorf("an update of the service %q is under way already", l.s.name)
	case !l.minding:
		return true, fmt.Errorf("the service %q is being built, or is ending: try again when it runs", l.s.name)
	}
	l.updating = true
	l.updates.Go(func() {
		outcome := l.beside(spec)
		l.mu.Lock()
		l.updating = false
		l.mu.Unlock()
		l.inTurn(outcome)
	})
	return true, nil
}

// inTurn has the goroutine of the life do something, and waits until it has. It
// reports whether it was done.
func (l *life) inTurn(do func()) bool {
	done := make(chan struct{})
	select {
	case l.news <- func() { defer close(done); do() }:
		<-done
		return true
	case <-l.ctx.Done():
		return false
	}
}

// beside makes and starts another build while the one that runs goes on, and puts
// it in its place. It returns what is left to do in turn when all is done.
func (l *life) beside(spec Spec) (outcome func()) {
	var before install
	var running bool
	begin := func() {
		before, running = l.what, l.current != nil
		l.s.log.hide(append(secretsOf(spec), secretsOf(l.spec)...))
		l.tell(Event{Status: Building, Cause: ByUpdate})
	}
	if !l.inTurn(begin) {
		return func() {}
	}
	if running && l.isLatest(spec, before) {
		return func() { l.tell(Event{Status: l.s.stands(), Cause: ByUpdate, Previous: before.Commit}) }
	}
	what, err := l.newBuild(l.ctx, spec, func(status Status) {
		l.inTurn(func() { l.tell(Event{Status: status, Cause: ByUpdate}) })
	})
	if err != nil {
		return func() { l.keepOld(err) }
	}
	next, err := l.start(l.ctx, what, spec)
	if err != nil {
		err = errors.Join(fmt.Errorf("the new version does not start: %w", err), l.s.dropBuild(what.build))
		return func() { l.keepOld(err) }
	}
	return l.swap(next, before)
}

// swap puts an instance in the place of the one that runs, if one does, and ends
// that one when its calls are answered.
func (l *life) swap(next *instance, before install) (outcome func()) {
	var old *instance
	var err error
	take := func() {
		if err = l.s.mark(next.build); err == nil {
			old, l.restarts = l.current, 0
			l.run(next, Event{Cause: ByUpdate, Previous: before.Commit})
		}
	}
	if !l.inTurn(take) {
		next.end()
		return func() {}
	}
	if err != nil {
		next.end()
		err = errors.Join(err, l.s.dropBuild(next.build))
		return func() { l.keepOld(err) }
	}
	if old != nil {
		select {
		case <-old.drained():
		case <-l.ctx.Done():
		}
		old.end()
	}
	if err := l.s.dropBuild(before.build); err != nil {
		l.s.r.opts.Log.Warn("a version that does not run any more is still on the disk", "service", l.s.name, "err", err)
	}
	return func() {}
}

// isLatest reports whether an update would build what runs already. Where that
// cannot be said it is built.
func (l *life) isLatest(spec Spec, before install) bool {
	if spec.Source.Type != source.Git || before.Commit == "" {
		return false
	}
	dir, err := os.MkdirTemp(l.s.dir, "latest-")
	if err != nil {
		return false
	}
	defer removeAll(dir)
	ctx, cancel := context.WithTimeout(l.ctx, buildTime)
	defer cancel()
	commit, err := l.s.r.latest(ctx, l.job(spec, dir, io.Discard, func() {}))
	return err == nil && commit == before.Commit
}

// keepOld is the end of an update that failed.
func (l *life) keepOld(err error) {
	e := Event{Status: l.s.stands(), Cause: ByKeep, Error: l.s.told(err)}
	if e.Status != Running && e.Status != Restarting {
		e.Status, e.Cause = Failed, ByUpdate
		l.s.set(Failed, nil)
	}
	l.tell(e)
}
