package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
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

// joinFirst sees to it that there is a mesh: by the link that was given, or by
// a broker of this machine.
func joinFirst(ctx context.Context, env *cli.Env, h *launch.Host, f *launchFlags, ask asker) error {
	if f.join != "" {
		return f.joinBy(ctx, env, f.join)
	}
	c, err := env.Config()
	if err != nil || len(c.Meshes) > 0 {
		return err
	}
	if launch.BrokerRuns(ctx, h.LocalBroker()) {
		var link string
		err := ask.ask(ctx, []question{{title: "Invite link", hint: "a broker runs on this machine, but you are in no mesh of it; its owner has links", answer: &link}})
		if err != nil || link == "" {
			return cli.WithHint(errors.Join(peer.ErrNoMesh, err), "ask the owner of the broker on this machine for a link, then run `claudemesh launch --join <link>`")
		}
		return f.joinBy(ctx, env, link)
	}
	start := "yes"
	q := question{title: "No mesh is joined. Start a broker on this machine, in the background?", answer: &start, options: []option{{"yes", "yes"}, {"no", "no"}}}
	if err := ask.ask(ctx, []question{q}); err != nil {
		return err
	}
	if start != "yes" {
		return peer.ErrNoMesh
	}
	done := env.Progress("starting a broker")
	err = h.StartBroker(ctx)
	done()
	if err != nil {
		return cli.WithHint(err, "try `claudemesh serve` in a terminal of its own")
	}
	if !f.quiet {
		env.Err().Printf("Started a broker on this machine, in the background. `claudemesh invite` makes links with which others join.\n")
	}
	return nil
}

// recall brings back what a session that is resumed was launched with, and
// its mesh unless another was named.
func (f *launchFlags) recall(env *cli.Env, h *launch.Host) {
	if !peer.ValidHostSession(f.Resume) {
		return
	}
	old := h.Remembered(f.Resume)
	f.Persona = f.Persona.Or(old)
	c, err := env.Config()
	if err != nil || env.Mesh != "" {
		return
	}
	if _, err := c.Mesh(old.MeshID); err == nil { // it may have been left since
		env.Mesh = old.MeshID
	}
}

// reach starts the mesh's broker again if launch had started it before and it
// has stopped, and says what else keeps the session from the mesh. The session
// begins all the same: it connects when it can.
func (f *launchFlags) reach(ctx context.Context, env *cli.Env, h *launch.Host, m *peer.Mesh) {
	done := env.Progress("looking for the broker")
	revived, err := h.ReviveBroker(ctx, m.BrokerURL)
	if f.quiet {
		done()
		return
	}
	check := launch.CheckMesh(ctx, m)
	done()
	switch {
	case err != nil:
		env.Err().Printf("warning: the broker of %s at %s has stopped and does not start again: %v\n", m.Slug, m.BrokerURL, err)
	case revived:
		env.Err().Printf("The broker of %s had stopped; it was started again in the background, at %s.\n", m.Slug, m.BrokerURL)
	case !check.OK:
		env.Err().Printf("warning: %s: %s\n  %s\n", check.Name, check.Detail, check.Hint)
	}
}

// joinBy runs the command join and chooses the mesh that was joined, unless
// another was named.
func (f *launchFlags) joinBy(ctx context.Context, env *cli.Env, link string) error {
	var out bytes.Buffer
	sub := *env
	sub.Stdout, sub.Args = &out, []string{"join", "--json", link}
	if f.Name != "" {
		sub.Args = []string{"join", "--json", "--name", f.Name, link}
	}
	if code := cli.Main(ctx, sub, nil); code != 0 {
		return cli.ExitCode(code)
	}
	var joined struct {
		Slug   string `json:"slug"`
		MeshID string `json:"meshId"`
	}
	if err := json.Unmarshal(out.Bytes(), &joined); err != nil {
		return fmt.Errorf("read what was joined: %w", err)
	}
	if !f.quiet {
		env.Err().Printf("Joined %s.\n", joined.Slug)
	}
	env.Mesh = cmp.Or(env.Mesh, joined.MeshID)
	return nil
}

