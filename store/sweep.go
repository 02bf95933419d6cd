package store

import "time"

const (
	selectStale = `SELECT id, kind != 'member' AND used < ?2
		AND NOT EXISTS (SELECT 1 FROM session WHERE address = a.id AND online = 1)
		AND NOT EXISTS (SELECT 1 FROM delivery WHERE recipient = a.id AND state < 2)
		AND NOT EXISTS (SELECT 1 FROM notice WHERE recipient = a.id)
		FROM address a WHERE id > ?1 ORDER BY id LIMIT ?3`
	deleteAddress = `DELETE FROM address WHERE id = ?` // and its session with it
)

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
	clear(tx.db.known)
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
