package store

import (
	"errors"
	"fmt"
	"time"
)

const (
	reservationColumns = `n, id, repo, pattern, shared, holder, holder_key, holder_member, holder_name, reason, task_id, bound, reserved, expires`
	insertReservation  = `INSERT INTO reservation (id, repo, pattern, shared, holder, holder_key, holder_member, holder_name, reason, task_id, bound, reserved, expires)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	selectReservation         = `SELECT ` + reservationColumns + ` FROM reservation WHERE id = ? AND expires > ?`
	selectReservations        = `SELECT ` + reservationColumns + ` FROM reservation WHERE n > ? AND expires > ? ORDER BY n LIMIT ?`
	selectReservationsIn      = `SELECT ` + reservationColumns + ` FROM reservation WHERE repo = ? AND n > ? AND expires > ? ORDER BY n LIMIT ?`
	selectSameReservation     = `SELECT task_id FROM reservation WHERE repo = ? AND pattern = ? AND holder = ?`
	countReservations         = `SELECT count(*) FROM reservation`
	deleteReservation         = `DELETE FROM reservation WHERE id = ?`
	deleteSameReservation     = `DELETE FROM reservation WHERE repo = ? AND pattern = ? AND holder = ?`
	deleteTaskReservations    = `DELETE FROM reservation WHERE task_id = ?`
	deleteBoundReservations   = `DELETE FROM reservation WHERE holder = ? AND bound = 1`
	deleteMemberReservations  = `DELETE FROM reservation WHERE holder_member = ?`
	deleteExpiredReservations = `DELETE FROM reservation WHERE expires <= ?`
)

// Reservation is a pattern of paths that a session has reserved.
type Reservation struct {
	N        int64  // given by AddReservation; grows
	ID       string // NewID
	Repo     string
	Pattern  string
	Shared   bool
	Holder   int64 // address
	Key      string
	MemberID string
	Name     string
	Reason   string
	TaskID   string // ends with this claim, "" for none
	Bound    bool   // ends with the presence of the holder
	Reserved time.Time
	Expires  time.Time
}

func (v *Reservation) columns() []any {
	return []any{&v.N, &v.ID, &v.Repo, &v.Pattern, &v.Shared, &v.Holder, &v.Key, &v.MemberID, &v.Name, &v.Reason, &v.TaskID, &v.Bound, &v.Reserved, &v.Expires}
}

// AddReservation adds a reservation, in the place of the one that its holder
// has of the same pattern, and sets its N. One that was made with a claim goes
// on to end with it. ErrLimit says that there are keep others. Whether it
// conflicts is for the caller to know.
func (tx *Tx) AddReservation(v *Reservation, keep int) error {
	if v.TaskID == "" {
		err := tx.one(selectSameReservation, []any{v.Repo, v.Pattern, v.Holder}, &v.TaskID)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	if _, err := tx.exec(deleteSameReservation, v.Repo, v.Pattern, v.Holder); err != nil {
		return err
	}
	var n int
	if err := tx.one(countReservations, nil, &n); err != nil {
		return err
	}
	if n >= keep {
		return fmt.Errorf("store: %d reservations: %w", n, ErrLimit)
	}
	var err error
	v.N, err = tx.insert(insertReservation, v.ID, v.Repo, v.Pattern, v.Shared, v.Holder, v.Key, v.MemberID, v.Name, null(v.Reason), null(v.TaskID), v.Bound, v.Reserved, v.Expires)
	return err
}

// Reservation returns the reservation with that id if it holds at that time:
// ErrNotFound if there is none.
func (rx *Rx) Reservation(id string, now time.Time) (*Reservation, error) {
	var v Reservation
	if err := rx.one(selectReservation, []any{id, now}, v.columns()...); err != nil {
		return nil, fmt.Errorf("store: reservation %.40q: %w", id, err)
	}
	return &v, nil
}

// Reservations lists at most limit reservations that hold at that time, in one
// repository or, with "", all, in the order of N, those after a given N.
func (rx *Rx) Reservations(repo string, after int64, now time.Time, limit int) ([]*Reservation, error) {
	query, args := selectReservations, []any{after, now, limit}
	if repo != "" {
		query, args = selectReservationsIn, []any{repo, after, now, limit}
	}
	var all []*Reservation
	err := rx.each(query, args, func(r row) error {
		var v Reservation
		all = append(all, &v)
		return r.scan(v.columns()...)
	})
	return all, err
}

// DeleteReservation ends a reservation; one that is gone is no error.
func (tx *Tx) DeleteReservation(id string) error {
	_, err := tx.exec(deleteReservation, id)
	return err
}

// ExpireReservations deletes those whose time is over.
func (tx *Tx) ExpireReservations(now time.Time) error {
	_, err := tx.exec(deleteExpiredReservations, now)
	return err
}
