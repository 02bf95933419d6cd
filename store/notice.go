package store

import (
	"encoding/json"
	"time"
)

const (
	maxNotices    = 1000 // per recipient
	insertNotice  = `INSERT INTO notice (recipient, kind, body, created) VALUES (?, ?, ?, ?)`
	selectNotices = `SELECT id, recipient, kind, body, created FROM notice WHERE recipient = ? ORDER BY id LIMIT ?`
	deleteNotice  = `DELETE FROM notice WHERE id = ?`
	trimNotices   = `DELETE FROM notice WHERE recipient = ?1 AND id <= (SELECT id FROM notice WHERE recipient = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)`
)

// Notice is something to tell an address when it is next connected.
type Notice struct {
	ID        int64 // given by AddNotice; grows
	Recipient int64 // address
	Kind      string
	Body      json.RawMessage
	Created   time.Time
}

// AddNotice stores n and sets its ID. A recipient has at most 1000 notices;
// beyond that the oldest are dropped, and AddNotice returns how many.
func (tx *Tx) AddNotice(n *Notice) (dropped int, err error) {
	body, err := rawText(n.Body)
	if err != nil {
		return 0, err
	}
	if n.ID, err = tx.insert(insertNotice, n.Recipient, n.Kind, body, n.Created); err != nil {
		return 0, err
	}
	gone, err := tx.exec(trimNotices, n.Recipient, maxNotices)
	return int(gone), err
}

// Notices lists at most limit notices of a recipient, the oldest first.
func (rx *Rx) Notices(recipient int64, limit int) ([]Notice, error) {
	var all []Notice
	err := rx.each(selectNotices, []any{recipient, limit}, func(r row) error {
		var n Notice
		err := r.scan(&n.ID, &n.Recipient, &n.Kind, fromJSON{&n.Body}, &n.Created)
		all = append(all, n)
		return err
	})
	return all, err
}

// DeleteNotices removes notices; those already gone are no error.
func (tx *Tx) DeleteNotices(ids []int64) error {
	for _, id := range ids {
		if _, err := tx.exec(deleteNotice, id); err != nil {
			return err
		}
	}
	return nil
}
