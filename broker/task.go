package broker

import (
	"cmp"
	"context"
	"errors"
	"time"
	"unicode/utf8"

	"claudemesh/store"
	"claudemesh/wire"
)

func (m *mesh) createTask(c *call, req wire.CreateTask) (wire.TaskCreated, error) {
	req.Priority = cmp.Or(req.Priority, "normal")
	if err := checkTask(&req); err != nil {
		return wire.TaskCreated{}, err
	}
	var res wire.TaskCreated
	err := m.contribute(c, func(tx *store.Tx) error {
		who, err := m.assignee(tx, c.session, req.Assignee)
		if err != nil {
			return err
		}
		task := &store.Task{ID: store.NewID(), Title: req.Title, Assignee: who.shown, AssigneeKey: who.key(), Priority: req.Priority, Tags: req.Tags,
			Creator: c.session.name, CreatorMember: c.session.member.id, Created: time.Now()}
		err = tx.AddTask(task, wire.MaxTasks)
		if errors.Is(err, store.ErrLimit) {
			return wire.Errorf(wire.Limit, "the mesh has %d tasks that are not done, the most it may: complete some first", wire.MaxTasks)
		}
		if err != nil {
			return err
		}
		if err := m.audit(tx, c.session.actor(), wire.AuditTaskCreated, audited{"taskId": task.ID}); err != nil {
			return err
		}
		res = wire.TaskCreated{ID: task.ID, Assignee: who.shown}
		if !who.told {
			return nil
		}
		return m.assign(tx, c.session, task, who.target, &res)
	})
	return res, err
}

// checkTask checks a task by itself.
func checkTask(req *wire.CreateTask) error {
	if err := checkText("title", req.Title, wire.MaxTaskTitle); err != nil {
		return err
	}
	switch {
	case utf8.RuneCountInString(req.Assignee) > wire.MaxName || wire.HasControl(req.Assignee):
		return wire.Errorf(wire.BadRequest, "assignee must have at most %d characters without control characters", wire.MaxName)
	case utf8.RuneCountInString(req.Priority) > wire.MaxTaskPriority || wire.HasControl(req.Priority):
		return wire.Errorf(wire.BadRequest, "priority must be low, normal, high or urgent")
	}
	return checkTags(req.Tags, wire.MaxTaskTags, wire.MaxTaskTag)
}

func (m *mesh) claimTask(c *call, req wire.ClaimTask) (wire.TaskList, error) {
	var res wire.TaskList
	var check *reserveCheck
	if req.Reserve != nil {
		var err error
		if check, err = m.checkReserve(c, req.Reserve); err != nil {
			return res, err
		}
	}
	err := m.contribute(c, func(tx *store.Tx) error {
		now := time.Now()
		if _, err := tx.LapseClaims(now); err != nil {
			return err
		}
		if err := m.claim(tx, c.session, req.TaskID, now); err != nil {
			return err
		}
		if check != nil {
			made, err := m.reserveIn(tx, c.session, check, req.TaskID, now)
			if err != nil {
				return err
			}
			res.Reservations = wireReservations(m, made)
		}
		return tasksAfter(&tx.Rx, req.TaskID, req.Brief, &res)
	})
	return res, err
}

// claim gives the task to s. The claim is tied to the presence that the store
// knows of: a command may claim for a session that is just ending.
func (m *mesh) claim(tx *store.Tx, s *session, id string, now time.Time) error {
	claim := store.Claim{Address: s.addr, Key: s.key, MemberID: s.member.id, Name: s.name, At: now}
	present, err := isPresent(tx, s)
	if err != nil {
		return err
	}
	if !present {
		claim.Lapses = now.Add(wire.ClaimFor)
	}
	won, err := tx.ClaimTask(id, claim)
	if err != nil {
		return err
	}
	if won {
		return m.audit(tx, s.actor(), wire.AuditTaskClaimed, audited{"taskId": id})
	}
	t, err := tx.Task(id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return wire.Errorf(wire.TaskNotClaimable, "there is no task %q: list the tasks for their ids", wire.Shorten(id, 40))
	case err != nil:
		return err
	case t.Status == store.TaskDone:
		return wire.Errorf(wire.TaskNotClaimable, "task %s is done", id)
	case t.Claim.Address == s.addr:
		return wire.Errorf(wire.TaskNotClaimable, "you have claimed task %s already", id)
	}
	return wire.Errorf(wire.TaskNotClaimable, "task %s is claimed by %s", id, t.Claim.Name)
}

// isPresent reports whether s has a presence that will end.
func isPresent(tx *store.Tx, s *session) (bool, error) {
	row, err := optional(tx.Session(s.addr))
	return row != nil && row.Online, err
}

func (m *mesh) completeTask(c *call, req wire.CompleteTask) (wire.TaskList, error) {
	var res wire.TaskList
	if len(req.Result) > wire.MaxTaskResult {
		return res, wire.Errorf(wire.TooLarge, "the result has %d bytes, more than %d: share it as a file and name it here", len(req.Result), wire.MaxTaskResult)
	}
	err := m.contribute(c, func(tx *store.Tx) error {
		t, err := findTask(&tx.Rx, req.TaskID)
		if err != nil {
			return err
		}
		// Older clients are told of no refusal: they expect the list.
		if t.Status == store.TaskDone && req.Brief && req.Result != t.Result {
			return wire.Errorf(wire.Conflict, "task %s was completed by %s already, and its result stays: share yours otherwise", t.ID, cmp.Or(t.Completer, "somebody"))
		}
		if err := tx.CompleteTask(req.TaskID, req.Result, c.session.name, time.Now()); err != nil {
			return err
		}
		if err := m.audit(tx, c.session.actor(), wire.AuditTaskCompleted, audited{"taskId": req.TaskID}); err != nil {
			return err
		}
		return tasksAfter(&tx.Rx, req.TaskID, req.Brief, &res)
	})
	return res, err
}

