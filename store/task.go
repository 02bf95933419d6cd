package store

import (
	"fmt"
	"strings"
	"time"
)

const (
	taskColumns = `n, id, title, assignee, assignee_key, priority, tags, status, creator, creator_member, created,
		claimer, claimer_key, claimer_member, claimer_name, claimed, lapses, result, completer, completed`
	insertTask = `INSERT INTO task (id, title, assignee, assignee_key, priority, tags, status, creator, creator_member, created)
		VALUES (?, ?, ?, ?, ?, ?, 'open', ?, ?, ?)`
	selectTask  = `SELECT ` + taskColumns + ` FROM task WHERE id = ?`
	selectTasks = `SELECT ` + taskColumns + ` FROM task
		WHERE (?1 = '' OR status = ?1) AND (?2 = '' OR assignee = ?2 OR assignee_key = ?2) ORDER BY n DESC LIMIT ?3`
	selectTaskNames   = `SELECT id, title FROM task ORDER BY n DESC`
	selectLastTask    = `SELECT coalesce(max(n), 0) FROM task`
	countTasks        = `SELECT status, count(*) FROM task GROUP BY status`
	selectOldestDone  = `SELECT n FROM task WHERE status = 'done' ORDER BY n LIMIT 1`
	deleteTask        = `DELETE FROM task WHERE n = ?`
	updateTaskClaimed = `UPDATE task SET status = 'claimed', claimer = ?, claimer_key = ?, claimer_member = ?, claimer_name = ?, claimed = ?, lapses = ?
		WHERE id = ? AND status = 'open'`
	updateTaskDone = `UPDATE task SET status = 'done', lapses = NULL, result = ?, completer = ?, completed = ? WHERE id = ? AND status <> 'done'`
	unclaimed      = `status = 'open', claimer = NULL, claimer_key = NULL, claimer_member = NULL, claimer_name = NULL, claimed = NULL, lapses = NULL`

	updateTaskOpen       = `UPDATE task SET ` + unclaimed + ` WHERE id = ? AND status = 'claimed'`
	selectClaimsOf       = `SELECT id FROM task WHERE claimer = ? AND status = 'claimed'`
	selectClaimsOfMember = `SELECT id FROM task WHERE claimer_member = ? AND status = 'claimed'`
	selectLapsedClaims   = `SELECT id FROM task WHERE lapses IS NOT NULL AND lapses <= ?`
)

// TaskStatus is where a task is in its life.
type TaskStatus string

// The states of a task.
const (
	TaskOpen    TaskStatus = "open"
	TaskClaimed TaskStatus = "claimed"
	TaskDone    TaskStatus = "done"
)

// Task is a task of the mesh's board.
type Task struct {
	N             int64  // given by AddTask; grows
	ID            string // NewID
	Title         string
	Assignee      string // as it is shown; "" for none
	AssigneeKey   string // of one peer, hex64
	Priority      string
	Tags          []string
	Status        TaskStatus // given by AddTask and the changes
	Creator       string     // name
	CreatorMember string
	Created       time.Time
	Claim         Claim // zero while the task is open
	Result        string
	Completer     string // name
	Completed     time.Time
}

// A Claim says who does a task.
type Claim struct {
	Address  int64 // of the session
	Key      string
	MemberID string
	Name     string
	At       time.Time
	Lapses   time.Time // zero where it ends with the presence of the session
}

func (t *Task) columns() []any {
	return []any{&t.N, &t.ID, &t.Title, &t.Assignee, &t.AssigneeKey, &t.Priority, fromJSON{&t.Tags}, (*string)(&t.Status), &t.Creator, &t.CreatorMember,
		&t.Created, &t.Claim.Address, &t.Claim.Key, &t.Claim.MemberID, &t.Claim.Name, &t.Claim.At, &t.Claim.Lapses, &t.Result, &t.Completer, &t.Completed}
}

// AddTask adds an open task and sets its N and Status. With keep tasks on the
// board already the oldest that is done gives way, and ErrLimit says that
// none is.
func (tx *Tx) AddTask(t *Task, keep int) error {
	if err := tx.roomForTask(keep); err != nil {
		return err
	}
	tags, err := toJSON(t.Tags)
	if err != nil {
		return err
	}
	t.Status = TaskOpen
	t.N, err = tx.insert(insertTask, t.ID, t.Title, null(t.Assignee), null(t.AssigneeKey), t.Priority, tags, null(t.Creator), null(t.CreatorMember), t.Created)
	return err
}

// roomForTask makes the oldest task that is done give way if there are keep. To
// count them takes a while, so it is done only once there can be so many.
func (tx *Tx) roomForTask(keep int) error {
	var newest, oldest int64
	if err := tx.one(selectLastTask, nil, &newest); err != nil || newest < int64(keep) {
		return err
	}
	counts, err := tx.CountTasks()
	switch {
	case err != nil || counts[TaskOpen]+counts[TaskClaimed]+counts[TaskDone] < keep:
		return err
	case counts[TaskDone] == 0:
		return fmt.Errorf("store: %d tasks: %w", keep, ErrLimit)
	}
	if err := tx.one(selectOldestDone, nil, &oldest); err != nil {
		return err
	}
	_, err = tx.exec(deleteTask, oldest)
	return err
}

