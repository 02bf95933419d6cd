package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"claudemesh/launch"
	"claudemesh/peer"
	"claudemesh/peer/cli"
	"claudemesh/templates"
	"claudemesh/wire"
)

// askingEnv runs use in an environment as a command has it, at a terminal of
// that kind at which text is typed, and returns what was printed.
func askingEnv(t *testing.T, typed string, vars map[string]string, use func(context.Context, *cli.Env) error) (string, error) {
	t.Helper()
	var stderr bytes.Buffer
	var got error
	env := cli.Env{
		Stdin: strings.NewReader(typed), Stdout: io.Discard, Stderr: &stderr, ConfigDir: t.TempDir(), Args: []string{"ask"},
		Getenv:     func(k string) string { return vars[k] },
		IsTerminal: func(stream any) bool { _, ok := stream.(*strings.Reader); return ok && vars["TERM"] != "" },
	}
	cli.Main(t.Context(), env, []cli.Command{{Name: "ask", Theme: cli.Host, Short: "Ask", NoJSON: "a test", Run: func(ctx context.Context, env *cli.Env, _ []string) error {
		got = use(ctx, env)
		return nil
	}}})
	return stderr.String(), got
}

func TestAnswersMakeThePersona(t *testing.T) {
	team := &templates.Template{Name: "team", SuggestedRoles: []string{"lead", "reviewer"},
		Groups: []templates.Group{{Name: "docs", Roles: []string{"writer", "reader"}}, {Name: "all"}}}
	for _, c := range []struct {
		name, typed string
		f           launchFlags
		term        string
		want        peer.Persona
		says        []string // in this order
		silent      string   // must not be said
	}{
		{"all is answered", "ann\nlead\ndocs:lead, @team\n2\n", launchFlags{}, "dumb",
			peer.Persona{Name: "ann", Role: "lead", Groups: []wire.Group{{Name: "docs", Role: "lead"}, {Name: "team"}}, Mode: "inbox"},
			[]string{"Name (what others see) [box]: ", "Role (optional): ", "Groups (optional; name or name:role, with commas): ", "  1  push", "  3  off", "Messages [1]: "}, "template"},
		{"nothing is answered", "\n\n\n\n", launchFlags{}, "dumb", peer.Persona{Name: "box", Mode: "push"}, nil, ""},
		{"a choice that is none takes the first", "\n\n\n9\n", launchFlags{}, "dumb", peer.Persona{Name: "box", Mode: "push"}, nil, ""},
		{"a choice by its name", "\n\n\nOFF\n", launchFlags{}, "dumb", peer.Persona{Name: "box", Mode: "off"}, nil, ""},
		{"groups that are none are asked for again", "\n\n:x\ndocs\n\n", launchFlags{}, "dumb",
			peer.Persona{Name: "box", Groups: []wire.Group{{Name: "docs"}}, Mode: "push"}, []string{`group ":x"`, "Groups"}, ""},
		{"flags leave less to ask", "docs\n", launchFlags{LaunchOptions: launch.LaunchOptions{Persona: peer.Persona{Name: "bob", Role: "x", Mode: "off"}}}, "dumb",
			peer.Persona{Name: "bob", Role: "x", Groups: []wire.Group{{Name: "docs"}}, Mode: "off"}, []string{"Groups"}, "Role"},
		{"a mesh that has a template", "\nreviewer\n\n\n", launchFlags{template: team}, "dumb",
			peer.Persona{Name: "box", Role: "reviewer", Mode: "push"}, []string{"Role (optional; of the template team; such as lead, reviewer): ", "commas; such as docs:writer, all): "}, ""},
		{"no terminal", "ann\nlead\n", launchFlags{}, "", peer.Persona{Name: "box"}, nil, ":"},
	} {
		t.Run(c.name, func(t *testing.T) {
			vars := map[string]string{"TERM": c.term, "CLAUDEMESH_DISPLAY_NAME": "box"}
			said, err := askingEnv(t, c.typed, vars, func(ctx context.Context, env *cli.Env) error {
				return c.f.askPersona(ctx, env, newAsker(env, false))
			})
			if err != nil || !reflect.DeepEqual(c.f.Persona, c.want) {
				t.Errorf("%+v, %v, want %+v\n%s", c.f.Persona, err, c.want, said)
			}
			rest := said
			for _, text := range c.says {
				var ok bool
				if _, rest, ok = strings.Cut(rest, text); !ok {
					t.Errorf("it does not say %q in its place:\n%s", text, said)
				}
			}
			if c.silent != "" && strings.Contains(said, c.silent) {
				t.Errorf("it says %q:\n%s", c.silent, said)
			}
		})
	}
}

func TestWhoLeavesStartsNothing(t *testing.T) {
	var f launchFlags
	_, err := askingEnv(t, "ann\n", map[string]string{"TERM": "dumb"}, func(ctx context.Context, env *cli.Env) error {
		return f.askPersona(ctx, env, newAsker(env, false))
	})
	if !errors.Is(err, errNoAnswer) {
		t.Errorf("after half of the questions the input ended: %v", err)
	}
}

func TestMeshIsChosenByWhoIsThere(t *testing.T) {
	for _, c := range []struct{ term, typed, want string }{{"dumb", "2\n", "work"}, {"dumb", "\n", "home"}, {"dumb", "work\n", "work"}, {"", "", ""}} {
		_, err := askingEnv(t, c.typed, map[string]string{"TERM": c.term}, func(ctx context.Context, env *cli.Env) error {
			err := peer.UpdateConfig(ctx, env.ConfigDir, func(own *peer.Config) error {
				own.Meshes = []peer.Mesh{{MeshID: "a", Slug: "home"}, {MeshID: "b", Slug: "work"}}
				return nil
			})
			if err != nil {
				return err
			}
			m, err := chooseMesh(ctx, env, newAsker(env, false))
			if m != nil && m.Slug != c.want {
				t.Errorf("typed %q: chose %s, want %s", c.typed, m.Slug, c.want)
			}
			return err
		})
		if errors.Is(err, peer.ErrAmbiguousMesh) != (c.want == "") {
			t.Errorf("typed %q: %v", c.typed, err)
		}
	}
}

func TestNoBrokerIsStartedForWhoDoesNotWantOne(t *testing.T) {
	said, err := askingEnv(t, "2\n", map[string]string{"TERM": "dumb", "CLAUDEMESH_LISTEN": "127.0.0.1:0"}, func(ctx context.Context, env *cli.Env) error {
		h := &launch.Host{ConfigDir: env.ConfigDir, Executable: "/nowhere/claudemesh", Getenv: env.Getenv}
		return joinFirst(ctx, env, h, new(launchFlags), newAsker(env, false))
	})
	if !errors.Is(err, peer.ErrNoMesh) || !strings.Contains(said, "Start a broker on this machine") {
		t.Errorf("%v\n%s", err, said)
	}
}
