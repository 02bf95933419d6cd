package store

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestTask(t *testing.T) {
	db := open(t)
	want := &Task{ID: "t1", Title: "mend it", Assignee: "bob", AssigneeKey: "kb", Priority: "high", Tags: []string{"a", "b"},
		Creator: "ann", CreatorMember: "a", Created: epoch}
	claim := Claim{Address: 7, Key: "kb", MemberID: "b", Name: "bob", At: epoch.Add(time.Second), Lapses: epoch.Add(time.Minute)}
	var won, again, done, none bool
	mustWrite(t, db, func(tx *Tx) (err error) {
		if err := tx.AddTask(want, 10); err != nil {
			return err
		}
		got, err := tx.Task("t1")
		equal(t, got, want)
		if err != nil || want.Status != TaskOpen {
			t.Errorf("%v, %+v", err, want)
		}
		won, err = tx.ClaimTask("t1", claim)
		if err != nil {
			return err
		}
		again, err = tx.ClaimTask("t1", Claim{Address: 8})
		if err != nil {
			return err
		}
		none, err = tx.ClaimTask("nothing", claim)
		want.Status, want.Claim = TaskClaimed, claim
		got, getErr := tx.Task("t1")
		equal(t, got, want)
		return errors.Join(err, getErr)
	})
	if !won || again || none {
		t.Errorf("claimed: %v, by a second: %v, of none: %v", won, again, none)
	}
	mustWrite(t, db, func(tx *Tx) (err error) {
		if err := errors.Join(tx.CompleteTask("t1", "mended", "bob", epoch.Add(2*time.Second)), tx.CompleteTask("t1", "no", "eve", epoch), tx.ReleaseTask("t1")); err != nil {
			return err
		}
		done, err = tx.ClaimTask("t1", claim)
		return err
	})
	want.Status, want.Result, want.Completer, want.Completed, want.Claim.Lapses = TaskDone, "mended", "bob", epoch.Add(2*time.Second), time.Time{}
	mustRead(t, db, func(rx *Rx) error { got, err := rx.Task("t1"); equal(t, got, want); return err })
	if done {
		t.Error("what is done was claimed")
	}
	mustRead(t, db, func(rx *Rx) error {
		_, err := rx.Task("t2")
		wants(t, "no task", err, ErrNotFound)
		return nil
	})
}

func TestTasksAreListedAndBounded(t *testing.T) {
	db := open(t)
	mustWrite(t, db, func(tx *Tx) error {
		for i := range 5 {
			task := &Task{ID: fmt.Sprint(i), Title: "x", Priority: "normal", Assignee: []string{"", "bob"}[i%2], AssigneeKey: []string{"", "kb"}[i%2], Created: epoch}
			if err := tx.AddTask(task, 5); err != nil {
				return err
			}
		}
		wants(t, "a sixth", tx.AddTask(&Task{ID: "5", Priority: "low", Created: epoch}, 5), ErrLimit)
		_, err := tx.ClaimTask("3", Claim{Address: 1, At: epoch})
		return errors.Join(err, tx.CompleteTask("1", "", "", epoch), tx.CompleteTask("2", "", "", epoch),
			tx.AddTask(&Task{ID: "5", Priority: "low", Created: epoch}, 5))
	})
	mustRead(t, db, func(rx *Rx) error {
		for _, c := range []struct {
			status   TaskStatus
			assignee string
			limit    int
			want     string
		}{
			{"", "", 10, "[5 4 3 2 0]"}, {"", "", 2, "[5 4]"}, {TaskOpen, "", 10, "[5 4 0]"}, {TaskDone, "", 10, "[2]"},
			{"", "bob", 10, "[3]"}, {"", "kb", 10, "[3]"}, {TaskOpen, "bob", 10, "[]"}, {"no", "", 10, "[]"},
		} {
			all, err := rx.Tasks(c.status, c.assignee, c.limit)
			ids := []string{}
			for _, task := range all {
				ids = append(ids, task.ID)
			}
			if got := fmt.Sprint(ids); err != nil || got != c.want {
				t.Errorf("%q %q: %s, %v, want %s", c.status, c.assignee, got, err, c.want)
			}
		}
		counts, err := rx.CountTasks()
		equal(t, counts, map[TaskStatus]int{TaskOpen: 3, TaskClaimed: 1, TaskDone: 1})
		return err
	})
}

// held describes what is claimed and reserved.
func held(t *testing.T, db *DB) string {
	t.Helper()
	var out []string
	mustRead(t, db, func(rx *Rx) error {
		tasks, err := rx.Tasks(TaskClaimed, "", 100)
		for _, task := range tasks {
			out = append(out, task.ID)
		}
		all, allErr := rx.Reservations("", 0, epoch, 100)
		for _, v := range all {
			out = append(out, v.Pattern)
		}
		return errors.Join(err, allErr)
	})
	return fmt.Sprint(out)
}

