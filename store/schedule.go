package store

import (
	"errors"
	"fmt"
	"time"
)

const (
	scheduleColumns   = `id, member_id, creator, target, clock, next_fire, cron, tz, missed, subtype, fired, last_message, created, nonce, body, due`
	insertSchedule    = `INSERT INTO schedule (` + scheduleColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	selectDue         = `SELECT ` + scheduleColumns + ` FROM schedule WHERE clock = ? AND next_fire <= ? ORDER BY next_fire, id LIMIT ?`
	selectNextFire    = `SELECT next_fire FROM schedule WHERE clock = ? ORDER BY next_fire LIMIT 1`
	selectSchedules   = `SELECT ` + scheduleColumns + ` FROM schedule WHERE member_id = ? ORDER BY next_fire, id`
	selectScheduleIDs = `SELECT id FROM schedule WHERE member_id = ? AND id >= ? AND id < ? LIMIT ?`
	countSchedules    = `SELECT count(*) FROM schedule WHERE member_id = ?`
	updateSchedule    = `UPDATE schedule SET next_fire = ?, due = ?, fired = ?, last_message = ? WHERE id = ?`
	deleteSchedule    = `DELETE FROM schedule WHERE id = ?`
	deleteSchedules   = `DELETE FROM schedule WHERE member_id = ?`
)

// Clocks that a Schedule goes by.
const (
	ClockReal = "real"
	ClockSim  = "sim" // that of simulations
)

// What a Schedule makes up for.
const (
	MissedOnce = "once"
	MissedSkip = "skip"
	MissedAll  = "all"
)

// Schedule is a message to be sent later.
type Schedule struct {
	ID          string // UUID
	MemberID    string // whose it is
	Creator     int64  // address of the session that made it, which may be gone
	Target      string
	Clock       string
	NextFire    time.Time // by that clock
	Due         time.Time // since when it waits for room in a mailbox, to be tried again at NextFire; zero if it does not
	Cron        string    // "" for once
	TZ          string    // "" for UTC
	Missed      string
	Subtype     string
	Fired       int    // how often it was sent
	LastMessage string // id; "" for none
	Created     time.Time
	Nonce       string // "": Body is plain text
	Body        string
}

func (s *Schedule) columns() []any {
	return []any{&s.ID, &s.MemberID, &s.Creator, &s.Target, &s.Clock, &s.NextFire, &s.Cron, &s.TZ, &s.Missed, &s.Subtype,
		&s.Fired, &s.LastMessage, &s.Created, &s.Nonce, &s.Body, &s.Due}
}

// AddSchedule stores s.
func (tx *Tx) AddSchedule(s *Schedule) error {
	_, err := tx.exec(insertSchedule, s.ID, s.MemberID, s.Creator, s.Target, s.Clock, s.NextFire, null(s.Cron), null(s.TZ), s.Missed,
		null(s.Subtype), s.Fired, null(s.LastMessage), s.Created, s.Nonce, s.Body, s.Due)
	return err
}

// DueSchedules lists at most limit entries of a clock that are due when it
// shows now, what was due first in front.
func (rx *Rx) DueSchedules(clock string, now time.Time, limit int) ([]*Schedule, error) {
	return rx.schedules(selectDue, clock, now, limit)
}

// Schedules lists the entries of a member, what is due first in front.
func (rx *Rx) Schedules(memberID string) ([]*Schedule, error) {
	return rx.schedules(selectSchedules, memberID)
}

func (rx *Rx) schedules(query string, args ...any) ([]*Schedule, error) {
	var all []*Schedule
	err := rx.each(query, args, func(r row) error {
		s := new(Schedule)
		all = append(all, s)
		return r.scan(s.columns()...)
	})
	return all, err
}

// NextFire returns when the next entry of a clock is due, the zero time if it
// has none.
func (rx *Rx) NextFire(clock string) (at time.Time, err error) {
	err = rx.one(selectNextFire, []any{clock}, &at)
	if errors.Is(err, ErrNotFound) {
		return time.Time{}, nil
	}
	return at, err
}

// CountSchedules counts what Schedules would list.
func (rx *Rx) CountSchedules(memberID string) (n int, err error) {
	err = rx.one(countSchedules, []any{memberID}, &n)
	return n, err
}

// ScheduleID returns the id of the only entry of a member whose id begins with
// prefix: ErrNotFound if there is none, ErrConflict if there are several.
func (rx *Rx) ScheduleID(memberID, prefix string) (string, error) {
	var ids []string
	err := rx.each(selectScheduleIDs, []any{memberID, prefix, prefix + "\x7f", 2}, func(r row) error {
		ids = append(ids, "")
		return r.scan(&ids[len(ids)-1])
	})
	switch {
	case err != nil:
		return "", err
	case len(ids) == 0:
		return "", fmt.Errorf("store: schedule %.36q: %w", prefix, ErrNotFound)
	case len(ids) > 1:
		return "", fmt.Errorf("store: schedule %.36q: several begin so: %w", prefix, ErrConflict)
	}
	return ids[0], nil
}

// UpdateSchedule writes when s is next due and since when it waits, how often it
// was sent and its last message: ErrNotFound if it is gone.
func (tx *Tx) UpdateSchedule(s *Schedule) error {
	return tx.change("schedule "+s.ID, updateSchedule, s.NextFire, s.Due, s.Fired, null(s.LastMessage), s.ID)
}

// DeleteSchedule removes an entry: ErrNotFound if it is gone.
func (tx *Tx) DeleteSchedule(id string) error {
	return tx.change("schedule "+id, deleteSchedule, id)
}

// DeleteSchedules removes all entries of a member.
func (tx *Tx) DeleteSchedules(memberID string) error {
	_, err := tx.exec(deleteSchedules, memberID)
	return err
}
