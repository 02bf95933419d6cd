package store

import (
	"errors"
	"time"
)

const (
	selectWalk        = `SELECT position FROM walk WHERE name = ?`
	upsertWalk        = `INSERT OR REPLACE INTO walk (name, position) VALUES (?, ?)`
	selectOldMessages = `SELECT seq, expires, created, recipients FROM message WHERE seq > ? ORDER BY seq LIMIT ?`
	selectState       = `SELECT state FROM delivery WHERE recipient = ? AND seq = ?`
	updateExpired     = `UPDATE delivery SET state = 3, expired = ? WHERE recipient = ? AND seq = ? AND state < 2`
	deleteMessage     = `DELETE FROM message WHERE seq = ?`
	deleteMoved       = `DELETE FROM moved WHERE seq = ?`
	selectStale       = `SELECT id, kind != 'member' AND used < ?2 AND NOT EXISTS (SELECT 1 FROM session WHERE address = a.id AND online = 1)
		AND NOT EXISTS (SELECT 1 FROM delivery WHERE recipient = a.id) AND NOT EXISTS (SELECT 1 FROM notice WHERE recipient = a.id)
		FROM address a WHERE id > ?1 ORDER BY id LIMIT ?3`
	deleteAddress = `DELETE FROM address WHERE id = ?` // and its session with it
)

// Expired is a message whose time ran out.
type Expired struct {
	Message    *Message
	Recipients []ExpiredRecipient
}

// ExpiredRecipient is one recipient who had not seen the message.
type ExpiredRecipient struct {
	Address   int64
	Delivered bool // its process had the message, but never said it was seen
}

// examined is how many messages a step looks at for each it may act on.
const examined = 16

// An oldMessage is what the sweeps need of a message.
type oldMessage struct {
	seq              int64
	expires, created time.Time
	recipients       []int64
}

func (rx *Rx) oldMessages(after int64, limit int) ([]oldMessage, error) {
	var all []oldMessage
	err := rx.each(selectOldMessages, []any{after, limit}, func(r row) error {
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

// Expire ends the deliveries, of at most limit messages, that are not done at
// their message's expiry, and returns these messages so that their senders can be
// told. It goes from the oldest message on, remembers in the file how far it
// has come, and stops at the first whose time has not run out; so a message
// with a shorter life than an older one expires with that one. Call it until
// it returns nothing; a single call looks at no more than 16 messages per
// limit.
func (tx *Tx) Expire(now time.Time, limit int) ([]Expired, error) {
	start, err := tx.walk("expire")
	if err != nil {
		return nil, err
	}
	old, err := tx.oldMessages(start, limit*examined)
	if err != nil {
		return nil, err
	}
	var all []Expired
	position := start
	for _, m := range old {
		if m.expires.After(now) || len(all) == limit {
			break
		}
		recipients, err := tx.expire(m, now)
		if err != nil {
			return nil, err
		}
		if len(recipients) > 0 {
			message, err := tx.messageBySeq(m.seq)
			if err != nil {
				return nil, err
			}
			all = append(all, Expired{message, recipients})
		}
		position = m.seq
	}
	if position > start {
		_, err = tx.exec(upsertWalk, "expire", position)
	}
	return all, err
}

func (tx *Tx) expire(m oldMessage, now time.Time) ([]ExpiredRecipient, error) {
	var all []ExpiredRecipient
	for _, origin := range m.recipients {
		holder, err := tx.holder(origin, m.seq)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		var state State
		if err == nil {
			err = tx.one(selectState, []any{holder, m.seq}, &state)
		}
		if err != nil {
			return nil, err
		}
		n, err := tx.exec(updateExpired, now, holder, m.seq)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			tx.depth--
			all = append(all, ExpiredRecipient{holder, state == StateDelivered})
		}
	}
	return all, nil
}

// Prune deletes messages that were accepted before that time and are over for
// every recipient, with their trails, and returns how many. One call looks at
// no more than limit messages, goes on where the last one stopped, and begins
// again at the oldest when it has come to one that is too young.
func (tx *Tx) Prune(before time.Time, limit int) (int, error) {
	start, err := tx.walk("prune")
	if err != nil {
		return 0, err
	}
	old, err := tx.oldMessages(start, limit)
	if err != nil {
		return 0, err
	}
	pruned, position := 0, start
	if len(old) < limit {
		position = 0
	}
	for i, m := range old {
		if !m.created.Before(before) {
			position = 0
			break
		}
		gone, err := tx.prune(m)
		if err != nil {
			return pruned, err
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
	return pruned, err
}

// prune deletes m unless it still waits for somebody.
func (tx *Tx) prune(m oldMessage) (gone bool, err error) {
	holders := make([]int64, 0, len(m.recipients))
	for _, origin := range m.recipients {
		holder, err := tx.holder(origin, m.seq)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		var state State
		if err == nil {
			err = tx.one(selectState, []any{holder, m.seq}, &state)
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

// SweepAddresses deletes addresses other than members' keys, and what was
// saved of their sessions, that were last used before that time, are not
// online, and have neither deliveries nor notices. One call looks at no more
// than limit addresses and goes on where the last one stopped. It returns how
// many it deleted.
func (tx *Tx) SweepAddresses(before time.Time, limit int) (int, error) {
	start, err := tx.walk("address")
	if err != nil {
		return 0, err
	}
	var stale []int64
	looked, position := 0, start
	err = tx.each(selectStale, []any{start, before, limit}, func(r row) error {
		var id int64
		var gone bool
		if err := r.scan(&id, &gone); err != nil {
			return err
		}
		if gone {
			stale = append(stale, id)
		}
		looked, position = looked+1, id
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, id := range stale {
		if _, err := tx.exec(deleteAddress, id); err != nil {
			return 0, err
		}
	}
	if looked < limit {
		position = 0
	}
	_, err = tx.exec(upsertWalk, "address", position)
	return len(stale), err
}
