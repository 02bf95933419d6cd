// Package cron reads cron expressions and says when they come due. It knows no
// clock: what it says depends on its arguments alone.
//
// An expression has five fields, separated by blanks: minute 0–59, hour 0–23,
// day of the month 1–31, month 1–12 or JAN–DEC, day of the week 0–7 or SUN–SAT,
// where 0 and 7 are Sunday. A field is a list, separated by commas, of
//
//   - every value
//     A       one value
//     A-B     the values from A to B
//     */N A-B/N A/N   every N-th of them, from the first on; A/N goes on to the last
//
// or an expression is one of @yearly, @annually, @monthly, @weekly, @daily,
// @midnight and @hourly. Anything else is refused: a step of zero, a value out
// of range, a range that goes backwards.
//
// # Days
//
// As in standard cron, where both day fields are restricted either will do:
// "0 9 13 * FRI" is due on every 13th and on every Friday. A field that begins
// with * is no restriction in that sense, so "*/2" in one and "MON" in the other
// must both hold.
//
// # Daylight saving
//
// Where a time zone changes its offset, much as in ISC cron, but for what it makes
// of steps in the minute field:
//
//   - An expression with every hour in its hour field follows the time that
//     passes: it is due at every matching minute that there is, in an hour that is
//     repeated too.
//   - Any other is due once for each matching minute of the calendar: in an hour
//     that is repeated the first time only, and, for what matches in an hour that
//     is left out, once at the moment the clocks go forward.
package cron

import (
	"errors"
	"time"
)

// Horizon is how far ahead Next looks: 29 February on a given day of the week
// can be 40 years away.
const Horizon = 41 // years

// ErrInvalid reports an expression that cannot be read, or that can never be due.
var ErrInvalid = errors.New("not a cron expression")

// An Expression is a parsed cron expression. Each field is a set of bits.
type Expression struct {
	minute, hour, day, month, weekday uint64

	bothDays bool // a day must match both day fields
	passing  bool // every hour: time that passes, not the calendar's
}

// Next returns the first moment after t, and after t only, at which e is due by
// the clocks of loc: the zero time if there is none within Horizon.
func (e *Expression) Next(t time.Time, loc *time.Location) time.Time {
	at, from := t.In(loc), nextMinute(wall(t.In(loc)))
	last := t.AddDate(Horizon, 0, 0)
	for at.Before(last) {
		start, end := at.ZoneBounds()
		if !end.IsZero() && !end.After(at) {
			end = at.AddDate(0, 0, 1) // the standard library ends leap years on 31 December
		}
		if !start.IsZero() {
			due, floor := e.enter(start, t)
			if !due.IsZero() {
				return due
			}
			from = later(from, floor)
		}
		_, offset := at.Zone()
		limit := last
		if !end.IsZero() {
			limit = end
		}
		if w, ok := e.match(from, onWall(limit, offset)); ok {
			return w.Add(-time.Duration(offset) * time.Second).In(loc)
		}
		if end.IsZero() {
			break
		}
		at = end.In(loc)
		from = wall(at)
	}
	return time.Time{}
}

// enter looks at how the clocks changed at start. Where they went forward over
// something that e does not want to miss it is due then, if that is after t.
// Where they went back, floor is the time on the wall up to which e has been served.
func (e *Expression) enter(start, t time.Time) (due, floor time.Time) {
	if e.passing {
		return
	}
	_, before := start.Add(-time.Nanosecond).Zone()
	_, offset := start.Zone()
	old := onWall(start, before)
	if offset < before {
		return time.Time{}, old
	}
	if _, skipped := e.match(old, onWall(start, offset)); skipped && start.After(t) {
		return start, time.Time{}
	}
	return
}

// match returns the first whole minute on the wall that is not before from,
// is before limit, and matches all fields. Times on the wall are kept as if in UTC.
func (e *Expression) match(from, limit time.Time) (time.Time, bool) {
	w := from.Truncate(time.Minute)
	if w.Before(from) {
		w = w.Add(time.Minute)
	}
	for w.Before(limit) {
		y, month, d := w.Date()
		switch {
		case e.month&(1<<month) == 0:
			w = time.Date(y, month+1, 1, 0, 0, 0, 0, time.UTC)
		case !e.onDay(d, w.Weekday()):
			w = time.Date(y, month, d+1, 0, 0, 0, 0, time.UTC)
		case e.hour&(1<<w.Hour()) == 0:
			w = w.Truncate(time.Hour).Add(time.Hour)
		case e.minute&(1<<w.Minute()) == 0:
			w = w.Add(time.Minute)
		default:
			return w, true
		}
	}
	return time.Time{}, false
}

func (e *Expression) onDay(d int, wd time.Weekday) bool {
	day, weekday := e.day&(1<<d) != 0, e.weekday&(1<<wd) != 0
	if e.bothDays {
		return day && weekday
	}
	return day || weekday
}

// wall returns what the clocks show at t.
func wall(t time.Time) time.Time {
	_, offset := t.Zone()
	return onWall(t, offset)
}

func onWall(t time.Time, offset int) time.Time {
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

func nextMinute(w time.Time) time.Time { return w.Truncate(time.Minute).Add(time.Minute) }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
