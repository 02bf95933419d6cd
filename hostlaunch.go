package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"

	"claudemesh/launch"
	"claudemesh/peer"
	"claudemesh/peer/cli"
	"claudemesh/templates"
)

// launchFlags are those of launch that do not go into its options as they are.
type launchFlags struct {
	launch.LaunchOptions
	join, groups string
	quiet        bool
	wake         bool
	wakes        int                 // within an hour
	stopWaking   string              // id of a session
	template     *templates.Template // of the mesh, nil for none
}

// launchCommand starts the host.
func launchCommand() cli.Command {
	f := launchFlags{wakes: launch.WakesPerHour}
	return cli.Command{
		Name:  "launch",
		Theme: cli.Start,
		Args:  "-- [argument]...",
		Short: "Start Claude Code as a peer of a mesh",
		Long: `The session gets a new id, which is its identity in the mesh: resumed, it is the same peer
with the same key, name and groups. At a terminal it asks for what no flag says,
unless --quiet or --yes is given. With no mesh joined it offers to start a broker on this
machine in the background.

With --wake-when-closed mail wakes the session when it is closed: it is resumed in print
mode with the mail as its prompt, in this directory and with no more permissions than the
settings give. Each wake is a turn that you pay for. It ends when the session is resumed
by launch, by --stop-waking, and after a day without mail.

The services that run on the broker and that you may use are MCP servers of the session,
called mesh:<name>; those that come later are tools of the server claudemesh.

Without --yes Claude Code asks before it acts, as always. What comes after -- goes to
Claude Code.`,
		Examples: []string{
			"claudemesh launch", "claudemesh launch --name alice --role reviewer --groups team:lead,docs",
			"claudemesh launch --resume 0191d1b0-0000-4000-8000-00000000c0de", `claudemesh launch --quiet -- -p "who is here?"`,
			"claudemesh launch --wake-when-closed", "claudemesh launch --stop-waking 0191d1b0-0000-4000-8000-00000000c0de",
		},
		Mesh:   true,
		NoJSON: "the host program takes over",
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&f.Name, "name", "", "be shown to others as `name`; <host>-<process> if not given")
			fs.StringVar(&f.Role, "role", "", "role, as a free `text`")
			fs.StringVar(&f.groups, "groups", "", "join these groups: a `list` of name or name:role, with commas")
			fs.StringVar(&f.join, "join", "", "join a mesh by this `link` first")
			fs.Func("message-mode", "how mail is shown, a `mode`: push (text), inbox (a notice), off", func(s string) error {
				if !slices.Contains(modes(), s) {
					return fmt.Errorf("it is one of: %s", strings.Join(modes(), ", "))
				}
				f.Mode = s
				return nil
			})
			fs.StringVar(&f.SystemPrompt, "system-prompt", "", "`text` for the host")
			fs.StringVar(&f.Resume, "resume", "", "resume the session with this `id`, or choose one with true")
			fs.BoolVar(&f.Continue, "continue", false, "go on with the latest session of this directory")
			fs.BoolVar(&f.Yes, "yes", false, "let the session act without asking for permission")
			fs.BoolVar(&f.wake, "wake-when-closed", false, "let mail wake the session when it is closed")
			wakesFlag(fs, &f.wakes)
			fs.StringVar(&f.stopWaking, "stop-waking", "", "start nothing, and let mail no longer wake the closed session with this `id`")
			fs.BoolVar(&f.quiet, "quiet", false, "ask nothing and print nothing")
			for short, name := range map[string]string{"r": "resume", "c": "continue", "y": "yes"} {
				cli.Alias(fs, short, name)
			}
		},
		Complete: map[string]cli.Completer{"--message-mode": cli.Values(modes()...)},
		Run: func(ctx context.Context, env *cli.Env, args []string) error {
			f.Args = args
			return runLaunch(ctx, env, &f)
		},
	}
}

func modes() []string { return []string{"push", "inbox", "off"} }

