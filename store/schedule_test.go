package store

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func scheduleAt(id string, at time.Time) *Schedule {
	return &Schedule{ID: id, MemberID: "m", Creator: 7, Target: "*", Clock: ClockReal, NextFire: at, Missed: MissedOnce, Created: epoch, Body: "text"}
}

func TestSchedules(t *testing.T) {
	db := open(t)
	first, second := scheduleAt("aaaaaaaa-1", epoch.Add(2*time.Hour)), scheduleAt("aaaaaaaa-2", epoch.Add(time.Hour))
	second.Cron, second.TZ, second.Missed, second.Subtype, second.Nonce = "0 9 * * *", "Europe/Berlin", MissedAll, "reminder", "n"
	sim := scheduleAt("cccccccc-3", epoch)
	sim.Clock, sim.MemberID = ClockSim, "other"
	mustWrite(t, db, func(tx *Tx) error {
		at, err := tx.NextFire(ClockReal)
		equal(t, at, time.Time{})
		return errors.Join(err, tx.AddSchedule(first), tx.AddSchedule(second), tx.AddSchedule(sim))
	})
	mustRead(t, db, func(rx *Rx) error {
		due, err1 := rx.DueSchedules(ClockReal, epoch.Add(time.Hour), 10)
		equal(t, due, []*Schedule{second})
		all, err2 := rx.Schedules("m")
		equal(t, all, []*Schedule{second, first})
		n, err3 := rx.CountSchedules("m")
		equal(t, n, 2)
		at, err4 := rx.NextFire(ClockSim)
		equal(t, at, epoch)
		id, err5 := rx.ScheduleID("m", "aaaaaaaa-1")
		equal(t, id, "aaaaaaaa-1")
		_, err := rx.ScheduleID("m", "aaaaaaaa")
		wants(t, "two begin so", err, ErrConflict)
		_, err = rx.ScheduleID("m", "cccccccc")
		wants(t, "another member's", err, ErrNotFound)
		return errors.Join(err1, err2, err3, err4, err5)
	})
	mustWrite(t, db, func(tx *Tx) error {
		second.NextFire, second.Due, second.Fired, second.LastMessage = epoch.Add(3*time.Hour), epoch.Add(2*time.Hour), 1, "id"
		return errors.Join(tx.UpdateSchedule(second), tx.DeleteSchedule(first.ID))
	})
	mustWrite(t, db, func(tx *Tx) error {
		all, err := tx.Schedules("m")
		equal(t, all, []*Schedule{second})
		wants(t, "deleted before", tx.DeleteSchedule(first.ID), ErrNotFound)
		wants(t, "deleted before", tx.UpdateSchedule(first), ErrNotFound)
		if err := tx.DeleteSchedules("m"); err != nil {
			return err
		}
		n, err2 := tx.CountSchedules("m")
		equal(t, n, 0)
		return errors.Join(err, err2)
	})
}

func TestSimClock(t *testing.T) {
	db := open(t)
	c := &SimClock{Speed: 2.5, Tick: 3, Time: epoch.Add(3 * time.Minute), Started: epoch, Changed: epoch, Ended: true}
	mustWrite(t, db, func(tx *Tx) error {
		_, err := tx.SimClock()
		wants(t, "no clock", err, ErrNotFound)
		return tx.SaveSimClock(c)
	})
	mustWrite(t, db, func(tx *Tx) error {
		got, err := tx.SimClock()
		equal(t, got, c)
		c.Paused, c.Speed = true, 1
		return errors.Join(err, tx.SaveSimClock(c))
	})
	mustWrite(t, db, func(tx *Tx) error {
		got, err := tx.SimClock()
		equal(t, got, c)
		return errors.Join(err, tx.DeleteSimClock(), tx.DeleteSimClock())
	})
}

func BenchmarkDueAmongTenThousand(b *testing.B) {
	db := open(b)
	mustWrite(b, db, func(tx *Tx) error {
		for i := range 10_000 {
			if err := tx.AddSchedule(scheduleAt(fmt.Sprint(i), epoch.Add(time.Duration(i)*time.Second))); err != nil {
				return err
			}
		}
		return nil
	})
	for b.Loop() {
		mustRead(b, db, func(rx *Rx) error {
			_, err := rx.DueSchedules(ClockReal, epoch.Add(time.Minute), 1)
			_, err2 := rx.NextFire(ClockReal)
			return errors.Join(err, err2)
		})
	}
}
