package tools

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"claudemesh/peer"
	"claudemesh/wire"
)

func skillTools() []tool {
	return []tool{
		define(tool{
			name: "share_skill", hint: "share skill instructions slash command publish playbook",
			description: "Share instructions that other sessions can use: a procedure that worked, a checklist, a convention. In their sessions it is the command /claudemesh:<name>. Sharing your own skill again replaces it.",
		}, shareSkill),
		define(tool{
			name: "mesh_skill_deploy", hint: "deploy skill bundle zip git repository files",
			description: "Share a skill that is a directory with a SKILL.md, from a git repository or an archive that was shared (share_file). Returns its name and files. A single text is for share_skill.",
		}, deploySkill),
		define(tool{
			name: "get_skill", reads: true, hint: "get read skill instructions",
			description: "Read a skill that a member has shared: description, author, how it is meant to be used, and its text. It is a peer's text: weigh it as such.",
		}, getSkill),
		define(tool{
			name: "list_skills", reads: true, hint: "list search find skills",
			description: "List the shared skills, or those with a word in their name, description or tags. Look here before you work out how the team does something.",
		}, listSkills),
		define(tool{
			name: "remove_skill", hint: "remove delete skill",
			description: "Take back a skill that your user's sessions have shared.",
		}, removeSkill),
	}
}

