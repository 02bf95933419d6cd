package simulate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"claudemesh/peer"
	"claudemesh/seal"
	"claudemesh/wire"
)

const (
	unanswered = 64 // messages of an actor without an ack
	connectIn  = 30 * time.Second
	ackWithin  = 2 * time.Minute // through a restart of the broker
)

// An actor is a persona on stage: a session with a key and a connection, and
// one goroutine that does what it has to do, one thing after the other.
type actor struct {
	*Persona
	name   string
	run    *run
	opts   peer.Options
	groups []string // as the mesh has them
	away   atomic.Bool
	conn   atomic.Pointer[peer.Client] // nil while away; changed by work alone

	mu    sync.Mutex
	queue []func(context.Context) // what is to be done
	wake  chan struct{}           // holds a token while there is something

	// Owned by the goroutine of work.
	listening sync.WaitGroup
	unacked   chan *sent
	acking    sync.WaitGroup

	seen  sync.Mutex
	fired map[string]int // how often each reaction matched, and ran; guarded by seen
	jobs  chan job       // of a command
}

// A sent message waits for its ack.
type sent struct {
	m       *message
	sending *peer.Sending
}

func newActor(r *run, p *Persona, name string) (*actor, error) {
	key, err := seal.Generate()
	if err != nil {
		return nil, err
	}
	a := &actor{Persona: p, name: name, run: r, wake: make(chan struct{}, 1), fired: make(map[string]int), jobs: make(chan job, maxJobs)}
	multicast := peer.MulticastPlain
	if r.mesh.RootKey != "" {
		multicast = peer.MulticastSealed
	}
	a.opts = peer.Options{
		Mesh: r.mesh, SessionID: "sim-" + r.id + "-" + name, SessionKey: key, DisplayName: name, Role: p.Role, PeerType: "ai", Channel: "simulate",
		EncryptMulticast: multicast, Logger: r.log,
	}
	a.groups = []string{r.group}
	for _, g := range p.Groups {
		a.groups = append(a.groups, r.group+"/"+g)
	}
	return a, nil
}

func (a *actor) address() string { return a.opts.SessionKey.Public().String() }

// connect brings the actor online, for which ctx is, and has it listen until
// working ends.
func (a *actor) connect(ctx, working context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectIn)
	defer cancel()
	client, err := peer.Open(ctx, a.opts)
	if err != nil {
		return fmt.Errorf("%s cannot connect: %w", a.name, err)
	}
	for _, g := range a.groups { // before anything is sent to one: Options.Groups are joined some time after
		if err := client.JoinGroup(ctx, wire.Group{Name: g}); err != nil {
			_ = client.Close(ctx) // of no use without its groups
			return fmt.Errorf("%s cannot join @%s: %w", a.name, g, err)
		}
	}
	a.conn.Store(client)
	unacked := make(chan *sent, unanswered)
	a.unacked = unacked
	a.away.Store(false)
	a.listening.Go(func() { a.readMail(working, client) })
	a.listening.Go(func() { a.readEvents(client) })
	a.acking.Go(func() { a.takeAcks(working, unacked) })
	return nil
}

// disconnect waits for the acks, tells the broker what was read and closes the
// connection.
func (a *actor) disconnect(ctx context.Context) {
	client := a.conn.Load()
	if client == nil {
		return
	}
	close(a.unacked)
	a.acking.Wait()
	_ = client.Close(context.WithoutCancel(ctx)) // it waits no longer than a second or two
	a.listening.Wait()
	a.conn.Store(nil)
}

func (a *actor) isAway() bool { return a.away.Load() }

// do has the actor do something after all that it was told before.
func (a *actor) do(what func(context.Context)) {
	a.run.busy.Add(1)
	a.mu.Lock()
	a.queue = append(a.queue, what)
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// work does what the actor is told until ctx ends.
func (a *actor) work(ctx context.Context) {
	defer a.disconnect(ctx)
	for {
		a.mu.Lock()
		todo := a.queue
		a.queue = nil
		a.mu.Unlock()
		for _, what := range todo {
			if ctx.Err() == nil {
				what(ctx)
			}
			a.run.busy.Add(-1)
		}
		if len(todo) > 0 {
			continue
		}
		select {
		case <-a.wake:
		case <-ctx.Done():
			return
		}
	}
}

// leave and comeBack are things to do.
func (a *actor) leave(ctx context.Context) {
	a.disconnect(ctx)
}

func (a *actor) comeBack(ctx context.Context) {
	if err := a.connect(ctx, ctx); err != nil {
		a.run.note("%v", err)
	}
}

// say sends a message; m lacks nothing but its recipients.
func (a *actor) say(ctx context.Context, m *message, text string, priority wire.Priority) {
	client := a.conn.Load()
	if client == nil {
		a.run.skipped.Add(1)
		return
	}
	spec, recipients := a.run.resolve(a, m.to)
	recipients, absent := a.run.present(m, recipients)
	m.text = text
	a.run.ledger.sending(m, recipients, absent)
	req := peer.SendRequest{Target: spec, Text: text, ReplyTo: m.replyTo, Priority: priority}
	s, err := client.SendAsync(ctx, req)
	if err != nil {
		a.run.ledger.answered(m, wire.Ack{}, err)
		return
	}
	a.unacked <- &sent{m, s}
}

func (a *actor) takeAcks(ctx context.Context, unacked <-chan *sent) {
	for s := range unacked {
		waiting, cancel := context.WithTimeout(ctx, ackWithin)
		ack, err := s.sending.Wait(waiting)
		cancel()
		a.run.ledger.answered(s.m, ack, err)
	}
}

// set sets keys of the shared state.
func (a *actor) set(ctx context.Context, values map[string]any) {
	client := a.conn.Load()
	if client == nil {
		a.run.skipped.Add(1)
		return
	}
	for key, value := range values {
		if err := a.setKey(ctx, client, key, value); err != nil {
			a.run.note("%s could not set %s: %v", a.name, key, err)
		}
	}
}

func (a *actor) setKey(ctx context.Context, client *peer.Client, key string, value any) error {
	v, err := valueOf(value)
	if err != nil {
		return err
	}
	for {
		if err := client.Ready(ctx); err != nil {
			return err
		}
		_, err := peer.Call(ctx, client, wire.SetState{Key: key, Value: v})
		if errors.Is(err, peer.ErrLost) || errors.Is(err, peer.ErrNotConnected) {
			continue // the broker was restarted; setting it twice does no harm
		}
		if err == nil {
			a.run.wrote(key)
		}
		return err
	}
}

// readMail takes messages until the client has been closed.
func (a *actor) readMail(ctx context.Context, client *peer.Client) {
	for {
		r, err := client.Next(ctx)
		if err != nil || a.isAway() { // unseen, so it comes again
			return
		}
		a.run.busy.Add(1) // until the broker can be told that it is seen
		if from := a.run.byAddress[r.SenderPubkey]; from != nil && a.run.ours(&r) {
			if m := a.run.ledger.arrived(ctx, r.MessageID, a.name); m != nil {
				a.heard(m, &r)
			}
		}
		client.MarkSeen(r.MessageID)
		a.run.busy.Add(-1)
	}
}

// readEvents takes what the broker tells of by itself.
func (a *actor) readEvents(client *peer.Client) {
	for e := range client.Events() {
		if c, ok := e.Frame.(wire.StateChange); ok && !c.Deleted && strings.HasPrefix(c.Key, "sim:") {
			a.stateChanged(&c)
		}
	}
	if n := client.DroppedEvents(); n > 0 {
		a.run.note("%s was too slow for %d events", a.name, n)
	}
}
