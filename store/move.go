package store

import (
	"errors"
	"time"
)

const (
	selectMovable  = `SELECT seq FROM delivery WHERE recipient = ? AND state < 2 ORDER BY seq`
	updateMove     = `UPDATE OR IGNORE delivery SET recipient = ?1, state = 0, delivered = NULL WHERE recipient = ?2 AND seq = ?3`
	deleteDelivery = `DELETE FROM delivery WHERE recipient = ? AND seq = ?`
	upsertMoved    = `INSERT OR REPLACE INTO moved (seq, origin, heir, at) VALUES (?, ?, ?, ?)`
	selectHeir     = `SELECT heir FROM moved WHERE seq = ? AND origin = ?`
	selectDelivery = `SELECT 1 FROM delivery WHERE recipient = ? AND seq = ?`
)

// MoveDeliveries gives everything that waits for one address to another, and
// returns the seqs that are new to it, in order. Where the other has the same
// message already, one of the two is dropped. A delivery that was confirmed
// but not seen waits anew. The trail follows, and what the one has missed.
func (tx *Tx) MoveDeliveries(from, to int64, at time.Time) ([]int64, error) {
	if from == to {
		return nil, nil
	}
	if err := tx.moveMissed(from, to); err != nil {
		return nil, err
	}
	var seqs, moved []int64
	err := tx.each(selectMovable, []any{from}, func(r row) error {
		var seq int64
		err := r.scan(&seq)
		seqs = append(seqs, seq)
		return err
	})
	if err != nil || len(seqs) == 0 {
		return nil, err
	}
	for _, seq := range seqs {
		n, err := tx.exec(updateMove, to, from, seq)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			moved = append(moved, seq)
		} else if err := tx.dropDelivery(from, seq); err != nil {
			return nil, err
		}
		if _, err := tx.exec(upsertMoved, seq, from, to, at); err != nil {
			return nil, err
		}
	}
	return moved, nil
}

func (tx *Tx) dropDelivery(recipient, seq int64) error {
	n, err := tx.exec(deleteDelivery, recipient, seq)
	tx.depth -= n
	return err
}

// holder returns the address that now has the delivery of seq that was made
// for origin: ErrNotFound if none has.
func (rx *Rx) holder(origin, seq int64) (int64, error) {
	passed := make(map[int64]bool)
	for at := origin; !passed[at]; {
		passed[at] = true
		var found bool
		switch err := rx.one(selectDelivery, []any{at, seq}, &found); {
		case err == nil:
			return at, nil
		case !errors.Is(err, ErrNotFound):
			return 0, err
		}
		if err := rx.one(selectHeir, []any{seq, at}, &at); err != nil {
			return 0, err
		}
	}
	return 0, ErrNotFound
}