func (m *mesh) releaseTask(c *call, req wire.ReleaseTask) (wire.TaskList, error) {
	var res wire.TaskList
	err := m.contribute(c, func(tx *store.Tx) error {
		t, err := findTask(&tx.Rx, req.TaskID)
		if err != nil {
			return err
		}
		mine := t.Claim.MemberID == c.session.member.id || t.CreatorMember == c.session.member.id
		switch {
		case t.Status == store.TaskDone:
			return wire.Errorf(wire.Conflict, "task %s is done", req.TaskID)
		case t.Status == store.TaskClaimed && !mine && !m.isAdmin(c.session.member):
			return wire.Errorf(wire.Forbidden, "task %s is claimed by %s: only that member, its creator %s and admins may release it", req.TaskID, t.Claim.Name, cmp.Or(t.Creator, "of old"))
		}
		if err := tx.ReleaseTask(req.TaskID); err != nil {
			return err
		}
		if err := m.audit(tx, c.session.actor(), wire.AuditTaskReleased, audited{"taskId": req.TaskID}); err != nil {
			return err
		}
		return tasksAfter(&tx.Rx, req.TaskID, req.Brief, &res)
	})
	return res, err
}

func findTask(rx *store.Rx, id string) (*store.Task, error) {
	t, err := rx.Task(id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, wire.Errorf(wire.TaskNotFound, "there is no task %q: list the tasks for their ids", wire.Shorten(id, 40))
	}
	return t, err
}

func (m *mesh) listTasks(_ *call, req wire.ListTasks) (wire.TaskList, error) {
	switch req.Status {
	case "completed":
		req.Status = wire.TaskDone
	case "", wire.TaskOpen, wire.TaskClaimed, wire.TaskDone:
	default:
		return wire.TaskList{}, wire.Errorf(wire.BadRequest, "status must be open, claimed or done")
	}
	if err := fits("named", req.Named, wire.MaxTaskTitle); err != nil {
		return wire.TaskList{}, err
	}
	if err := m.lapseClaims(time.Now()); err != nil {
		return wire.TaskList{}, err
	}
	res := wire.TaskList{}
	err := m.db.Read(context.Background(), func(rx *store.Rx) error {
		if req.TaskID != "" {
			return tasksAfter(rx, req.TaskID, true, &res)
		}
		if req.Named != "" {
			tasks, err := rx.TasksNamed(req.Named, wire.MaxTaskList)
			res.Tasks = listedTasks(tasks)
			return err
		}
		tasks, err := rx.Tasks(store.TaskStatus(req.Status), req.Assignee, wire.MaxTaskList)
		res.Tasks = listedTasks(tasks)
		return err
	})
	return res, err
}

// lapseClaims ends claims whose time is over, if there are any.
func (m *mesh) lapseClaims(now time.Time) error {
	var due bool
	err := m.db.Read(context.Background(), func(rx *store.Rx) (err error) {
		due, err = rx.ClaimsLapsed(now)
		return err
	})
	if err != nil || !due {
		return err
	}
	return m.lapseHeld(now)
}

// lapseHeld ends the claims and reservations whose time is over.
func (m *mesh) lapseHeld(now time.Time) error {
	return m.db.Write(context.Background(), func(tx *store.Tx) error {
		if _, err := tx.LapseClaims(now); err != nil {
			return err
		}
		return tx.ExpireReservations(now)
	})
}

// tasksAfter puts one task into res, or the list of all that others expect.
func tasksAfter(rx *store.Rx, id string, brief bool, res *wire.TaskList) error {
	if !brief {
		tasks, err := rx.Tasks("", "", wire.MaxTaskList)
		res.Tasks = listedTasks(tasks)
		return err
	}
	t, err := findTask(rx, id)
	if err == nil {
		res.Tasks = []wire.Task{wireTask(t)}
	}
	return err
}

// listedTasks describes tasks without the length of their results.
func listedTasks(tasks []*store.Task) []wire.Task {
	out := make([]wire.Task, 0, len(tasks))
	for _, t := range tasks {
		w := wireTask(t)
		if utf8.RuneCountInString(w.Result) > wire.MaxListedResult {
			w.Result, w.ResultCut = string([]rune(w.Result)[:wire.MaxListedResult]), true
		}
		out = append(out, w)
	}
	return out
}

func wireTask(t *store.Task) wire.Task {
	tags := t.Tags
	if tags == nil {
		tags = []string{}
	}
	return wire.Task{
		ID: t.ID, Title: t.Title, Assignee: orNil(t.Assignee), ClaimedBy: orNil(t.Claim.Name), Status: wire.TaskStatus(t.Status),
		Priority: t.Priority, CreatedBy: orNil(t.Creator), Tags: tags, CreatedAt: wire.Time(t.Created),
		AssigneePubkey: t.AssigneeKey, ClaimedPubkey: t.Claim.Key, ClaimedAt: when(t.Claim.At), ClaimExpiresAt: when(t.Claim.Lapses),
		Result: t.Result, CompletedBy: t.Completer, CompletedAt: when(t.Completed),
	}
}

// taskInfo counts the tasks for mesh_info.
func taskInfo(_ *mesh, _ *call, rx *store.Rx, res *wire.MeshInfoResult) error {
	counts, err := rx.CountTasks()
	res.Tasks = wire.TaskCounts{Open: counts[store.TaskOpen], Claimed: counts[store.TaskClaimed], Done: counts[store.TaskDone]}
	return err
}
