package cli

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"strings"

	"claudemesh/peer"
	"claudemesh/wire"
)

func taskCommand() Command {
	return Command{
		Name: "task", Theme: Share, Short: "Put tasks on the board of a mesh, claim and complete them",
		Long: `All members of a mesh share its tasks. A task is open until somebody claims it, and of
those who try at the same time one gets it. A claim ends with the session that made it.`,
		Sub: []Command{taskCreateCommand(), taskClaimCommand(), taskCompleteCommand(), taskReleaseCommand(), taskListCommand(), taskShowCommand()},
	}
}

func taskCreateCommand() Command {
	var req wire.CreateTask
	var tags repeated
	return Command{
		Name:  "create",
		Args:  "<title>",
		Short: "Put a task on the board",
		Long: `An assignee is a peer's name or key, @group, or * for everyone; it gets a message about
the task. The broker writes that message, so it is not encrypted.`,
		Examples: []string{`claudemesh task create "Mend the parser"`, `claudemesh task create "Review the API" --assign @backend --priority high --tag api`},
		Mesh:     true, JSON: true, Output: wire.TaskCreated{},
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&req.Assignee, "assign", "", "send it to this `peer`, @group or *")
			choiceVar(fs, &req.Priority, "priority", "normal", "one of `priority` low, normal, high and urgent", "low", "normal", "high", "urgent")
			fs.Var(&tags, "tag", "add a `tag`; may be repeated")
		},
		Complete: map[string]Completer{"--priority": Values("low", "normal", "high", "urgent")},
		Run: func(ctx context.Context, env *Env, args []string) error {
			req.Title, req.Tags = args[0], tags
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				res, err := peer.Call(ctx, c, req)
				switch {
				case err != nil:
					return err
				case env.JSON:
					return env.Out().JSON(res)
				}
				env.Out().Printf("Task %s in %s.\n", res.ID, c.Mesh().Slug)
				if res.Message != nil {
					env.Out().Printf("%s\n", toldWhom(&res))
				}
				return nil
			})
		},
	}
}

// toldWhom says where the message to an assignee is.
func toldWhom(res *wire.TaskCreated) string {
	n := res.Message.Recipients
	switch {
	case res.Message.Unknown:
		return "Nobody in the mesh has ever used the key " + res.Assignee + "; the message waits for it."
	case res.Message.Outcome == wire.ToNobody:
		return "Nobody is in " + res.Assignee + ": no message was sent."
	case n == nil:
		return "A message is on its way to " + res.Assignee + "."
	}
	return fmt.Sprintf("Message to %s: %d sent, %d held, %d queued.", res.Assignee, n.Sent, n.Held, n.Queued)
}

func taskClaimCommand() Command {
	var hold reserveFlags
	var patterns repeated
	return Command{
		Name:  "claim",
		Args:  "<id>",
		Short: "Take an open task",
		Long: `Inside a session the claim is the session's and ends with it; elsewhere it is yours for
a day. With --reserve the task is claimed and the paths are reserved, or neither.`,
		Examples: []string{"claudemesh task claim 4Fh2", "claudemesh task claim 4Fh2 --reserve src/parser --for 2h"},
		Mesh:     true, JSON: true, Output: wire.TaskList{},
		Flags: func(fs *flag.FlagSet) {
			fs.Var(&patterns, "reserve", "reserve a `pattern` of paths with it; may be repeated")
			hold.define(fs)
		},
		Run: func(ctx context.Context, env *Env, args []string) error {
			var reserve *wire.Reserve
			if len(patterns) > 0 {
				var err error
				if reserve, err = hold.request(ctx, patterns); err != nil {
					return err
				}
			}
			return onTask(ctx, env, args[0], "Claimed", func(id string) wire.Request[wire.TaskList] {
				return wire.ClaimTask{TaskID: id, Reserve: reserve, Brief: true}
			})
		},
	}
}

func taskCompleteCommand() Command {
	var result string
	return Command{
		Name:     "complete",
		Args:     "<id>",
		Short:    "Finish a task, with its result",
		Examples: []string{`claudemesh task complete 4Fh2 --result "Mended in 3f2c1aa"`, "claudemesh task complete 4Fh2 --result - < report.md"},
		Mesh:     true, JSON: true, Output: wire.TaskList{},
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&result, "result", "", "what came of it, as `text`; - reads it from standard input")
		},
		Run: func(ctx context.Context, env *Env, args []string) error {
			if result == "-" {
				text, err := io.ReadAll(io.LimitReader(env.Stdin, wire.MaxTaskResult+1))
				if err != nil {
					return err
				}
				result = string(text)
			}
			return onTask(ctx, env, args[0], "Completed", func(id string) wire.Request[wire.TaskList] {
				return wire.CompleteTask{TaskID: id, Result: result, Brief: true}
			})
		},
	}
}

func taskReleaseCommand() Command {
	return Command{
		Name:     "release",
		Args:     "<id>",
		Short:    "Give up the claim of a task",
		Long:     "The task is open again. Whoever claimed or created it may, and admins.",
		Examples: []string{"claudemesh task release 4Fh2"},
		Mesh:     true, JSON: true, Output: wire.TaskList{},
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onTask(ctx, env, args[0], "Released", func(id string) wire.Request[wire.TaskList] {
				return wire.ReleaseTask{TaskID: id, Brief: true}
			})
		},
	}
}

