package store

import (
	"context"
	"time"
)

const selectGoneSessions = `SELECT ` + sessionColumns + ` FROM session s WHERE online = 0 AND saved < ?
		AND EXISTS (SELECT 1 FROM member WHERE id = s.member_id AND revoked IS NULL) AND (
		EXISTS (SELECT 1 FROM delivery WHERE recipient = s.address AND state < 2) OR EXISTS (SELECT 1 FROM missed WHERE recipient = s.address))
	LIMIT ?`

// GoneSessions lists at most limit sessions that have not been online since
// that time and for whom something waits, or who are to be told what they missed.
func (rx *Rx) GoneSessions(since time.Time, limit int) ([]*Session, error) {
	return rx.sessions(selectGoneSessions, since, limit)
}

// Probe returns nil if the newest batch of writes was committed; if not it
// tries a write of its own, and returns why that fails.
func (db *DB) Probe(ctx context.Context) error {
	if !db.failing.Load() {
		return nil
	}
	return db.Write(ctx, func(tx *Tx) error {
		_, err := tx.exec(upsertWalk, "probe", time.Now().Unix())
		return err
	})
}
