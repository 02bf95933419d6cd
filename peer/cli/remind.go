package cli

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

// remindFlags are the flags of remind.
type remindFlags struct {
	in, at, cron string
	to, zone     string
	missed       string
	sim          bool
}

func remindCommand() Command {
	var f remindFlags
	return Command{
		Name:  "remind",
		Theme: Automate,
		Args:  "<message>",
		Short: "Have a message sent later, to yourself or to others, once or over and over",
		Long: `Say when with one of --in, --at and --cron. Without --to it comes to yourself:
whichever session of yours is there then, or the next one. The broker sends it, so
nothing of yours needs to run; a message to one peer is sealed, one to a group or
to everyone can be read by the broker.

A cron expression has the five fields minute, hour, day of the month, month and
day of the week, or is one of @hourly, @daily, @weekly, @monthly and @yearly. It
goes by the time zone of this machine, or by --tz.

What was due while the broker was not running is sent once when it is back, or as
--missed says.`,
		Examples: []string{
			`claudemesh remind "Look at the build" --in 20m`,
			`claudemesh remind "Stand-up" --cron "30 9 * * MON-FRI" --to @team`,
			`claudemesh remind "Release!" --at "friday 14:00" --to bob`,
		},
		Mesh: true, JSON: true, Output: wire.ScheduledAck{},
		Flags: f.define,
		Complete: map[string]Completer{
			"--missed": Values("once", "skip", "all"), "--cron": Values("@hourly", "@daily", "@weekly", "@monthly"), "--to": Values("self", "*"),
		},
		Run: func(ctx context.Context, env *Env, args []string) error {
			req, err := f.request(env, args[0])
			if err != nil {
				return err
			}
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error { return f.schedule(ctx, env, c, req) })
		},
		Sub: []Command{remindListCommand(), remindCancelCommand()},
	}
}

func (f *remindFlags) define(fs *flag.FlagSet) {
	fs.StringVar(&f.in, "in", "", "send it after this `time`, such as 90s, 20m, 2h or 1d")
	fs.StringVar(&f.at, "at", "", "send it at this `time`: 17:30, 5pm, tomorrow 9:00, friday 14:00, or a date and time")
	fs.StringVar(&f.cron, "cron", "", "send it whenever this `expression` is due")
	fs.StringVar(&f.to, "to", "", "send it to this `recipient`, as in send; self is yourself")
	fs.StringVar(&f.zone, "tz", "", "go by the clocks of this time `zone`, such as Europe/Berlin")
	choiceVar(fs, &f.missed, "missed", "once", "what comes of times when the broker was down: sent `once`, skip, or all of them", "once", "skip", "all")
	fs.BoolVar(&f.sim, "sim", false, "go by the simulation clock of the mesh; see claudemesh clock")
}

// request reads the command line; the target is resolved later.
func (f *remindFlags) request(env *Env, text string) (req peer.ScheduleRequest, err error) {
	req = peer.ScheduleRequest{Cron: f.cron, TZ: f.zone, Missed: wire.Missed(f.missed), Reminder: true}
	if f.sim {
		req.Clock = wire.SimClock
	}
	given := 0
	for _, when := range []string{f.in, f.at, f.cron} {
		if when != "" {
			given++
		}
	}
	if given != 1 {
		return req, Usagef("say when, with one of --in, --at and --cron")
	}
	switch {
	case f.cron != "":
		err = f.pickZone(env, &req)
	case f.in != "":
		var d time.Duration
		if d, err = parseSpan(f.in); err != nil {
			return req, Usagef("--in %s: %v", f.in, err)
		}
		req.After = &d
	default:
		req.At, err = f.moment(env.Now())
	}
	if err != nil {
		return req, err
	}
	if req.Text, err = readText(env, text); err == nil && req.Text == "" {
		err = Usagef("the message is empty")
	}
	return req, err
}

// pickZone has a cron expression go by this machine's time zone if none is given.
func (f *remindFlags) pickZone(env *Env, req *peer.ScheduleRequest) error {
	if req.TZ != "" || f.sim {
		return nil
	}
	if req.TZ = peer.LocalZone(env.Getenv); req.TZ == "" {
		return WithHint(fmt.Errorf("the name of this machine's time zone cannot be found out"), "give it with --tz, such as --tz Europe/Berlin")
	}
	return nil
}

