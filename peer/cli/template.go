package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"claudemesh/peer"
	"claudemesh/templates"
	"claudemesh/wire"
)

// TemplateDir returns the directory of the user's own templates, whether it is
// there or not.
func TemplateDir(configDir string) string { return filepath.Join(configDir, "templates") }

// appliedJSON says what a template made of a mesh.
type appliedJSON struct {
	Name string   `json:"name"`
	Set  []string `json:"set"`  // keys of the state that it has set
	Kept []string `json:"kept"` // keys that were set before and stay
}

func findTemplate(env *Env, name string) (*templates.Template, error) {
	t, err := templates.Find(TemplateDir(env.ConfigDir), name)
	return t, WithHint(err, "`claudemesh create --list-templates` shows what is in them; to make one of your own, put a file into %s", TemplateDir(env.ConfigDir))
}

func listTemplates(env *Env) error {
	all, faults := templates.All(TemplateDir(env.ConfigDir))
	for _, fault := range faults {
		env.Err().Printf("warning: not a template: %v\n", fault)
	}
	if env.JSON {
		return env.Out().JSON(all)
	}
	for i := range all {
		t := &all[i]
		env.Out().Printf("%s  %s\n", Styled{Bold, t.Name}, t.Description)
		printTemplate(env, t)
	}
	return nil
}

// showTemplate says what a template would make of a mesh.
func showTemplate(env *Env, t *templates.Template) error {
	if env.JSON {
		return env.Out().JSON(t)
	}
	printTemplate(env, t)
	env.Out().Printf("  hint    %s\n", wire.Shorten(strings.Join(strings.Fields(t.SystemPromptHint), " "), 80))
	env.Err().Printf("Make a mesh of it with `claudemesh create <slug> --template %s`, or apply it to one with --mesh.\n", t.Name)
	return nil
}

func printTemplate(env *Env, t *templates.Template) {
	var groups []string
	for _, g := range t.Groups {
		group := "@" + g.Name
		if len(g.Roles) > 0 {
			group += " (" + strings.Join(g.Roles, ", ") + ")"
		}
		groups = append(groups, group)
	}
	env.Out().Printf("  groups  %s\n", orNone(strings.Join(groups, ", ")))
	env.Out().Printf("  state   %s\n", orNone(strings.Join(slices.Sorted(maps.Keys(t.StateKeys)), ", ")))
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

// applyTemplate gives the mesh of that slug the keys of a template that are not
// set yet, and notes the template for launch.
func applyTemplate(ctx context.Context, env *Env, slug string, t *templates.Template) (*peer.Mesh, *appliedJSON, error) {
	at := *env
	at.Mesh = slug
	_, m, err := at.ChosenMesh()
	if err != nil {
		return nil, nil, err
	}
	done := &appliedJSON{Name: t.Name, Set: []string{}, Kept: []string{}}
	err = onMesh(ctx, &at, nil, func(ctx context.Context, c *peer.Client) error {
		for _, key := range slices.Sorted(maps.Keys(t.StateKeys)) {
			value, err := json.Marshal(t.StateKeys[key])
			if err != nil {
				return err
			}
			_, err = peer.Call(ctx, c, wire.SetState{Key: key, Value: value, IfUpdatedAt: new(wire.Stamp)})
			switch {
			case err == nil:
				done.Set = append(done.Set, key)
			case errors.Is(err, &wire.Error{Code: wire.Conflict}):
				done.Kept = append(done.Kept, key)
			default:
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = peer.UpdateConfig(ctx, env.ConfigDir, func(c *peer.Config) error {
			own, err := c.Mesh(m.MeshID)
			if err == nil {
				own.Template = t.Name
			}
			return err
		})
	}
	if err != nil {
		return m, done, WithHint(fmt.Errorf("the template %s is not wholly applied to %s: %w", t.Name, m.Slug, err),
			"run `claudemesh create --template %s --mesh %s` to go on", t.Name, m.Slug)
	}
	return m, done, nil
}

func printApplied(env *Env, m *peer.Mesh, t *templates.Template, done *appliedJSON) {
	out := env.Out()
	out.Printf("\n%s is set up as %s.\n", Styled{Bold, m.Slug}, t.Name)
	printTemplate(env, t)
	if len(done.Kept) > 0 {
		out.Printf("Set before, and left as it is: %s.\n", strings.Join(done.Kept, ", "))
	}
	out.Printf("`claudemesh launch --mesh %s` offers its roles and groups, and gives sessions its hint.\n", m.Slug)
}
