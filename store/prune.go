package store

import (
	"errors"
	"time"
)

const (
	deleteMessage = `DELETE FROM message WHERE seq = ?`
	deleteMoved   = `DELETE FROM moved WHERE seq = ?`
)

// Prune deletes messages that were accepted before that time and are over for
// every recipient, with their trails, and returns how many, and whether there
// may be more to do. One call looks at no more than limit messages, goes on
// where the last one stopped, and begins again at the oldest when it has come
// to one that is too young. The newest message always stays.
func (tx *Tx) Prune(before time.Time, limit int) (pruned int, more bool, err error) {
	start, err := tx.walk("prune")
	if err != nil {
		return 0, false, err
	}
	old, err := tx.oldMessages(selectPrunable, start, limit)
	if err != nil {
		return 0, false, err
	}
	position := start
	more = len(old) == limit
	if !more {
		position = 0
	}
	for i, m := range old {
		if !m.created.Before(before) {
			position, more = 0, false
			break
		}
		gone, err := tx.prune(m)
		if err != nil {
			return pruned, false, err
		}
		if gone {
			pruned++
		}
		if i == limit-1 {
			position = m.seq
		}
	}
	if position != start {
		_, err = tx.exec(upsertWalk, "prune", position)
	}
	return pruned, more, err
}

// prune deletes m unless it still waits for somebody.
func (tx *Tx) prune(m oldMessage) (gone bool, err error) {
	holders := make([]int64, 0, len(m.recipients))
	for _, origin := range m.recipients {
		holder, state, err := tx.held(origin, m.seq)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return false, err
		}
		if state < StateDone {
			return false, nil
		}
		holders = append(holders, holder)
	}
	for _, holder := range holders {
		if _, err := tx.exec(deleteDelivery, holder, m.seq); err != nil {
			return false, err
		}
	}
	if _, err := tx.exec(deleteMoved, m.seq); err != nil {
		return false, err
	}
	_, err = tx.exec(deleteMessage, m.seq)
	return err == nil, err
}
