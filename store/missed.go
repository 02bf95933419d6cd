package store

import (
	"cmp"
	"errors"
	"slices"
)

const (
	// SourceMissed is the Source of the message that tells a recipient what it missed.
	SourceMissed = "missed"
	maxMissed    = 200 // sources of one recipient that are told apart

	upsertMissed = `INSERT INTO missed (recipient, source, n) VALUES (?1, CASE WHEN
			EXISTS (SELECT 1 FROM missed WHERE recipient = ?1 AND source = ?2) OR (SELECT count(*) FROM missed WHERE recipient = ?1) < ?4
		THEN ?2 ELSE '' END, ?3) ON CONFLICT (recipient, source) DO UPDATE SET n = n + excluded.n`
	selectMissed = `SELECT source, n FROM missed WHERE recipient = ?`
	deleteMissed = `DELETE FROM missed WHERE recipient = ?`
	selectTold   = `SELECT 1 FROM delivery WHERE recipient = ? AND source = ? AND state < 2 LIMIT 1`
)

// Missed is how many events of a source gave way before they were known to have come
// to a recipient.
type Missed struct {
	Source string // empty for those of more sources than are told apart
	N      int64
}

// missed counts n more events of a source that gave way so.
func (tx *Tx) missed(recipient int64, source string, n int64) error {
	if n == 0 || source == SourceMissed {
		return nil
	}
	_, err := tx.exec(upsertMissed, recipient, source, n, maxMissed)
	return err
}

// TakeMissed returns what gave way before it was known to have come to a recipient, most
// first, and forgets it: whoever takes it tells the recipient in the same write, by
// a message with SourceMissed. While one of these waits to be seen there is nothing
// to take.
func (tx *Tx) TakeMissed(recipient int64) ([]Missed, error) {
	var told bool
	switch err := tx.one(selectTold, []any{recipient, SourceMissed}, &told); {
	case err == nil:
		return nil, nil
	case !errors.Is(err, ErrNotFound):
		return nil, err
	}
	return tx.takeMissed(recipient)
}

func (tx *Tx) takeMissed(recipient int64) ([]Missed, error) {
	var all []Missed
	err := tx.each(selectMissed, []any{recipient}, func(r row) error {
		all = append(all, Missed{})
		k := &all[len(all)-1]
		return r.scan(&k.Source, &k.N)
	})
	if err == nil && len(all) > 0 {
		_, err = tx.exec(deleteMissed, recipient)
	}
	slices.SortFunc(all, func(a, b Missed) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Source, b.Source)) })
	return all, err
}

// moveMissed has to count what gave way of the events for from.
func (tx *Tx) moveMissed(from, to int64) error {
	all, err := tx.takeMissed(from)
	if err != nil {
		return err
	}
	for _, k := range all {
		if err := tx.missed(to, k.Source, k.N); err != nil {
			return err
		}
	}
	return nil
}
