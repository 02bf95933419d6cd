package store

import "time"

const (
	insertDelivery  = `INSERT INTO delivery (recipient, seq, priority, receipt, source) VALUES (?, ?, ?, ?, ?)`
	insertEach      = `INSERT INTO delivery (recipient, seq, priority, receipt, source) SELECT value, ?, ?, ?, ? FROM json_each(?)`
	selectPending   = `SELECT seq, priority, receipt, state FROM delivery WHERE recipient = ? AND state < 2 ORDER BY seq`
	countPending    = `SELECT count(*) FROM delivery WHERE recipient = ? AND state < 2`
	selectDepth     = `SELECT count(*) FROM delivery WHERE state < 2`
	updatePushed    = `UPDATE delivery SET attempts = attempts + 1, pushed = ? WHERE recipient = ? AND seq = ? AND state = 0`
	updateDelivered = `UPDATE delivery SET state = 1, pushed = coalesce(?1, pushed), delivered = ?2 WHERE recipient = ?3 AND seq = ?4 AND state = 0`
	updateDone      = `UPDATE delivery SET state = 2, pushed = coalesce(?1, pushed), delivered = coalesce(delivered, ?2) WHERE recipient = ?3 AND seq = ?4 AND state < 2`
	updateSeen      = `UPDATE delivery SET state = 2, seen = ?1, delivered = coalesce(delivered, ?1) WHERE recipient = ?2 AND seq = ?3 AND state < 2`
	updateSeenLate  = `UPDATE delivery SET state = 2, seen = ?1, delivered = coalesce(delivered, ?1) WHERE recipient = ?2 AND seq = ?3 AND state = 3`
)

// State is how far one delivery has come.
type State int

// The states, as they are stored. A lease is no state: it lives in memory, and
// a leased delivery is a pending one.
const (
	StatePending   State = iota // waits, or is under way
	StateDelivered              // the recipient's process has it; not yet seen
	StateDone                   // seen, or delivered to a client that cannot say more
	StateExpired                // given up before it was done: its time ran out, or it gave way
)

// Pending is one delivery that is neither done nor expired.
type Pending struct {
	Seq      int64
	Priority Priority
	Receipt  int   // of the message
	State    State // StatePending or StateDelivered
}

func (tx *Tx) addDeliveries(m *Message, recipients []int64) error {
	var err error
	switch len(recipients) {
	case 0:
	case 1:
		_, err = tx.exec(insertDelivery, recipients[0], m.Seq, m.Priority, m.Receipt, null(m.Source))
	default:
		_, err = tx.exec(insertEach, m.Seq, m.Priority, m.Receipt, null(m.Source), jsonList(recipients))
	}
	if err == nil {
		tx.depth += int64(len(recipients))
	}
	return err
}

// Pending lists what waits for a recipient, in the order of seq.
func (rx *Rx) Pending(recipient int64) ([]Pending, error) {
	var all []Pending
	err := rx.each(selectPending, []any{recipient}, func(r row) error {
		var p Pending
		err := r.scan(&p.Seq, &p.Priority, &p.Receipt, &p.State)
		all = append(all, p)
		return err
	})
	return all, err
}

// CountPending counts what Pending would list.
func (rx *Rx) CountPending(recipient int64) (n int, err error) {
	err = rx.one(countPending, []any{recipient}, &n)
	return n, err
}

// MarkPushed notes another attempt to deliver, made at that time. It is for
// attempts that came to nothing, so that the trail shows them.
func (tx *Tx) MarkPushed(recipient int64, seqs []int64, at time.Time) error {
	for _, seq := range seqs {
		if _, err := tx.exec(updatePushed, at, recipient, seq); err != nil {
			return err
		}
	}
	return nil
}

// MarkDelivered notes that the recipient's process has the messages: pushed to
// it at pushedAt (zero: by no push), confirmed at that time. With done they
// are also done, as is right for a client that never reports what was seen. It
// returns the seqs for which this was news; the others were there before, are
// over, or are not the recipient's.
func (tx *Tx) MarkDelivered(recipient int64, seqs []int64, pushedAt, at time.Time, done bool) ([]int64, error) {
	query := updateDelivered
	if done {
		query = updateDone
	}
	var news []int64
	for _, seq := range seqs {
		n, err := tx.exec(query, pushedAt, at, recipient, seq)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			continue
		}
		news = append(news, seq)
		if done {
			tx.depth--
		}
	}
	return news, nil
}

// MarkSeen notes that the messages were put before the recipient's model at
// that time, which also delivers them, and makes them done. It returns the
// seqs for which this was news. An expired delivery that was seen after all
// becomes done, and its trail keeps both times.
func (tx *Tx) MarkSeen(recipient int64, seqs []int64, at time.Time) ([]int64, error) {
	var news []int64
	for _, seq := range seqs {
		n, err := tx.exec(updateSeen, at, recipient, seq)
		if err != nil {
			return nil, err
		}
		tx.depth -= n
		if n == 0 {
			if n, err = tx.exec(updateSeenLate, at, recipient, seq); err != nil {
				return nil, err
			}
		}
		if n > 0 {
			news = append(news, seq)
		}
	}
	return news, nil
}

// QueueDepth returns the number of deliveries of the mesh that are neither
// done nor expired, as of the latest commit that was told of.
func (db *DB) QueueDepth() int64 { return db.depth.Load() }
