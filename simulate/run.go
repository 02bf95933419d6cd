package simulate

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

// Options say where a scenario is played and how.
type Options struct {
	Broker   Broker
	Commands bool // personas that are commands may run them
	// Seed is used in place of the scenario's, unless 0.
	Seed uint64
	// Patience is how long the run waits while nothing happens that must: a
	// tick of the clock, or a message that is under way.
	Patience time.Duration
	// Watch, if not nil, is told from time to time how the run goes.
	Watch  func(*Snapshot)
	Logger *slog.Logger
}

// maxMessages bounds what a run sends, reactions to reactions among it.
const maxMessages = 2 * maxPlanned

// A run is a scenario being played.
type run struct {
	// Static.
	*Scenario
	opts      Options
	mesh      peer.Mesh
	id        string // of the run, in the names of what it makes
	group     string // everyone's
	seed      uint64
	log       *slog.Logger
	cast      []*actor
	byName    map[string]*actor
	byAddress map[string]*actor
	world     *World
	stage     *stage
	ledger    *ledger
	began     time.Time
	epoch     time.Time   // what the clock shows at minute 0
	restarts  int         // of the broker, by us; owned by who conducts
	final     []StateLine // of the keys, at the end

	minute   atomic.Int64
	busy     atomic.Int64 // things that actors and commands have yet to do
	commands atomic.Int64 // that run now
	budget   atomic.Int64 // messages that may still be sent
	cut      atomic.Int64 // answers that were not sent, because there were too many
	skipped  atomic.Int64 // things not done because the persona was away
	unsent   atomic.Int64 // deliveries of messages to groups that need not be, because the persona was away

	mu       sync.Mutex
	later    map[Minutes][]task
	notes    []string
	byMember map[string]*actor // where each is a member of its own
	keys     map[string]bool   // of the state, that were set
	runs     []CommandRun
	ticks    []tickAt
}

// A task is something that waits for its minute.
type task struct {
	who string
	do  func()
}

// A tickAt is when a minute began.
type tickAt struct {
	minute Minutes
	at     time.Time
}

// Run plays a scenario to its end, to that of ctx, or until it cannot go on, and
// reports. The error is about what could not even begin.
func Run(ctx context.Context, s *Scenario, opts Options) (*Report, error) {
	if !opts.Commands && s.HasCommands() {
		return nil, ErrCommands
	}
	mesh, err := opts.Broker.Mesh(ctx)
	if err != nil {
		return nil, err
	}
	r := newRun(s, opts, mesh)
	if err := r.assemble(); err != nil {
		return nil, err
	}
	ended := r.play(ctx)
	return r.report(ended), nil
}

// ErrCommands is the error of Run when a scenario has commands that Options do
// not allow.
var ErrCommands = errors.New("the scenario runs programs of its own")

func newRun(s *Scenario, opts Options, mesh peer.Mesh) *run {
	var b [5]byte
	rand.Read(b[:])
	r := &run{
		Scenario: s, opts: opts, mesh: mesh, id: hex.EncodeToString(b[:]), seed: s.Seed, log: opts.Logger, world: s.World,
		byName: make(map[string]*actor), byAddress: make(map[string]*actor), ledger: newLedger(),
		later: make(map[Minutes][]task), keys: make(map[string]bool), began: time.Now(),
	}
	r.byMember = make(map[string]*actor)
	r.epoch = r.began.UTC().Truncate(time.Second)
	r.group = "sim-" + r.id
	if opts.Seed != 0 {
		r.seed = opts.Seed
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	r.budget.Store(maxMessages)
	r.minute.Store(-1)
	return r
}

// assemble makes the actors.
func (r *run) assemble() error {
	for i := range r.Personas {
		p := &r.Personas[i]
		for _, name := range p.names() {
			a, err := newActor(r, p, name)
			if err != nil {
				return err
			}
			r.cast = append(r.cast, a)
			r.byName[name], r.byAddress[a.address()] = a, a
		}
	}
	if r.world != nil {
		r.stage = newStage(r)
	}
	return nil
}

// now returns the present minute.
func (r *run) now() Minutes { return max(0, Minutes(r.minute.Load())) }

// simTime returns what the clock shows in a minute.
func (r *run) simTime(minute Minutes) time.Time {
	return r.epoch.Add(time.Duration(minute) * time.Minute)
}

// at has something done in a minute: now, if it has begun.
func (r *run) at(minute Minutes, a *actor, do func()) {
	r.mu.Lock()
	if minute > Minutes(r.minute.Load()) {
		r.later[minute] = append(r.later[minute], task{a.name, do})
		r.mu.Unlock()
		return
	}
	r.mu.Unlock()
	do()
}

// maxNotes bounds what a report says besides its figures.
const maxNotes = 200

// note keeps something for the report that went otherwise than it should.
func (r *run) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if text := wire.Shorten(fmt.Sprintf(format, args...), 500); len(r.notes) < maxNotes && !slices.Contains(r.notes, text) {
		r.notes = append(r.notes, text)
	}
}

