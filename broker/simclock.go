package broker

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

const (
	simMinute = time.Minute    // that passes with each tick
	keepClock = 24 * time.Hour // a clock that nobody needs is forgotten
	maxLate   = 100            // ticks that are made up for in one transaction
)

// A simState is what the store does not keep of the clock of simulations. Tick n
// comes when n-base intervals have passed since begun, so that what one is late
// does not add up.
type simState struct {
	alarm   *alarm // for the next tick
	ticking bool   // guarded by mesh.mu
	// ended is the clock that the end of the broker paused, nil if it did not, or the
	// clock was turned since; guarded by mesh.mu.
	ended *store.SimClock

	// Owned by the writer's goroutine.
	begun time.Time // zero where it must begin anew
	base  int64
}

// at returns when a tick comes at that speed.
func (s *simState) at(tick int64, speed float64) time.Time {
	return s.begun.Add(time.Duration(float64(tick-s.base) * float64(time.Minute) / speed))
}

func noClock() error {
	return wire.Errorf(wire.NoClock, "the mesh has no simulation clock: set its speed first")
}

func (m *mesh) setClock(by *call, req wire.SetClock) (wire.ClockStatus, error) {
	speed := float64(req.Speed.Clamp())
	return m.turnClock(by.session.actor(), func(c *store.SimClock, now time.Time) (*store.SimClock, error) {
		if c == nil {
			return &store.SimClock{Speed: speed, Time: now, Started: now}, nil
		}
		c.Speed = speed
		return c, nil
	})
}

func (m *mesh) pauseClock(by *call, _ wire.PauseClock) (wire.ClockStatus, error) {
	return m.turn(by.session.actor(), true)
}

func (m *mesh) resumeClock(by *call, _ wire.ResumeClock) (wire.ClockStatus, error) {
	return m.turn(by.session.actor(), false)
}

// turn pauses or resumes the clock.
func (m *mesh) turn(by actor, paused bool) (wire.ClockStatus, error) {
	var before *store.SimClock
	_, err := m.turnClock(by, func(c *store.SimClock, _ time.Time) (*store.SimClock, error) {
		switch before = c; {
		case c == nil:
			return nil, noClock()
		case c.Paused == paused:
			return nil, nil
		}
		c.Paused = paused
		return c, nil
	})
	return clockStatus(before, time.Now()), err
}

func (m *mesh) getClock(*call, wire.GetClock) (wire.ClockStatus, error) {
	var c *store.SimClock
	err := m.db.Read(context.Background(), func(rx *store.Rx) (err error) {
		c, err = optional(rx.SimClock())
		return err
	})
	return clockStatus(c, time.Now()), err
}

// clockStatus describes a clock, nil for none.
func clockStatus(c *store.SimClock, now time.Time) wire.ClockStatus {
	if c == nil {
		return wire.ClockStatus{Paused: true, SimTime: wire.Time(now), StartedAt: wire.Time(now)}
	}
	return wire.ClockStatus{Speed: wire.Speed(c.Speed), Paused: c.Paused, Tick: c.Tick, SimTime: wire.Time(c.Time), StartedAt: wire.Time(c.Started)}
}

// turnClock stores what change makes of the clock, which is nil if there is
// none, and has it tick accordingly. A change to nil is none.
func (m *mesh) turnClock(by actor, change func(c *store.SimClock, now time.Time) (*store.SimClock, error)) (res wire.ClockStatus, err error) {
	turned := false
	err = m.write(func(tx *store.Tx) error {
		now := time.Now()
		c, err := optional(tx.SimClock())
		if err != nil {
			return err
		}
		if c, err = change(c, now); c == nil || err != nil {
			return err
		}
		c.Changed, c.Ended = now, false
		if err := tx.SaveSimClock(c); err != nil {
			return err
		}
		if err := m.audit(tx, by, wire.AuditClockSet, audited{"speed": c.Speed, "paused": c.Paused}); err != nil {
			return err
		}
		res, turned = clockStatus(c, now), true
		m.sim.begun, m.sim.base = now, c.Tick
		first := m.sim.at(c.Tick+1, c.Speed)
		tx.AfterCommit(func() { m.clockTurned(c.Paused, first) })
		return nil
	}, func(err error) {
		if err != nil && turned {
			m.sim.begun = time.Time{}
		}
	})
	return res, err
}

// clockTurned has the clock tick, or not.
func (m *mesh) clockTurned(paused bool, first time.Time) {
	m.mu.Lock()
	m.sim.ticking, m.sim.ended = !paused, nil
	m.mu.Unlock()
	if paused {
		first = time.Time{}
	}
	m.srv.alarms.setOrStop(m.sim.alarm, first)
}

