package store

import (
	"errors"
	"fmt"
	"time"
)

const selectStep = `SELECT state, attempts, pushed, delivered, seen, expired FROM delivery WHERE recipient = ? AND seq = ?`

// A Step is what became of a message for one recipient.
type Step struct {
	Origin    int64   // address it was accepted for
	Recipient Address // who has it now
	State     State
	Attempts  int // attempts that came to nothing
	Pushed    time.Time
	Delivered time.Time
	Seen      time.Time
	Expired   time.Time
}

// Trail returns a message, by its id or a prefix as in [Rx.Message], and what
// became of it for each recipient.
func (rx *Rx) Trail(s string) (*Message, []Step, error) {
	m, err := rx.Message(s)
	if err != nil {
		return nil, nil, err
	}
	var steps []Step
	for _, origin := range m.Recipients {
		holder, err := rx.holder(origin, m.Seq)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		step := Step{Origin: origin}
		step.Recipient, err = rx.AddressByID(holder)
		if errors.Is(err, ErrNotFound) {
			step.Recipient = Address{ID: holder} // forgotten since
		} else if err != nil {
			return nil, nil, err
		}
		err = rx.one(selectStep, []any{holder, m.Seq}, &step.State, &step.Attempts, &step.Pushed, &step.Delivered, &step.Seen, &step.Expired)
		if err != nil {
			return nil, nil, fmt.Errorf("store: delivery of %s: %w", m.ID, err)
		}
		steps = append(steps, step)
	}
	return m, steps, nil
}