func (r *run) wrote(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys[key] = true
}

// ours reports whether a message was sent within the run: others of the mesh
// may write to a persona, which does not hear them.
func (r *run) ours(rec *peer.Record) bool {
	return rec.Authenticated || r.mesh.RootKey == ""
}

// play brings the actors on stage, has the minutes pass and clears the stage.
// The error is why the run ended before its time.
func (r *run) play(ctx context.Context) error {
	working, stop := context.WithCancel(context.WithoutCancel(ctx)) // an interrupt leaves time for the report
	var crew sync.WaitGroup
	defer func() {
		stop()
		crew.Wait()
	}()
	if err := r.enter(ctx, working); err != nil {
		return err
	}
	for _, a := range r.cast {
		crew.Go(func() { a.work(working) })
		if len(a.Command) > 0 {
			crew.Go(func() { a.runCommands(working) })
		}
	}
	if r.opts.Watch != nil {
		crew.Go(func() { r.watch(working) })
	}
	ended := r.conduct(ctx)
	if ended == nil {
		ended = r.settle(ctx, r.opts.Patience)
	}
	r.verify(ctx)
	return ended
}

const connectAtOnce = 16

// enter connects the actors, some at a time.
func (r *run) enter(ctx, working context.Context) error {
	var wg sync.WaitGroup
	var next atomic.Int64
	errs := make([]error, len(r.cast))
	for range min(connectAtOnce, len(r.cast)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(r.cast) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if errs[i] = r.enroll(ctx, working, r.cast[i]); errs[i] != nil {
					next.Store(int64(len(r.cast)))
				}
			}
		})
	}
	wg.Wait()
	for _, err := range append(errs, ctx.Err()) {
		if err != nil {
			for _, a := range r.cast {
				a.disconnect(ctx)
			}
			return err
		}
	}
	return nil
}

// enroll makes an actor a member where the broker allows it, and connects it.
func (r *run) enroll(ctx, working context.Context, a *actor) error {
	mesh, err := r.opts.Broker.Member(ctx, a.name)
	if err != nil {
		return fmt.Errorf("%s cannot join: %w", a.name, err)
	}
	if mesh != nil {
		a.opts.Mesh = *mesh
		r.mu.Lock()
		r.byMember[mesh.Pubkey] = a
		r.mu.Unlock()
	}
	return a.connect(ctx, working)
}

// begin is called as each minute begins.
func (r *run) begin(minute Minutes) {
	r.mu.Lock()
	r.minute.Store(int64(minute))
	tasks := r.later[minute]
	delete(r.later, minute)
	r.ticks = append(r.ticks, tickAt{minute, time.Now()})
	r.mu.Unlock()
	for _, a := range r.cast {
		for _, absence := range a.Away {
			if absence.Until == minute {
				a.do(a.comeBack)
			}
			if absence.From == minute {
				a.away.Store(true) // what this minute brings is for its return
				a.do(a.leave)
			}
		}
	}
	if r.stage != nil {
		r.stage.step(minute)
	}
	slices.SortStableFunc(tasks, func(x, y task) int { return strings.Compare(x.who, y.who) })
	for _, t := range tasks {
		t.do()
	}
	for _, a := range r.cast {
		a.perform(minute)
	}
}

// settle waits until nothing is under way, or until nothing has happened for
// a while: what has not come by then is missing, and the report says so.
func (r *run) settle(ctx context.Context, patience time.Duration) error {
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	away := func(name string) bool { return r.byName[name].isAway() }
	last, since := -1, time.Now()
	for {
		moves, under := r.ledger.progress(away)
		busy := r.busy.Load()
		if under == 0 && busy == 0 {
			if again, _ := r.ledger.progress(away); again == moves {
				return nil
			}
		}
		if r.running() || moves != last {
			last, since = moves, time.Now()
		}
		if time.Since(since) > patience {
			r.note("%d messages or deliveries were under way when nothing happened any more", under)
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
