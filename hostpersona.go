package main

import (
	"context"

	"claudemesh/launch"
	"claudemesh/peer"
	"claudemesh/peer/cli"
	"claudemesh/templates"
)

// findTemplate reads the template of the mesh, whose hint the session gets. That
// it is gone keeps nobody from starting a session.
func (f *launchFlags) findTemplate(env *cli.Env, m *peer.Mesh) {
	t, err := templateOf(env.ConfigDir, m)
	if err != nil {
		env.Err().Printf("warning: the session is started without the template of %s: %v\n", m.Slug, err)
	}
	if t != nil {
		f.template, f.AppendPrompt = t, t.SystemPromptHint
	}
}

// templateOf returns the template that was applied to a mesh, nil if none was.
func templateOf(configDir string, m *peer.Mesh) (*templates.Template, error) {
	if m.Template == "" {
		return nil, nil
	}
	return templates.Find(cli.TemplateDir(configDir), m.Template)
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
