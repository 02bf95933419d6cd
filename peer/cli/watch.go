package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"flag"

	"claudemesh/peer"
	"claudemesh/wire"
)

// watchFlags are the flags of watch.
type watchFlags struct {
	name   string
	status string
	ack    string
	groups groupsFlag
}

func watchCommand() Command {
	var f watchFlags
	return Command{
		Name:  "watch",
		Theme: Talk,
		Short: "Be online and print one line per message",
		Long: `Makes you a peer that others see and can send to, until it is interrupted. Each
message is one line, for a background command or a log; line breaks in it become
blanks. When the connection is lost it is made again, and nothing is missed.

With --ack delivered the messages are not taken for seen: ` + "`claudemesh inbox`" + ` shows
them again when watch has ended.

Inside a session of Claude Code it prints that session's mail, beside the session's
own process: what it has printed is not put before the model another time. The
session keeps its name and groups. Where no process holds the session it is
connected as the session itself.`,
		Examples: []string{"claudemesh watch", "claudemesh watch --json >> mail.jsonl", "claudemesh watch --name builder --group ci --status idle"},
		Mesh:     true,
		JSON:     true,
		Output:   peer.Record{},
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&f.name, "name", "", "be called `name`")
			fs.Var(&f.groups, "group", "join `group[:role]`; may be repeated")
			choiceVar(fs, &f.status, "status", "", "show this `status`: idle, working or dnd", statuses()...)
			choiceVar(fs, &f.ack, "ack", "seen", "say that messages are `seen` or only delivered", "seen", "delivered")
		},
		Complete: map[string]Completer{"--status": Values(statuses()...), "--ack": Values("seen", "delivered")},
		Run:      func(ctx context.Context, env *Env, _ []string) error { return f.watch(ctx, env) },
	}
}

func (f *watchFlags) watch(ctx context.Context, env *Env) error {
	c, mesh, err := env.ChosenMesh()
	if err != nil {
		return err
	}
	if s := env.sessionMail(ctx, mesh, peer.WayWatch); s != nil {
		return f.runInside(ctx, env, s, mesh)
	}
	opts, err := env.options(c, mesh)
	if err != nil {
		return err
	}
	opts.DisplayName = cmp.Or(f.name, opts.DisplayName)
	opts.Channel = "watch"
	// With an id of its own it is the same peer again after a lost connection.
	opts.SessionID = cmp.Or(opts.SessionID, "watch-"+rand.Text())
	client, err := dial(ctx, env, opts)
	if err != nil {
		return err
	}
	err = f.run(ctx, env, client)
	hangUp(ctx, client)
	return explainMesh(err, mesh)
}

func (f *watchFlags) run(ctx context.Context, env *Env, c *peer.Client) error {
	if f.status != "" {
		if err := c.SetStatus(ctx, wire.Status(f.status)); err != nil {
			return err
		}
	}
	for _, g := range f.groups { // before anybody is told that it is there
		if err := c.JoinGroup(ctx, g); err != nil {
			return err
		}
	}
	env.Err().Printf("Online in %s as %s. Ctrl-C ends.\n", c.Mesh().Slug, c.Hello().MemberDisplayName)
	m := f.mail(env, c)
	if m.keep {
		show := m.print
		m.print = func(r *peer.Record) error {
			c.Forget(r.MessageID)
			return show(r)
		}
	}
	err := m.follow(ctx, c)
	if err == nil {
		err = m.settle(ctx)
	}
	return err
}

// mail prints one line per message.
func (f *watchFlags) mail(env *Env, c *peer.Client) *mail {
	m := &mail{env: env, c: c, keep: f.ack == "delivered", print: func(r *peer.Record) error { return printLine(env, r) }}
	if env.JSON {
		m.print = func(r *peer.Record) error { return env.Out().JSONLine(r) }
	}
	return m
}

// runInside prints the mail of the session that the command runs in.
func (f *watchFlags) runInside(ctx context.Context, env *Env, s *sessionMail, mesh *peer.Mesh) error {
	if f.name != "" || len(f.groups) > 0 {
		return WithHint(Usagef("--name and --group are not for a watch inside a session, which has a name and groups already"),
			"leave them out; the session joins a group with its tool join_group or `claudemesh group join`")
	}
	if f.status != "" {
		if err := s.session.Report(ctx, peer.StatusReport{Status: wire.Status(f.status), Source: wire.SourceManual}); err != nil {
			return err
		}
	}
	env.Err().Printf("Mail of this session in %s. Ctrl-C ends.\n", mesh.Slug)
	return s.follow(ctx, f.mail(env, nil))
}

// statuses are the words for what a session is doing.
func statuses() []string {
	return []string{string(wire.Idle), string(wire.Working), string(wire.DND)}
}
