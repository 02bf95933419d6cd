package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"claudemesh/wire"
)

const (
	pingEvery   = 30 * time.Second
	pingTime    = 5 * time.Second
	maxFailures = 3 // pings in a row without an answer
	maxRestarts = 5
	firstPause  = time.Second      // before the first restart; before the second twice that, and so on
	stableAfter = 10 * time.Minute // after which restarts are forgotten
	retellEvery = 5 * time.Second  // at most, tools are asked for again
	maxStarts   = 3                // of a program that has never run
)

// A life is a service from one instruction to the next. Its fields are its
// goroutine's, unless they say else.
type life struct {
	s      *service
	spec   Spec
	ctx    context.Context // another life, or the Runner, ends it
	cancel context.CancelFunc
	done   chan struct{} // closed when it has ended
	err    error         // of what it did, once done is closed

	current  *instance // nil unless it runs
	what     install   // what was started last
	restarts int
	failures int // of pings

	retry, stable, retell *time.Timer
	health                *time.Ticker
	retold                time.Time // when the tools were last asked for

	news chan func() // what the goroutine of an update has it do

	mu       sync.Mutex
	minding  bool           // mind is under way or about to be, and updates are taken
	updating bool           // one is under way
	updates  sync.WaitGroup // their goroutine
}

func newLife(s *service, spec Spec) *life {
	l := &life{s: s, spec: spec, done: make(chan struct{}), news: make(chan func())}
	l.ctx, l.cancel = context.WithCancel(s.r.ctx)
	return l
}

// leave is the end of a life.
func (l *life) leave() {
	l.cancel()
	r := l.s.r
	r.mu.Lock()
	l.s.lives--
	r.mu.Unlock()
	close(l.done)
}

// tell tells what has become of the service.
func (l *life) tell(e Event) {
	e.Name, e.Restarts = l.s.name, l.restarts
	if e.Status == Running && l.current != nil {
		e.Tools, e.Commit, e.Runtime = l.current.tools, l.current.Commit, string(l.current.Runtime)
	}
	note := string(e.Status)
	if e.Cause == ByKeep {
		note = "the update failed, and what ran before goes on"
	}
	if e.Error != "" {
		note += ": " + e.Error
	}
	l.s.log.note("%s", note)
	if l.ctx.Err() == nil || e.Cause == ByStop {
		l.s.r.opts.Changed(e)
	}
}

// stop is what a life does that Stop has begun.
func (l *life) stop() {
	l.s.set(Stopped, nil)
	l.tell(Event{Status: Stopped, Cause: ByStop})
}

