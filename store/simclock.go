package store

import (
	"fmt"
	"time"
)

const (
	selectSimClock = `SELECT speed, paused, tick, sim_time, started, changed, ended FROM sim_clock`
	upsertSimClock = `INSERT OR REPLACE INTO sim_clock (one, speed, paused, tick, sim_time, started, changed, ended) VALUES (1, ?, ?, ?, ?, ?, ?, ?)`
	deleteSimClock = `DELETE FROM sim_clock`
)

// SimClock is the clock of simulations, as it was last written.
type SimClock struct {
	Speed   float64
	Paused  bool
	Tick    int64
	Time    time.Time // that it shows
	Started time.Time
	Changed time.Time // when it was set, paused or resumed
	Ended   bool      // it was paused because the broker had ended
}

// SimClock returns the clock of the mesh: ErrNotFound if it has none.
func (rx *Rx) SimClock() (*SimClock, error) {
	var c SimClock
	if err := rx.one(selectSimClock, nil, &c.Speed, &c.Paused, &c.Tick, &c.Time, &c.Started, &c.Changed, &c.Ended); err != nil {
		return nil, fmt.Errorf("store: simulation clock: %w", err)
	}
	return &c, nil
}

// SaveSimClock writes the clock, which it makes if need be.
func (tx *Tx) SaveSimClock(c *SimClock) error {
	_, err := tx.exec(upsertSimClock, c.Speed, c.Paused, c.Tick, c.Time, c.Started, c.Changed, c.Ended)
	return err
}

// DeleteSimClock removes the clock; that there is none is no error.
func (tx *Tx) DeleteSimClock() error {
	_, err := tx.exec(deleteSimClock)
	return err
}
