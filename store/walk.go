package store

import (
	"errors"
	"time"
)

const (
	selectWalk        = `SELECT position FROM walk WHERE name = ?`
	upsertWalk        = `INSERT OR REPLACE INTO walk (name, position) VALUES (?, ?)`
	selectOldMessages = `SELECT seq, expires, created, recipients FROM message WHERE seq > ? ORDER BY seq LIMIT ?`
	selectPrunable    = `SELECT seq, expires, created, recipients FROM message WHERE seq > ? AND seq < (SELECT max(seq) FROM message) ORDER BY seq LIMIT ?`
	selectState       = `SELECT state FROM delivery WHERE recipient = ? AND seq = ?`
)

// An oldMessage is what the sweeps need of a message.
type oldMessage struct {
	seq              int64
	expires, created time.Time
	recipients       []int64
}

// oldMessages runs selectOldMessages or selectPrunable.
func (rx *Rx) oldMessages(query string, after int64, limit int) ([]oldMessage, error) {
	var all []oldMessage
	err := rx.each(query, []any{after, limit}, func(r row) error {
		var m oldMessage
		var recipients []byte
		err := r.scan(&m.seq, &m.expires, &m.created, &recipients)
		if err == nil {
			m.recipients, err = parseRecipients(recipients)
		}
		all = append(all, m)
		return err
	})
	return all, err
}

func (rx *Rx) walk(name string) (position int64, err error) {
	err = rx.one(selectWalk, []any{name}, &position)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	return position, err
}

// held returns who holds the delivery now that was made for origin, and its
// state: ErrNotFound if nobody does any more.
func (rx *Rx) held(origin, seq int64) (holder int64, state State, err error) {
	holder, err = rx.holder(origin, seq)
	if err == nil {
		err = rx.one(selectState, []any{holder, seq}, &state)
	}
	return holder, state, err
}