func taskShowCommand() Command {
	return Command{
		Name:     "show",
		Args:     "<id>",
		Short:    "Show a task with the whole of its result",
		Examples: []string{"claudemesh task show 4Fh2"},
		Mesh:     true, JSON: true, Output: wire.Task{},
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				id, err := taskID(ctx, c, args[0])
				if err != nil {
					return err
				}
				list, err := peer.Call(ctx, c, wire.ListTasks{TaskID: id})
				if err != nil {
					return err
				}
				t := &list.Tasks[0]
				if env.JSON {
					return env.Out().JSON(t)
				}
				printTask(env, t)
				return nil
			})
		},
	}
}

func taskListCommand() Command {
	var req wire.ListTasks
	var status string
	return Command{
		Name:     "list",
		Short:    "List the newest tasks, a hundred at most",
		Examples: []string{"claudemesh task list --status open", "claudemesh task list --assignee bob --json"},
		Mesh:     true, JSON: true, Output: []wire.Task{},
		Flags: func(fs *flag.FlagSet) {
			choiceVar(fs, &status, "status", "", "only tasks of this `status`: open, claimed or done", "open", "claimed", "done", "completed")
			fs.StringVar(&req.Assignee, "assignee", "", "only tasks of this `assignee`, as the list shows it, or by its key")
		},
		Complete: map[string]Completer{"--status": Values("open", "claimed", "done")},
		Run: func(ctx context.Context, env *Env, _ []string) error {
			req.Status = wire.TaskStatus(status)
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				list, err := peer.Call(ctx, c, req)
				switch {
				case err != nil:
					return err
				case env.JSON:
					return env.Out().JSON(list.Tasks)
				case len(list.Tasks) == 0 && req == (wire.ListTasks{}):
					env.Err().Printf("%s has no tasks. Make one with `claudemesh task create <title>`.\n", c.Mesh().Slug)
				case len(list.Tasks) == 0:
					env.Err().Printf("There are no such tasks in %s.\n", c.Mesh().Slug)
				}
				printTasks(env, list.Tasks)
				return nil
			})
		},
	}
}

// onTask asks something of the task that a text means, and says that it was done.
func onTask(ctx context.Context, env *Env, text, done string, ask func(id string) wire.Request[wire.TaskList]) error {
	return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
		id, err := taskID(ctx, c, text)
		if err != nil {
			return err
		}
		list, err := peer.Call(ctx, c, ask(id))
		switch {
		case err != nil:
			return err
		case env.JSON:
			return env.Out().JSON(list)
		}
		for _, t := range list.Tasks[:min(1, len(list.Tasks))] {
			env.Out().Printf("%s: %s (%s)\n", done, t.Title, t.ID)
		}
		if len(list.Reservations) > 0 {
			printReservations(env, list.Reservations)
		}
		return nil
	})
}

// taskID returns the id of the task that a text means: it, or the only one of
// all tasks whose id begins with it or that is called so.
func taskID(ctx context.Context, c *peer.Client, text string) (string, error) {
	const idLen = 32
	if len(text) == idLen {
		return text, nil
	}
	list, err := peer.Call(ctx, c, wire.ListTasks{Named: text})
	if err != nil {
		return "", err
	}
	all := make([]nameable, len(list.Tasks))
	for i, t := range list.Tasks {
		all[i] = nameable{t.Title, []string{t.ID}}
	}
	i, err := find(all, text, "task")
	if err != nil {
		return "", WithHint(err, "`claudemesh task list` shows the ids")
	}
	return list.Tasks[i].ID, nil
}

func printTasks(env *Env, tasks []wire.Task) {
	table := env.Out().Table("STATUS", "ID", "PRIORITY", "FOR", "BY", "CREATED", "TITLE")
	for _, t := range tasks {
		table.Row(env.taskStatus(t.Status), env.Out().id(t.ID), t.Priority, orNothing(t.Assignee), cmp.Or(t.CompletedBy, orNothing(t.ClaimedBy)), t.CreatedAt, Styled{Bold, t.Title})
	}
	table.Flush()
}

func (e *Env) taskStatus(s wire.TaskStatus) Styled {
	switch s {
	case wire.TaskOpen:
		return e.glyph(Green, "○", string(s))
	case wire.TaskClaimed:
		return e.glyph(Yellow, "◐", string(s))
	}
	return e.glyph(Dim, "●", string(s))
}

func printTask(env *Env, t *wire.Task) {
	out := env.Out()
	out.Printf("%s\n%s %s\n", Styled{Bold, t.Title}, env.taskStatus(t.Status), t.ID)
	for _, line := range []struct {
		label string
		value string
		at    *wire.Time
	}{
		{"priority", t.Priority, nil}, {"tags", strings.Join(t.Tags, ", "), nil}, {"assigned to", orNothing(t.Assignee), nil},
		{"created by", cmp.Or(orNothing(t.CreatedBy), "unknown"), &t.CreatedAt}, {"claimed by", orNothing(t.ClaimedBy), t.ClaimedAt},
		{"completed by", t.CompletedBy, t.CompletedAt},
	} {
		switch {
		case line.value == "":
		case line.at != nil:
			out.Printf("%s: %s, %s\n", line.label, line.value, *line.at)
		default:
			out.Printf("%s: %s\n", line.label, line.value)
		}
	}
	if t.Result != "" {
		out.Text("\n" + t.Result)
	}
}

func orNothing(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