func TestWhatIsHeldEndsWithItsHolder(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*Tx) error
		want string
	}{
		{"nothing ends", func(tx *Tx) error { return tx.ReleaseHeld(9) }, "[t2 t1 bound-1 free-1 with-t1 bound-2]"},
		{"the presence of one", func(tx *Tx) error { return tx.ReleaseHeld(1) }, "[t2 free-1 bound-2]"},
		{"the membership of one", func(tx *Tx) error { return tx.ReleaseHeldByMember("m1") }, "[t2 bound-2]"},
		{"the time of a claim", func(tx *Tx) error { n, err := tx.LapseClaims(epoch.Add(time.Hour)); equal(t, n, 1); return err }, "[t1 bound-1 free-1 with-t1 bound-2]"},
		{"the task", func(tx *Tx) error { return tx.CompleteTask("t1", "", "", epoch) }, "[t2 bound-1 free-1 bound-2]"},
		{"the claim", func(tx *Tx) error { return tx.ReleaseTask("t1") }, "[t2 bound-1 free-1 bound-2]"},
		{"the time of a reservation", func(tx *Tx) error { return tx.ExpireReservations(epoch.Add(2 * time.Hour)) }, "[t2 t1 bound-1 with-t1 bound-2]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := open(t)
			mustWrite(t, db, func(tx *Tx) error {
				for i, id := range []string{"t1", "t2"} {
					if err := tx.AddTask(&Task{ID: id, Priority: "low", Created: epoch}, 10); err != nil {
						return err
					}
					claim := Claim{Address: int64(i + 1), Key: "k", MemberID: fmt.Sprint("m", i+1), At: epoch}
					if i == 1 {
						claim.Lapses = epoch.Add(time.Hour)
					}
					if _, err := tx.ClaimTask(id, claim); err != nil {
						return err
					}
				}
				for i, v := range []Reservation{
					{Pattern: "bound-1", Holder: 1, MemberID: "m1", Bound: true, Expires: epoch.Add(3 * time.Hour)},
					{Pattern: "free-1", Holder: 1, MemberID: "m1", Expires: epoch.Add(time.Hour)},
					{Pattern: "with-t1", Holder: 1, MemberID: "m1", TaskID: "t1", Expires: epoch.Add(3 * time.Hour)},
					{Pattern: "bound-2", Holder: 2, MemberID: "m2", Bound: true, Expires: epoch.Add(3 * time.Hour)},
				} {
					v.ID, v.Repo, v.Reserved = fmt.Sprint("r", i), "repo", epoch
					if err := tx.AddReservation(&v, 10); err != nil {
						return err
					}
				}
				return nil
			})
			mustWrite(t, db, c.end)
			if got := held(t, db); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestReservation(t *testing.T) {
	db := open(t)
	v := Reservation{ID: "r1", Repo: "repo", Pattern: "src/**", Shared: true, Holder: 1, Key: "k", MemberID: "m", Name: "ann", Reason: "why", TaskID: "t",
		Bound: true, Reserved: epoch, Expires: epoch.Add(time.Minute)}
	other := v
	other.ID, other.Repo = "r2", "other"
	renewed := v
	renewed.ID, renewed.Shared, renewed.Expires, renewed.TaskID = "r3", false, epoch.Add(time.Hour), "" // its claim is kept
	mustWrite(t, db, func(tx *Tx) error {
		if err := errors.Join(tx.AddReservation(&v, 2), tx.AddReservation(&other, 2)); err != nil {
			return err
		}
		got, err := tx.Reservation("r1", epoch)
		equal(t, got, &v)
		third := v
		third.ID, third.Pattern = "r4", "x"
		wants(t, "a third", tx.AddReservation(&third, 2), ErrLimit)
		return errors.Join(err, tx.AddReservation(&renewed, 2))
	})
	equal(t, renewed.TaskID, "t")
	mustRead(t, db, func(rx *Rx) error {
		_, err := rx.Reservation("r1", epoch)
		wants(t, "renewed", err, ErrNotFound)
		_, err = rx.Reservation("r2", other.Expires)
		wants(t, "its time is over", err, ErrNotFound)
		for _, c := range []struct {
			repo  string
			after int64
			now   time.Time
			want  []*Reservation
		}{
			{"", 0, epoch, []*Reservation{&other, &renewed}}, {"", other.N, epoch, []*Reservation{&renewed}},
			{"repo", 0, epoch, []*Reservation{&renewed}}, {"", 0, other.Expires, []*Reservation{&renewed}}, {"none", 0, epoch, nil},
		} {
			got, err := rx.Reservations(c.repo, c.after, c.now, 10)
			if err != nil {
				return err
			}
			equal(t, got, c.want)
		}
		return nil
	})
	mustWrite(t, db, func(tx *Tx) error { return errors.Join(tx.DeleteReservation("r3"), tx.DeleteReservation("r3")) })
	if got := held(t, db); got != "[src/**]" {
		t.Error(got)
	}
}