// moment reads --at, which must be ahead.
func (f *remindFlags) moment(now time.Time) (time.Time, error) {
	if f.zone != "" {
		loc, err := time.LoadLocation(f.zone)
		if err != nil {
			return now, Usagef("--tz %s: there is no such time zone; write a name such as Europe/Berlin", f.zone)
		}
		now = now.In(loc)
	}
	at, err := peer.ParseMoment(f.at, now)
	switch {
	case err != nil:
		return at, Usagef("--at: %v", err)
	case !f.sim && !at.After(now):
		return at, Usagef("--at %s: that is over, it is %s", f.at, now.Format("2006-01-02 15:04"))
	}
	return at, nil
}

func (f *remindFlags) schedule(ctx context.Context, env *Env, c *peer.Client, req peer.ScheduleRequest) error {
	whom := "yourself"
	if f.to != "" && !strings.EqualFold(f.to, "self") {
		to, err := c.Resolve(ctx, f.to)
		if err != nil {
			return err
		}
		req.Target = to.Target.String()
		if whom = to.Name; whom == "" {
			whom = f.to
		}
	}
	ack, err := c.Schedule(ctx, req)
	switch {
	case err != nil:
		return err
	case env.JSON:
		return env.Out().JSON(ack)
	}
	again := ""
	if ack.Cron != "" {
		again = ", and then by " + ack.Cron
	}
	clock := ""
	if f.sim {
		clock = " by the simulation clock"
	}
	out := env.Out()
	out.Printf("Scheduled %s in %s for %s: %s%s%s.\n", Styled{Bold, ack.ScheduledID}, c.Mesh().Slug, whom, out.Date(ack.DeliverAt.Std()), clock, again)
	if ack.Unknown {
		env.Err().Printf("Nobody in %s has ever used that key; the message will wait for it.\n", c.Mesh().Slug)
	}
	return nil
}

func remindListCommand() Command {
	return Command{
		Name: "list", Short: "List what you have scheduled and is still to come",
		Examples: []string{"claudemesh remind list"},
		Mesh:     true, JSON: true, Output: []wire.Scheduled{},
		Run: func(ctx context.Context, env *Env, _ []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				all, err := c.Scheduled(ctx)
				switch {
				case err != nil:
					return err
				case env.JSON:
					return env.Out().JSON(append([]wire.Scheduled{}, all...))
				}
				printScheduled(ctx, env, c, all)
				return nil
			})
		},
	}
}

func printScheduled(ctx context.Context, env *Env, c *peer.Client, all []wire.Scheduled) {
	names := make(map[string]string)
	if list, err := c.Peers(ctx); err == nil { // else keys must do
		for _, m := range list.Members {
			names[m.Pubkey] = m.DisplayName
		}
		for _, p := range list.Peers {
			names[p.Pubkey] = p.DisplayName
		}
	}
	table := env.Out().Table("ID", "DUE", "TO", "AGAIN", "SENT", "MESSAGE")
	for _, e := range all {
		to := e.To
		if name := names[e.To]; name != "" {
			to = name
		} else if wire.IsHex(to) {
			to = shortKey(to)
		}
		if e.To == c.Mesh().Pubkey || e.To == c.Address() {
			to = "self"
		}
		due, sent := env.Out().Date(e.DeliverAt.Std()), ""
		if e.Clock == wire.SimClock {
			due += " sim"
		}
		if e.FiredCount != nil {
			sent = fmt.Sprint(*e.FiredCount)
		}
		table.Row(Styled{Bold, e.ID}, due, to, strings.TrimSpace(e.Cron+" "+e.TZ), sent, e.Message)
	}
	table.Flush()
	if len(all) == 0 {
		env.Err().Printf("Nothing of yours is scheduled in %s.\n", c.Mesh().Slug)
	}
}

func remindCancelCommand() Command {
	return Command{
		Name: "cancel", Args: "<id>", Short: "Cancel a scheduled message, or end a recurring one",
		Long:     "The id is that of `claudemesh remind list`, or its first 8 characters or more.",
		Examples: []string{"claudemesh remind cancel 3f2c1aa2"},
		Mesh:     true, JSON: true, Output: wire.CancelScheduledAck{},
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				ack, err := peer.Call(ctx, c, wire.CancelScheduled{ScheduledID: args[0]})
				switch {
				case err != nil:
					return err
				case !ack.OK:
					return WithHint(fmt.Errorf("nothing of yours is scheduled under %q in %s; it may have been sent", args[0], c.Mesh().Slug), "`claudemesh remind list` shows what is to come")
				case env.JSON:
					return env.Out().JSON(ack)
				}
				env.Out().Printf("Cancelled %s in %s.\n", ack.ScheduledID, c.Mesh().Slug)
				return nil
			})
		},
	}
}