// remove is what a life does that Remove has begun.
func (l *life) remove() {
	r := l.s.r
	l.s.set(Stopped, nil)
	if err := removeAll(l.s.dir); err != nil {
		l.err = fmt.Errorf("the directory of the service %q could not be deleted, and is still there: %w", l.s.name, err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.s.life == l {
		delete(r.services, l.s.name)
	}
}

// deploy is what a life does that Deploy has begun.
func (l *life) deploy() {
	unmark := ignoreMissing(os.Remove(filepath.Join(l.s.dir, installedFile)))
	if err := errors.Join(unmark, l.s.dropOthers(0), removeAll(filepath.Join(l.s.dir, tmpDir))); err != nil {
		l.fail(ByDeploy, err) // or what was there might run again
	} else {
		l.make(ByDeploy)
	}
	l.mind()
}

// make builds a service that does not run, starts it, and minds it from then on.
func (l *life) make(cause Cause) {
	if l.ctx.Err() != nil {
		return
	}
	l.s.log.hide(secretsOf(l.spec))
	tell := func(status Status) {
		l.s.set(status, nil)
		l.tell(Event{Status: status, Cause: cause})
	}
	tell(Building)
	before, _ := l.s.installed() // of an update of what does not run
	in, err := l.newBuild(l.ctx, l.spec, tell)
	if err == nil {
		err = l.first(in)
	}
	if err != nil {
		l.fail(cause, err)
	} else {
		l.run(l.current, Event{Cause: cause, Previous: before.Commit})
	}
}

// first starts a program for the first time. One that ends may have needed
// another moment, and is started again while there is time.
func (l *life) first(what install) error {
	ctx, cancel := inStartTime(l.ctx)
	defer cancel()
	for attempt := 1; ; attempt++ {
		in, err := l.start(ctx, what, l.spec)
		if err == nil {
			l.current = in
			return l.s.keep(what)
		}
		if _, ended := errors.AsType[endedError](err); !ended || attempt == maxStarts || !pause(ctx, firstPause) {
			return errors.Join(fmt.Errorf("it does not start: %w", err), l.s.dropBuild(what.build))
		}
		l.s.log.note("it does not start: %s", l.s.told(err))
	}
}

// pause waits, and reports whether there is more time.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// fail is the end of a deployment that came to nothing.
func (l *life) fail(cause Cause, err error) {
	if l.current != nil {
		l.current.end()
		l.current = nil
	}
	l.s.set(Failed, nil)
	l.takeUpdates()
	l.tell(Event{Status: Failed, Cause: cause, Error: l.s.told(err)})
}

// resume is what a life does that Resume has begun, which gives its turn back.
func (l *life) resume(t turn) {
	what, err := l.s.installed()
	if err != nil {
		l.s.r.opts.Resumes.giveBack(t) // builds wait for others
		l.s.log.note("it is built again: what was installed cannot be started: %v", err)
		l.make(ByDeploy)
		l.mind()
		return
	}
	l.s.log.hide(secretsOf(l.spec))
	l.s.set(Restarting, nil)
	l.what = what
	l.timers()
	if l.waitFor(t) {
		l.again(ByResume)
	}
	l.s.r.opts.Resumes.giveBack(t)
	l.mind()
}

// waitFor waits for a turn to start, and tells so where it has to. It reports
// whether there is still something to start.
func (l *life) waitFor(t turn) bool {
	if t.hasCome() {
		return l.ctx.Err() == nil
	}
	l.tell(Event{Status: Restarting, Cause: ByQueue, Error: "it waits for its turn: the broker has begun anew, and starts a few services at a time"})
	select {
	case <-t:
		l.tell(Event{Status: Restarting, Cause: ByResume})
	case <-l.ctx.Done():
	}
	return l.ctx.Err() == nil
}

// run takes over an instance that has been started; e says the rest of what is told.
func (l *life) run(in *instance, e Event) {
	l.timers()
	l.current, l.what, l.spec, l.failures = in, in.install, in.spec, 0
	l.retold = time.Now()
	l.retry.Stop()
	l.health.Reset(pingEvery)
	l.stable.Reset(stableAfter)
	l.s.set(Running, in)
	l.takeUpdates()
	e.Status = Running
	l.tell(e)
}

// timers makes those that mind waits for; none of them runs.
func (l *life) timers() {
	if l.retry != nil {
		return
	}
	l.retry, l.stable, l.retell, l.health = time.NewTimer(0), time.NewTimer(0), time.NewTimer(0), time.NewTicker(pingEvery)
	l.retry.Stop()
	l.stable.Stop()
	l.retell.Stop()
	l.health.Stop()
}

// takeUpdates lets updates begin. mind follows, which does what they need.
func (l *life) takeUpdates() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.minding = true
}

// mind watches over a service until the life ends, and ends the program then.
func (l *life) mind() {
	l.timers()
	l.takeUpdates()
	defer l.end()
	for {
		var ended, changed <-chan struct{}
		if l.current != nil {
			ended, changed = l.current.Done(), l.current.changed
		}
		select {
		case <-l.ctx.Done():
			return
		case <-ended:
			l.over(l.current.Why())
		case <-changed:
			l.retell.Reset(max(0, retellEvery-time.Since(l.retold)))
		case <-l.retell.C:
			l.askTools()
		case <-l.health.C:
			l.ping()
			l.weigh()
		case <-l.stable.C:
			l.restarts = 0
		case <-l.retry.C:
			l.again(ByRestart)
		case do := <-l.news:
			do()
		}
	}
}

// end ends what mind has minded.
func (l *life) end() {
	l.cancel()
	l.mu.Lock()
	l.minding = false
	l.mu.Unlock()
	l.updates.Wait()
	l.s.set(Stopped, nil)
	for _, stop := range []func() bool{l.retry.Stop, l.stable.Stop, l.retell.Stop} {
		stop()
	}
	l.health.Stop()
	if l.current != nil {
		l.current.end()
	}
	l.dropSecrets(filepath.Join(l.s.dir, secretsDir))
}

// dropSecrets deletes a directory of secrets once nothing runs that needs it.
func (l *life) dropSecrets(dir string) {
	if err := removeAll(dir); err != nil {
		l.s.r.opts.Log.Error("the secrets of a service are still on the disk", "service", l.s.name, "err", err)
	}
}

// over is the end of a program that should run: it is started again, after a
// pause, or given up.
func (l *life) over(why error) {
	if l.current != nil {
		l.current.end()
		l.current = nil
	}
	l.health.Stop()
	l.stable.Stop()
	l.retell.Stop()
	e := Event{Status: Restarting, Cause: ByRestart, Error: l.s.told(why)}
	if l.restarts == maxRestarts {
		e.Status = Crashed
		l.dropSecrets(l.s.secretsOf(l.what.build)) // an update may have others
	} else {
		l.restarts++
		l.retry.Reset(time.Duration(l.restarts) * firstPause)
	}
	l.s.set(e.Status, nil)
	l.tell(e)
}

// again starts a program that has ended, or its broker has.
func (l *life) again(cause Cause) {
	in, err := l.start(l.ctx, l.what, l.spec)
	switch {
	case err == nil:
		l.run(in, Event{Cause: cause})
	case l.ctx.Err() == nil:
		l.over(err)
	}
}

// ping asks whether the program is well, and ends one that has not been for long.
func (l *life) ping() {
	ctx, cancel := context.WithTimeout(l.ctx, pingTime)
	defer cancel()
	err := l.current.Ping(ctx)
	if err == nil || l.ctx.Err() != nil || l.current.ended() {
		l.failures = 0
		return
	}
	l.failures++
	l.s.log.note("it has not answered a ping within %s (%d of %d)", pingTime, l.failures, maxFailures)
	if l.failures == maxFailures {
		l.over(fmt.Errorf("it was ended: it has not answered %d pings in a row", maxFailures))
	}
}

// weigh ends a program that has filled more of the disk than it may.
func (l *life) weigh() {
	if l.current == nil {
		return
	}
	use := l.current.built
	use.addOwn(l.s)
	if err := use.check(); err != nil {
		l.over(fmt.Errorf("it was ended: %w", err))
	}
}

// askTools asks a program that has said so for its tools, and tells them if they
// are others. Those that it may not have do not take the place of those it had.
func (l *life) askTools() {
	if l.current == nil {
		return
	}
	l.retold = time.Now()
	ctx, cancel := context.WithTimeout(l.ctx, toolsTime)
	defer cancel()
	tools, err := l.current.list(ctx)
	if err != nil {
		l.s.log.note("it says that its tools have changed, but those it had stay: %s", l.s.told(err))
		return
	}
	same := func(a, b wire.MCPTool) bool {
		return a.Name == b.Name && a.Description == b.Description && bytes.Equal(a.InputSchema, b.InputSchema)
	}
	if !slices.EqualFunc(tools, l.current.tools, same) {
		l.current.tools = tools
		l.tell(Event{Status: Running, Cause: ByTools})
	}
}
