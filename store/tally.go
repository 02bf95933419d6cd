package store

import "errors"

const (
	selectTally = `SELECT n FROM tally WHERE name = ?`
	upsertTally = `INSERT INTO tally (name, n) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET n = n + ?2`
)

// tally returns a count that is kept beside the rows, which are too many to
// be counted each time.
func (rx *Rx) tally(name string) (n int, err error) {
	err = rx.one(selectTally, []any{name}, &n)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	return n, err
}

func (tx *Tx) addTally(name string, n int) error {
	_, err := tx.exec(upsertTally, name, n)
	return err
}