// tickClock makes the ticks that are due, and sends what is due by them.
func (m *mesh) tickClock() {
	err := m.db.Write(context.Background(), func(tx *store.Tx) error {
		c, err := optional(tx.SimClock())
		if err != nil || c == nil || c.Paused {
			return err
		}
		now := time.Now()
		if m.sim.begun.IsZero() {
			m.sim.begun, m.sim.base = now, c.Tick
		}
		before := c.Tick
		for c.Tick-before < maxLate && !m.sim.at(c.Tick+1, c.Speed).After(now) {
			if err := m.tickOnce(tx, c); err != nil {
				return err
			}
		}
		if c.Tick > before {
			if err := tx.SaveSimClock(c); err != nil {
				return err
			}
		}
		next := m.sim.at(c.Tick+1, c.Speed)
		tx.AfterCommit(func() { m.srv.alarms.set(m.sim.alarm, next) })
		return nil
	})
	if err != nil {
		m.logFailed("tick the simulation clock", err)
		m.srv.alarms.set(m.sim.alarm, time.Now().Add(storeAgain))
	}
}

func (m *mesh) tickOnce(tx *store.Tx, c *store.SimClock) error {
	c.Tick++
	c.Time = c.Time.Add(simMinute)
	tick := wire.Tick{Tick: c.Tick, SimTime: wire.Time(c.Time), Speed: wire.Speed(c.Speed)}
	tx.AfterCommit(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.tell(wire.EventTick, tick, func(*session) bool { return true })
	})
	for {
		n, err := m.fire(tx, store.ClockSim, c.Time)
		if err != nil || n < batch {
			return err
		}
	}
}

// pauseIfEmpty pauses the clock when nobody is connected who could go by it.
func (m *mesh) pauseIfEmpty() {
	empty := func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.sim.ticking && m.slots == 0 && len(m.transients) == 0
	}
	if !empty() {
		return
	}
	_, err := m.turnClock(actor{}, func(c *store.SimClock, _ time.Time) (*store.SimClock, error) {
		if c == nil || c.Paused || !empty() {
			return nil, nil
		}
		c.Paused = true
		return c, nil
	})
	m.logFailed("pause the simulation clock", err)
}

// restoreClock pauses a clock that ticked when the broker ended: what it would
// have shown since nobody has seen.
func (m *mesh) restoreClock(tx *store.Tx) error {
	c, err := optional(tx.SimClock())
	if err != nil || c == nil || c.Paused && !c.Ended {
		return err
	}
	m.sim.ended = c // nobody else has the mesh yet
	if c.Paused {
		return nil // by an earlier end, and stands since
	}
	c.Paused, c.Ended, c.Changed = true, true, time.Now()
	return tx.SaveSimClock(c)
}

// sawClock reports whether the presence that r describes, nil for none, began before
// the end of the broker paused the clock, and was not over then.
func (m *mesh) sawClock(r *store.Session) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.sim.ended
	return r != nil && c != nil && (r.Online || r.Connected.Before(c.Changed) && !r.LastSeen.Before(c.Changed))
}

// tellClock tells a session that was here when the broker ended that the clock was
// paused by that. It is called with m.mu held.
func (m *mesh) tellClock(s *session) {
	c := m.sim.ended
	if c == nil {
		return // turned since
	}
	data, err := json.Marshal(wire.ClockPaused{Tick: c.Tick, SimTime: wire.Time(c.Time), Speed: wire.Speed(c.Speed)})
	if err != nil {
		m.log.Error("encode event", "event", wire.EventClockPaused, "err", err)
		return
	}
	s.conn.out.push(frame{kind: ephemeral, data: m.eventFrame(wire.EventClockPaused, data)})
}

// forgetClock deletes a clock that has been paused for long in an empty mesh,
// unless something is scheduled by it.
func (m *mesh) forgetClock(tx *store.Tx, now time.Time) error {
	c, err := tx.SimClock()
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	waits, err := tx.NextFire(store.ClockSim)
	m.mu.Lock()
	empty := m.slots == 0
	m.mu.Unlock()
	if err != nil || !empty || !c.Paused || now.Sub(c.Changed) < keepClock || !waits.IsZero() {
		return err
	}
	tx.AfterCommit(func() {
		m.mu.Lock()
		m.sim.ended = nil
		m.mu.Unlock()
	})
	return tx.DeleteSimClock()
}
