package store

import "time"

const (
	updateGiveWay = `UPDATE delivery SET state = 3, expired = ?1 WHERE recipient = ?2 AND state < 2 AND seq IN
		(SELECT seq FROM delivery WHERE recipient = ?2 AND source = ?3 AND state < 2 ORDER BY seq DESC LIMIT -1 OFFSET ?4) RETURNING seq, delivered IS NULL`
	selectOldEvents = `SELECT d.recipient, d.seq, d.source, d.delivered IS NULL, m.created, m.expires FROM delivery d INDEXED BY delivery_event JOIN message m ON m.seq = d.seq
		WHERE d.source IS NOT NULL AND d.state < 2 ORDER BY d.seq`
)

// A GivenUp is the delivery of an event that was ended before it was seen.
type GivenUp struct {
	Recipient int64 // address
	Seq       int64
	Source    string
	unknown   bool // no process of the recipient ever had it
}

// GiveWay ends the deliveries of events of a source to a recipient that are not
// done, all but the newest keep, and returns their seqs. What is ended is expired,
// as of at; those that no process of the recipient had are missed.
func (tx *Tx) GiveWay(recipient int64, source string, keep int, at time.Time) ([]int64, error) {
	var seqs []int64
	missed := int64(0)
	err := tx.each(updateGiveWay, []any{at, recipient, source, keep}, func(r row) error {
		var seq int64
		var unknown bool
		err := r.scan(&seq, &unknown)
		seqs = append(seqs, seq)
		if unknown {
			missed++
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	tx.depth -= int64(len(seqs))
	return seqs, tx.missed(recipient, source, missed)
}

// ExpireEvents ends the deliveries of events, at most limit of them, that are not
// done at their message's expiry. It looks, from the oldest on, at those of
// messages that were accepted until young, which is as long ago as an event lives
// at the least.
func (tx *Tx) ExpireEvents(now, young time.Time, limit int) ([]GivenUp, error) {
	var over []GivenUp
	err := tx.each(selectOldEvents, nil, func(r row) error {
		var g GivenUp
		var created, expires time.Time
		if err := r.scan(&g.Recipient, &g.Seq, &g.Source, &g.unknown, &created, &expires); err != nil {
			return err
		}
		if created.After(young) || len(over) == limit {
			return errStop
		}
		if !expires.After(now) {
			over = append(over, g)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, g := range over {
		if _, err := tx.exec(updateExpired, now, g.Recipient, g.Seq); err != nil {
			return nil, err
		}
		tx.depth--
		if g.unknown {
			if err := tx.missed(g.Recipient, g.Source, 1); err != nil {
				return nil, err
			}
		}
	}
	return over, nil
}
