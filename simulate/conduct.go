package simulate

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"claudemesh/peer"
	"claudemesh/seal"
	"claudemesh/wire"
)

// interruptKnown is within how long a signal for all processes of a terminal has
// reached this one, too.
const interruptKnown = 200 * time.Millisecond

// conduct has the minutes pass, the first of which is 0.
func (r *run) conduct(ctx context.Context) error {
	if r.Clock.Of == OwnClock {
		return r.conductAlone(ctx)
	}
	return r.conductByMesh(ctx)
}

// conductAlone has a minute begin when its time has come and all that happened
// in the last is done.
func (r *run) conductAlone(ctx context.Context) error {
	interval := time.Duration(float64(time.Minute) / r.Clock.Speed)
	start := time.Now()
	for minute := range r.Duration + 1 {
		timer := time.NewTimer(time.Until(start.Add(time.Duration(minute) * interval)))
		select {
		case <-timer.C:
		case <-r.brokerGone():
			timer.Stop()
			return r.brokerFailed(ctx)
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		if err := r.minuteBegins(ctx, minute); err != nil {
			return err
		}
		if err := r.settle(ctx, r.opts.Patience); err != nil {
			return err
		}
	}
	return nil
}

// minuteBegins kills the broker first, if the scenario wants that.
func (r *run) minuteBegins(ctx context.Context, minute Minutes) error {
	for i := range r.Broker {
		own := r.opts.Broker.Own()
		switch {
		case r.Broker[i].At != minute:
		case own == nil:
			r.note("minute %d: the broker is not the simulation's own and was not killed", minute)
		default:
			own.Kill()
			if err := own.Restart(ctx); err != nil {
				return fmt.Errorf("after it was killed: %w", err)
			}
			r.restarts++
			r.note("minute %d: the broker was killed, as the scenario wants, and started again", minute)
		}
	}
	r.begin(minute)
	return nil
}

// brokerGone returns a channel that is closed when our broker has ended.
func (r *run) brokerGone() <-chan struct{} {
	if own := r.opts.Broker.Own(); own != nil {
		return own.Done()
	}
	return nil
}

// brokerFailed says why our broker has ended. Ctrl-C at a terminal reaches it as
// it reaches us, and may end it before we know.
func (r *run) brokerFailed(ctx context.Context) error {
	known := time.NewTimer(interruptKnown)
	defer known.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-known.C:
	}
	return fmt.Errorf("the broker is gone: %w", r.opts.Broker.Own().Failure())
}

// A conductor follows the clock of the mesh.
type conductor struct {
	*run
	client *peer.Client
	before wire.ClockStatus // the clock as it was found
	base   int64            // the tick that is minute 0
	next   Minutes
}

func (r *run) conductByMesh(ctx context.Context) error {
	key, err := seal.Generate()
	if err != nil {
		return err
	}
	opening, cancel := context.WithTimeout(ctx, connectIn)
	defer cancel()
	client, err := peer.Open(opening, peer.Options{
		Mesh: r.mesh, SessionID: "sim-" + r.id, SessionKey: key, DisplayName: "simulation", PeerType: "connector", Channel: "simulate", Logger: r.log,
	})
	if err != nil {
		return fmt.Errorf("the simulation cannot connect: %w", err)
	}
	c := &conductor{run: r, client: client}
	defer func() {
		c.leaveClock(context.WithoutCancel(ctx))
		_ = client.Close(context.WithoutCancel(ctx)) // nothing it had to tell is missing
	}()
	if err := c.setClock(ctx); err != nil {
		return fmt.Errorf("the clock of the mesh: %w", err)
	}
	if err := r.minuteBegins(ctx, 0); err != nil {
		return err
	}
	c.next = 1
	return c.follow(ctx)
}

func (c *conductor) setClock(ctx context.Context) (err error) {
	if c.before, err = peer.Call(ctx, c.client, wire.GetClock{}); err != nil {
		return err
	}
	if _, err = peer.Call(ctx, c.client, wire.SetClock{Speed: wire.Speed(c.Clock.Speed)}); err != nil {
		return err
	}
	now, err := peer.Call(ctx, c.client, wire.ResumeClock{})
	c.base = now.Tick
	if err == nil {
		c.epoch = now.SimTime.Std()
	}
	return err
}

// leaveClock sets a clock that others use as it was, and else stops it.
func (c *conductor) leaveClock(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if c.client.State() != peer.StateOpen || c.opts.Broker.Own() != nil {
		return
	}
	var err error
	if c.before.Speed > 0 {
		_, err = peer.Call(ctx, c.client, wire.SetClock{Speed: c.before.Speed})
	}
	if err == nil && c.before.Paused {
		_, err = peer.Call(ctx, c.client, wire.PauseClock{})
	}
	if err != nil {
		c.note("the clock of the mesh was not set as it was: %v", err)
	}
}

// follow counts the ticks until the last minute has begun.
func (c *conductor) follow(ctx context.Context) error {
	interval := time.Duration(float64(time.Minute) / c.Clock.Speed)
	patience := max(c.run.opts.Patience, 3*interval)
	silent := time.NewTimer(patience)
	defer silent.Stop()
	open, restarts := true, c.restarts
	for c.next <= c.Duration {
		changed := c.client.Changed()
		was := open && restarts == c.restarts
		if open = c.client.State() == peer.StateOpen; open && !was {
			restarts = c.restarts
			c.resume(ctx)
		}
		select {
		case e, ok := <-c.client.Events():
			if !ok {
				return fmt.Errorf("the connection of the simulation has ended: %w", c.client.Status().Err)
			}
			tick, ok := tickOf(&e)
			if !ok {
				continue
			}
			silent.Reset(patience)
			if err := c.ticked(ctx, tick); err != nil {
				return err
			}
		case <-changed:
		case <-c.brokerGone():
			return c.brokerFailed(ctx)
		case <-silent.C:
			return c.stands(patience)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// ticked begins the minutes up to that of a tick.
func (c *conductor) ticked(ctx context.Context, tick int64) error {
	for ; c.next <= c.Duration && int64(c.next) <= tick-c.base; c.next++ {
		if err := c.minuteBegins(ctx, c.next); err != nil {
			return err
		}
	}
	return nil
}

// resume has the clock go on after a restart of the broker, which pauses it.
func (c *conductor) resume(ctx context.Context) {
	if _, err := peer.Call(ctx, c.client, wire.ResumeClock{}); err != nil {
		c.note("the clock could not be resumed when the broker was back: %v", err)
	}
}

// stands says why no tick comes.
func (c *conductor) stands(patience time.Duration) error {
	if s := c.client.Status(); s.State != peer.StateOpen {
		return fmt.Errorf("the broker at %s has not answered for %v: %w", c.mesh.BrokerURL, patience, s.Err)
	}
	return fmt.Errorf("the clock of the mesh has not ticked for %v: somebody has paused it", patience)
}

// tickOf returns the number of a tick, if the event is one.
func tickOf(e *peer.Event) (int64, bool) {
	p, ok := e.Frame.(wire.Push)
	if !ok || p.Event != wire.EventTick {
		return 0, false
	}
	var t wire.Tick
	if json.Unmarshal(p.EventData, &t) != nil {
		return 0, false
	}
	return t.Tick, true
}