// chooseMesh asks for a mesh if there are several and none was named.
func chooseMesh(ctx context.Context, env *cli.Env, ask asker) (*peer.Mesh, error) {
	_, m, err := env.ChosenMesh()
	if _, alone := ask.(nobody); alone || !errors.Is(err, peer.ErrAmbiguousMesh) {
		return m, err
	}
	c, err := env.Config()
	if err != nil {
		return nil, err
	}
	slug := c.Slugs()[0]
	q := question{title: "Mesh", answer: &slug}
	for _, s := range c.Slugs() {
		q.options = append(q.options, option{s, s})
	}
	if err := ask.ask(ctx, []question{q}); err != nil {
		return nil, err
	}
	return c.Mesh(slug)
}

// findTemplate reads the template of the mesh, whose hint the session gets. That
// it is gone keeps nobody from starting a session.
func (f *launchFlags) findTemplate(env *cli.Env, m *peer.Mesh) {
	if m.Template == "" {
		return
	}
	t, err := templates.Find(cli.TemplateDir(env.ConfigDir), m.Template)
	if err != nil {
		env.Err().Printf("warning: the session is started without the template of %s: %v\n", m.Slug, err)
		return
	}
	f.template, f.AppendPrompt = t, t.SystemPromptHint
}

// askPersona asks for what no flag says. The mode stays open if nobody is there
// to say: then it is the member's in the mesh.
func (f *launchFlags) askPersona(ctx context.Context, env *cli.Env, ask asker) error {
	groups, mode := "", f.Mode
	if _, alone := ask.(nobody); !alone && mode == "" {
		mode = "push"
	}
	if err := ask.ask(ctx, f.questions(env, &groups, &mode)); err != nil {
		return err
	}
	f.Mode = mode
	if groups == "" {
		return nil
	}
	var err error
	f.Groups, err = launch.ParseGroups(groups)
	return err
}

// questions are those that no flag answers.
func (f *launchFlags) questions(env *cli.Env, groups, mode *string) (all []question) {
	if f.Name == "" {
		f.Name = peer.CommandName(env.Getenv, &peer.Config{})
		all = append(all, question{title: "Name", hint: "what others see", answer: &f.Name})
	}
	if f.Role == "" {
		q := question{title: "Role", hint: "optional", answer: &f.Role}
		if f.template != nil {
			q.hint += "; of the template " + f.template.Name
			q.examples = f.template.SuggestedRoles
		}
		all = append(all, q)
	}
	if f.Groups == nil {
		q := question{
			title: "Groups", hint: "optional; name or name:role, with commas", answer: groups,
			check: func(s string) error { _, err := launch.ParseGroups(s); return err },
		}
		if f.template != nil {
			q.examples = groupExamples(f.template)
		}
		all = append(all, q)
	}
	if f.Mode == "" {
		all = append(all, question{title: "Messages", answer: mode, options: []option{
			{"push: the text comes by itself", "push"}, {"inbox: a notice comes, check_messages has the text", "inbox"}, {"off: only when asked for", "off"},
		}})
	}
	return all
}

// groupExamples are the groups of a template, each with the first of its roles.
func groupExamples(t *templates.Template) (examples []string) {
	for _, g := range t.Groups {
		if len(g.Roles) > 0 {
			g.Name += ":" + g.Roles[0]
		}
		examples = append(examples, g.Name)
	}
	return examples
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
	env.Err().Printf("claudemesh: %s\n", strings.Join(words, ", "))
	if f.wake {
		id := cmp.Or(f.ID, f.Resume)
		env.Err().Printf("closed, it is woken by mail, %d times an hour at most; to end that: claudemesh launch --stop-waking %s\n", f.wakes, id)
	}
	if f.Yes {
		env.Err().Printf("warning: this session acts without asking for permission, on words of peers too\n")
	}
}