func runLaunch(ctx context.Context, env *cli.Env, f *launchFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.stopWaking != "" {
		return stopWaking(ctx, env, f.stopWaking)
	}
	groups, err := launch.ParseGroups(f.groups)
	if err != nil {
		return cli.Usagef("%v", err)
	}
	f.Groups = groups
	if err := launch.Exists(); err != nil {
		return cli.WithHint(err, "install it with `npm install -g @anthropic-ai/claude-code`, or put it on PATH")
	}
	h, err := launch.NewHost(env.Getenv, env.ConfigDir)
	if err != nil {
		return err
	}
	env.ConfigDir = h.ConfigDir
	ask := newAsker(env, f.quiet || f.Yes)
	if err := joinFirst(ctx, env, h, f, ask); err != nil {
		return err
	}
	f.recall(env, h)
	mesh, err := chooseMesh(ctx, env, ask)
	if err != nil {
		return err
	}
	f.MeshID = mesh.MeshID
	f.reach(ctx, env, h, mesh)
	f.findServices(ctx, env, mesh)
	f.findTemplate(env, mesh)
	if f.Resume == "" && !f.Continue {
		if err := f.askPersona(ctx, env, ask); err != nil {
			return err
		}
	}
	if !f.quiet {
		f.banner(env, mesh)
	}
	err = h.Launch(ctx, f.LaunchOptions)
	ended, ok := errors.AsType[launch.Ended](err)
	switch {
	case !ok:
		return err
	case ended != 0:
		return cli.ExitCode(ended)
	}
	return nil
}

// findServices asks the broker which services the session is to have as MCP
// servers of their own. Without an answer it has their tools once it is connected.
func (f *launchFlags) findServices(ctx context.Context, env *cli.Env, m *peer.Mesh) {
	done := env.Progress("asking for services")
	names, err := launch.RunningServices(ctx, m)
	done()
	if err != nil {
		env.Logger().Info("the services of the mesh are not known", "mesh", m.Slug, "err", err)
	}
	f.Services = names
}

// check reports flags that do not go together.
func (f *launchFlags) check() error {
	switch {
	case f.Resume != "" && f.Continue:
		return cli.Usagef("--resume and --continue exclude each other")
	case f.wake && (f.Continue || f.Resume != "" && !peer.ValidHostSession(f.Resume)):
		return cli.Usagef("--wake-when-closed must know the session: give its whole id with --resume, or start a new one")
	case f.wake && f.Mode == "off":
		return cli.Usagef("--wake-when-closed and --message-mode off exclude each other: no mail would wake the session")
	}
	if f.wake {
		f.WakesPerHour = f.wakes
		if f.Resume == "" {
			f.ID = launch.NewSessionID()
		}
	}
	return nil
}

func stopWaking(ctx context.Context, env *cli.Env, id string) error {
	h, err := launch.NewHost(env.Getenv, env.ConfigDir)
	if err != nil {
		return err
	}
	stopped, err := h.StopWaking(ctx, id)
	switch {
	case err != nil:
		return err
	case stopped:
		env.Out().Printf("Mail no longer wakes the session %s.\n", id)
		return nil
	}
	env.Out().Printf("Nothing waits for mail of the session %s.\n", id)
	for _, id := range h.Woken() {
		env.Out().Printf("Mail wakes the session %s.\n", id)
	}
	return nil
}

func (f *launchFlags) banner(env *cli.Env, m *peer.Mesh) {
	words := []string{"mesh " + m.Slug}
	if f.Name != "" {
		words = append([]string{f.Name}, words...)
	}
	if f.Role != "" {
		words = append(words, "role "+f.Role)
	}
	for _, g := range f.Groups {
		words = append(words, "@"+g.Name)
	}
	if f.Mode != "" {
		words = append(words, "messages "+f.Mode)
	}
	if len(f.Services) > 0 {
		words = append(words, "services "+strings.Join(f.Services, " "))
	}
	env.Err().Printf("claudemesh: %s\n", strings.Join(words, ", "))
	if f.wake {
		id := cmp.Or(f.ID, f.Resume)
		env.Err().Printf("closed, it is woken by mail, %d times an hour at most; to end that: claudemesh launch --stop-waking %s\n", f.wakes, id)
	}
	if f.Yes {
		env.Err().Printf("warning: this session acts without asking for permission, on words of peers too\n")
	}
}
