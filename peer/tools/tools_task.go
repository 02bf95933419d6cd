package tools

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"claudemesh/peer"
	"claudemesh/wire"
)

func taskTools() []tool {
	return []tool{
		define(tool{
			name: "create_task", hint: "create task todo work item assign delegate board",
			description: "Put a piece of work on the mesh's shared task board. With an assignee (a peer's name or key, @group, or *) that peer gets a message about it. Returns the task's id and where the message is.",
		}, createTask),
		define(tool{
			name: "claim_task", hint: "claim take task start work reserve",
			description: "Take an open task before you work on it; of several who try one gets it. The claim ends with this session. With reserve, the paths you will change are reserved in the same step: both succeed or neither does.",
		}, claimTask),
		define(tool{
			name: "complete_task", hint: "complete finish task done result",
			description: "Finish a task and leave its result for all to read.",
		}, completeTask),
		define(tool{
			name: "release_task", hint: "release give up unclaim task",
			description: "Give up a task that you claimed and will not finish, so that another can take it. What was reserved with the claim is released too.",
		}, releaseTask),
		define(tool{
			name: "list_tasks", reads: true, hint: "list tasks board open claimed todo results",
			description: "See the task board, the newest 100 first: id, title, status, priority, assignee, who claimed it, result. Look here for work, and before you begin something that another may be doing. With id: that task with the whole of its result.",
		}, listTasks),
	}
}

type createTaskArgs struct {
	Title    string   `json:"title" doc:"what is to be done, so that another can do it"`
	Assignee string   `json:"assignee,omitempty" doc:"peer's name or key, @group or *; anyone may claim it if left out"`
	Priority string   `json:"priority,omitempty" enum:"low,normal,high,urgent" doc:"normal if left out; urgent interrupts the assignee"`
	Tags     []string `json:"tags,omitempty" doc:"at most 10"`
	Mesh     string   `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func createTask(ctx context.Context, h *hub, in createTaskArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	res, err := peer.Call(ctx, m.client, wire.CreateTask{Title: in.Title, Assignee: in.Assignee, Priority: in.Priority, Tags: in.Tags})
	if err != nil {
		return reply{}, m.explain(err)
	}
	text := fmt.Sprintf("Created task %s in %s.", res.ID, m.slug)
	switch msg := res.Message; {
	case msg == nil && res.Assignee != "":
		text += " It is your own: no message was sent."
	case msg == nil:
	case msg.Outcome == wire.ToNobody:
		text += fmt.Sprintf(" Nobody is in %s: no message was sent.", neutralLine(res.Assignee, nameLen))
	default:
		text += fmt.Sprintf(" The message to %s is %s (id %s).", neutralLine(res.Assignee, nameLen), msg.Outcome, msg.MessageID)
	}
	return reply{data: map[string]any{"mesh": m.slug, "id": res.ID, "assignee": res.Assignee, "message": res.Message}, text: text}, nil
}

type claimTaskArgs struct {
	ID      string `json:"id" doc:"the task's full id"`
	Reserve list   `json:"reserve,omitempty" doc:"files, directories or globs to reserve exclusively with it, as in reserve"`
	Minutes int    `json:"minutes,omitempty" doc:"how long the reservation holds; 60 if left out"`
	Mesh    string `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func claimTask(ctx context.Context, h *hub, in claimTaskArgs) (reply, error) {
	req := wire.ClaimTask{TaskID: in.ID, Brief: true}
	if len(in.Reserve) > 0 {
		var err error
		if req.Reserve, err = h.reserveRequest(ctx, reserveArgs{Patterns: in.Reserve, Minutes: in.Minutes}); err != nil {
			return reply{}, err
		}
	}
	return askTask(ctx, h, in.Mesh, "You have claimed", req)
}

type completeTaskArgs struct {
	ID     string `json:"id" doc:"the task's full id"`
	Result string `json:"result,omitempty" doc:"what came of it, at most 32 KiB"`
	Mesh   string `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func completeTask(ctx context.Context, h *hub, in completeTaskArgs) (reply, error) {
	return askTask(ctx, h, in.Mesh, "Completed", wire.CompleteTask{TaskID: in.ID, Result: in.Result, Brief: true})
}

type taskIDArgs struct {
	ID   string `json:"id" doc:"the task's full id"`
	Mesh string `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func releaseTask(ctx context.Context, h *hub, in taskIDArgs) (reply, error) {
	return askTask(ctx, h, in.Mesh, "Released", wire.ReleaseTask{TaskID: in.ID, Brief: true})
}

// askTask makes a request about one task and says what the task is now.
func askTask(ctx context.Context, h *hub, slug, done string, req wire.Request[wire.TaskList]) (reply, error) {
	m, err := h.one(slug)
	if err != nil {
		return reply{}, err
	}
	res, err := peer.Call(ctx, m.client, req)
	if err != nil {
		return reply{}, m.explain(err)
	}
	data := map[string]any{"mesh": m.slug}
	var text strings.Builder
	for _, t := range res.Tasks {
		data["task"] = t
		fmt.Fprintf(&text, "%s: %s", done, taskLine(&t))
		break
	}
	if len(res.Reservations) > 0 {
		data["reservations"] = res.Reservations
		text.WriteString("Reserved:\n" + reservationLines(m, res.Reservations))
	}
	return reply{data: data, text: text.String()}, nil
}

type listTasksArgs struct {
	Status   string `json:"status,omitempty" enum:"open,claimed,completed" doc:"all if left out"`
	Assignee string `json:"assignee,omitempty" doc:"as the list shows it, or a key"`
	ID       string `json:"id,omitempty" doc:"this task only, with its whole result"`
	Mesh     string `json:"mesh,omitempty" doc:"slug of the mesh; all if left out"`
}

func listTasks(ctx context.Context, h *hub, in listTasksArgs) (reply, error) {
	return h.inEach(in.Mesh, func(m *mesh, text *strings.Builder) (any, error) {
		res, err := peer.Call(ctx, m.client, wire.ListTasks{Status: wire.TaskStatus(in.Status), Assignee: in.Assignee, TaskID: in.ID})
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(text, "## %s (%s)\n", m.slug, plural(len(res.Tasks), "task"))
		for _, t := range res.Tasks {
			text.WriteString("- " + taskLine(&t))
			if in.ID != "" && t.Result != "" {
				text.WriteString(quoted(neutral(t.Result)) + "\n")
			}
		}
		return res.Tasks, nil
	})
}

// taskLine describes a task in a line.
func taskLine(t *wire.Task) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[%s] %q, id %s, priority %s", t.Status, neutralLine(t.Title, 300), t.ID, neutralLine(t.Priority, 40))
	for _, part := range []struct {
		label string
		value *string
	}{{"for", t.Assignee}, {"claimed by", t.ClaimedBy}, {"completed by", &t.CompletedBy}, {"created by", t.CreatedBy}} {
		if part.value != nil && *part.value != "" {
			fmt.Fprintf(&b, ", %s %s", part.label, neutralLine(*part.value, nameLen))
		}
	}
	if len(t.Tags) > 0 {
		fmt.Fprintf(&b, ", tags %s", neutralLine(strings.Join(t.Tags, " "), 200))
	}
	if t.Result != "" {
		fmt.Fprintf(&b, ", result: %s", cmp.Or(neutralLine(t.Result, firstLineLen), "(blank)"))
	}
	return b.String() + "\n"
}
