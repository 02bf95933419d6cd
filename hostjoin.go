package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"claudemesh/launch"
	"claudemesh/peer"
	"claudemesh/peer/cli"
)

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