// Task returns the task with that id: ErrNotFound if there is none.
func (rx *Rx) Task(id string) (*Task, error) {
	var t Task
	if err := rx.one(selectTask, []any{id}, t.columns()...); err != nil {
		return nil, fmt.Errorf("store: task %.40q: %w", id, err)
	}
	return &t, nil
}

// Tasks lists at most limit tasks, the newest first: those with that status and
// assignee, shown or key, where they are not "".
func (rx *Rx) Tasks(status TaskStatus, assignee string, limit int) ([]*Task, error) {
	var all []*Task
	err := rx.each(selectTasks, []any{string(status), assignee, limit}, func(r row) error {
		var t Task
		all = append(all, &t)
		return r.scan(t.columns()...)
	})
	return all, err
}

// minTaskPrefix is how many characters of an id may stand for it.
const minTaskPrefix = 4

// TasksNamed lists at most limit tasks that text may mean, the newest first: with that
// id, or a beginning of it of 4 characters or more, or with that title, whatever its
// case.
func (rx *Rx) TasksNamed(text string, limit int) ([]*Task, error) {
	var ids []string
	err := rx.each(selectTaskNames, nil, func(r row) error {
		var id, title string
		if err := r.scan(&id, &title); err != nil {
			return err
		}
		if id == text || len(text) >= minTaskPrefix && strings.HasPrefix(id, text) || strings.EqualFold(title, text) {
			ids = append(ids, id)
		}
		if len(ids) == limit {
			return errStop
		}
		return nil
	})
	if err != nil && err != errStop {
		return nil, err
	}
	all := make([]*Task, len(ids))
	for i, id := range ids {
		if all[i], err = rx.Task(id); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// CountTasks counts the tasks by status.
func (rx *Rx) CountTasks() (map[TaskStatus]int, error) {
	counts := make(map[TaskStatus]int)
	err := rx.each(countTasks, nil, func(r row) error {
		var status string
		var n int
		err := r.scan(&status, &n)
		counts[TaskStatus(status)] = n
		return err
	})
	return counts, err
}

// ClaimTask gives an open task to c, and reports whether there was one with
// that id.
func (tx *Tx) ClaimTask(id string, c Claim) (bool, error) {
	n, err := tx.exec(updateTaskClaimed, c.Address, c.Key, c.MemberID, c.Name, c.At, c.Lapses, id)
	return n == 1, err
}

// CompleteTask finishes a task and ends the reservations of its claim. One that
// is done, or not there, stays as it is.
func (tx *Tx) CompleteTask(id, result, by string, at time.Time) error {
	n, err := tx.exec(updateTaskDone, null(result), null(by), at, id)
	if err != nil || n == 0 {
		return err
	}
	_, err = tx.exec(deleteTaskReservations, id)
	return err
}

// ReleaseTask makes a claimed task open again and ends the reservations of its
// claim. Other tasks stay as they are.
func (tx *Tx) ReleaseTask(id string) error {
	n, err := tx.exec(updateTaskOpen, id)
	if err != nil || n == 0 {
		return err
	}
	_, err = tx.exec(deleteTaskReservations, id)
	return err
}

// LapseClaims makes the tasks open again whose claims have run out of time, and
// reports how many.
func (tx *Tx) LapseClaims(now time.Time) (int, error) {
	ids, err := tx.claims(selectLapsedClaims, now)
	if err != nil {
		return 0, err
	}
	return len(ids), tx.releaseTasks(ids)
}

// ClaimsLapsed reports whether LapseClaims would do anything.
func (rx *Rx) ClaimsLapsed(now time.Time) (bool, error) {
	ids, err := rx.claims(selectLapsedClaims, now)
	return len(ids) > 0, err
}

func (rx *Rx) claims(query string, arg any) ([]string, error) {
	var ids []string
	err := rx.each(query, []any{arg}, func(r row) error {
		var id string
		err := r.scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

func (tx *Tx) releaseTasks(ids []string) error {
	for _, id := range ids {
		if err := tx.ReleaseTask(id); err != nil {
			return err
		}
	}
	return nil
}

// ReleaseHeld ends what a session holds by being present: its claims, and the
// reservations that are bound to its presence.
func (tx *Tx) ReleaseHeld(address int64) error {
	ids, err := tx.claims(selectClaimsOf, address)
	if err != nil {
		return err
	}
	if err := tx.releaseTasks(ids); err != nil {
		return err
	}
	_, err = tx.exec(deleteBoundReservations, address)
	return err
}

// ReleaseHeldByMember ends all claims and reservations of a member.
func (tx *Tx) ReleaseHeldByMember(memberID string) error {
	ids, err := tx.claims(selectClaimsOfMember, memberID)
	if err != nil {
		return err
	}
	if err := tx.releaseTasks(ids); err != nil {
		return err
	}
	_, err = tx.exec(deleteMemberReservations, memberID)
	return err
}