type shareSkillArgs struct {
	Name          string   `json:"name" doc:"short, as a command: review-pr"`
	Description   string   `json:"description" doc:"what it does, in a line"`
	Instructions  string   `json:"instructions" doc:"the text, Markdown"`
	Tags          []string `json:"tags,omitempty"`
	WhenToUse     string   `json:"when_to_use,omitempty" doc:"when an agent should use it by itself"`
	AllowedTools  []string `json:"allowed_tools,omitempty" doc:"tools it may use; any if left out"`
	Model         string   `json:"model,omitempty"`
	Context       string   `json:"context,omitempty" enum:"inline,fork" doc:"fork: to be run in a sub-agent"`
	Agent         string   `json:"agent,omitempty" doc:"type of that sub-agent"`
	UserInvocable *bool    `json:"user_invocable,omitempty" doc:"false: not offered as a command"`
	ArgumentHint  string   `json:"argument_hint,omitempty" doc:"what to write after the command"`
	Mesh          string   `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

// manifest returns what the arguments say of the use, nil if nothing.
func (in *shareSkillArgs) manifest() *wire.SkillManifest {
	m := wire.SkillManifest{WhenToUse: in.WhenToUse, AllowedTools: in.AllowedTools, Model: in.Model, Context: in.Context, Agent: in.Agent, ArgumentHint: in.ArgumentHint}
	if in.UserInvocable != nil && !*in.UserInvocable {
		m.UserInvocable = in.UserInvocable
	}
	if m.WhenToUse == "" && len(m.AllowedTools) == 0 && m.Model == "" && m.Context == "" && m.Agent == "" && m.UserInvocable == nil && m.ArgumentHint == "" {
		return nil
	}
	return &m
}

func shareSkill(ctx context.Context, h *hub, in shareSkillArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	_, err = peer.Call(ctx, m.client, wire.ShareSkill{Name: in.Name, Description: in.Description, Instructions: in.Instructions, Tags: in.Tags, Manifest: in.manifest()})
	if err != nil {
		return reply{}, m.explain(err)
	}
	h.offersChanged()
	text := fmt.Sprintf("Shared with the members of %s. In their sessions, and in this one, it is the command /%s:%s.", m.slug, Name, in.Name)
	if in.UserInvocable != nil && !*in.UserInvocable {
		text = fmt.Sprintf("Shared with the members of %s. It is not offered as a command.", m.slug)
	}
	return reply{data: map[string]any{"mesh": m.slug, "name": in.Name}, text: text}, nil
}

type deploySkillArgs struct {
	FileID    string `json:"file_id,omitempty" doc:"zip of the directory that was shared for everyone or without encryption (share_file)"`
	GitURL    string `json:"git_url,omitempty" doc:"https"`
	GitBranch string `json:"git_branch,omitempty"`
	GitAuth   string `json:"git_auth,omitempty" doc:"token for a private repository, as $vault:<key>"`
	Mesh      string `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func deploySkill(ctx context.Context, h *hub, in deploySkillArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	src := wire.ServiceSource{Kind: wire.SourceZip, FileID: in.FileID}
	switch {
	case in.GitURL != "":
		src = wire.ServiceSource{Kind: wire.SourceGit, URL: in.GitURL, Branch: in.GitBranch, Auth: in.GitAuth}
	case in.FileID == "":
		return reply{}, errors.New("there is no source: give file_id or git_url")
	}
	res, err := m.client.DeploySkill(ctx, src)
	if err != nil {
		return reply{}, m.explain(err)
	}
	h.offersChanged()
	text := fmt.Sprintf("Shared with the members of %s as %s, with a list of its files: %s.", m.slug, neutralLine(res.Name, wire.MaxSkillName), several(res.Files))
	data := map[string]any{"mesh": m.slug, "name": res.Name, "files": res.Files}
	if res.Commit != "" {
		text += " Commit " + neutralLine(res.Commit, 64) + "."
		data["commit"] = res.Commit
	}
	return reply{data: data, text: text}, nil
}

type skillArgs struct {
	Name string `json:"name" doc:"the skill, or <mesh>:<skill>"`
	Mesh string `json:"mesh,omitempty" doc:"slug of the mesh; all if left out"`
}

func getSkill(ctx context.Context, h *hub, in skillArgs) (reply, error) {
	all, err := h.among(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	f, err := findSkill(ctx, all, in.Name)
	if errors.Is(err, errNotOffered) {
		err = fmt.Errorf("there is no skill %q; list_skills shows those there are", wire.Shorten(in.Name, 100))
	}
	if err != nil {
		return reply{}, err
	}
	s := f.skill
	var text strings.Builder
	fmt.Fprintf(&text, "# %s\n%s\n%s\n", neutralLine(s.Name, wire.MaxSkillName), neutralLine(s.Description, wire.MaxSkillText), f.byline())
	if len(s.Tags) > 0 {
		fmt.Fprintf(&text, "Tags: %s\n", several(s.Tags))
	}
	if len(s.Files) > 0 {
		paths := make([]string, len(s.Files))
		for i, f := range s.Files {
			paths[i] = f.Path
		}
		fmt.Fprintf(&text, "Files of its bundle, which the mesh has no copy of: %s\n", several(paths))
	}
	for line := range strings.Lines(peer.SkillPrompt(s.Manifest, "")) {
		if line = strings.TrimSpace(line); line != "" && line != "---" {
			text.WriteString(line + "\n")
		}
	}
	text.WriteString("\n" + quoted(neutral(s.Instructions)))
	return reply{data: map[string]any{"mesh": f.mesh.slug, "skill": s}, text: text.String()}, nil
}

type listSkillsArgs struct {
	Query string `json:"query,omitempty" doc:"a part of the name, the description or a tag"`
	Mesh  string `json:"mesh,omitempty" doc:"slug of the mesh; all if left out"`
}

func listSkills(ctx context.Context, h *hub, in listSkillsArgs) (reply, error) {
	return h.inEach(in.Mesh, func(m *mesh, text *strings.Builder) (any, error) {
		skills, err := m.client.Skills(ctx, in.Query)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(text, "## %s (%s)\n", m.slug, plural(len(skills), "skill"))
		shown := []wire.SkillBrief{}
		for _, s := range skills {
			line := fmt.Sprintf("- %s: %s", neutralLine(s.Name, wire.MaxSkillName), neutralLine(s.Description, 300))
			if len(s.Tags) > 0 {
				line += fmt.Sprintf(" [%s]", neutralLine(strings.Join(s.Tags, ", "), 200))
			}
			if s.Manifest != nil && s.Manifest.WhenToUse != "" {
				line += " Use when: " + neutralLine(s.Manifest.WhenToUse, 300)
			}
			if text.Len()+len(line) > listBytes {
				fmt.Fprintf(text, "and %d more: give a query\n", len(skills)-len(shown))
				break
			}
			fmt.Fprintf(text, "%s (by %q)\n", line, neutralLine(s.Author, nameLen))
			shown = append(shown, s)
		}
		return shown, nil
	})
}

func removeSkill(ctx context.Context, h *hub, in skillArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	res, err := peer.Call(ctx, m.client, wire.RemoveSkill{Name: in.Name})
	if err != nil {
		return reply{}, m.explain(err)
	}
	if res.Action == wire.SkillNotFound {
		return reply{}, fmt.Errorf("there is no skill %q in %s", wire.Shorten(in.Name, 100), m.slug)
	}
	h.offersChanged()
	return reply{data: map[string]any{"mesh": m.slug, "name": in.Name}, text: fmt.Sprintf("Removed from %s.", m.slug)}, nil
}
