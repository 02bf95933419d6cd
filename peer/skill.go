package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"time"

	"claudemesh/wire"
)

// Skills returns the skills of the mesh, ascending by name, that have query in
// their name, description or a tag; all of them if it is empty.
func (c *Client) Skills(ctx context.Context, query string) ([]wire.SkillBrief, error) {
	var all []wire.SkillBrief
	for req := (wire.ListSkills{Query: query}); ; {
		res, err := Call(ctx, c, req)
		if err != nil {
			return nil, err
		}
		all = append(all, res.Skills...)
		if !res.More || len(res.Skills) == 0 {
			return all, nil
		}
		req.After = res.Skills[len(res.Skills)-1].Name
	}
}

// DeploySkill publishes the skill of a bundle. A token that is a reference to
// the vault is resolved first. It waits until the broker has fetched the bundle,
// for no longer than that may take.
func (c *Client) DeploySkill(ctx context.Context, src wire.ServiceSource) (res wire.SkillDeployAck, err error) {
	if _, err := c.fillToken(ctx, &src); err != nil {
		return res, err
	}
	ctx, cancel := context.WithTimeout(ctx, wire.SkillDeployDeadline+10*time.Second)
	defer cancel()
	return Call(ctx, c, wire.SkillDeploy{Source: src})
}

// SkillFile returns a skill as the text of a SKILL.md: its instructions after
// a front matter with its name, description, tags and manifest.
func SkillFile(s *wire.Skill) string {
	var f frontMatter
	f.text("name", s.Name)
	f.text("description", s.Description)
	f.list("tags", s.Tags)
	if s.Manifest != nil {
		m := *s.Manifest
		m.Description = "" // stands above
		f.manifest(&m)
	}
	return f.before(s.Instructions)
}

// SkillPrompt returns the instructions of a skill, after a front matter if its
// manifest says anything.
func SkillPrompt(m *wire.SkillManifest, instructions string) string {
	var f frontMatter
	if m != nil {
		f.manifest(m)
	}
	return f.before(instructions)
}

// frontMatter is a block of YAML. Its values are JSON, which is YAML too, so
// that no text can end its line, or the block.
type frontMatter struct{ lines strings.Builder }

func (f *frontMatter) manifest(m *wire.SkillManifest) {
	f.text("description", m.Description)
	f.text("when_to_use", m.WhenToUse)
	f.list("allowed-tools", m.AllowedTools)
	f.text("model", m.Model)
	if m.Context == wire.SkillInline || m.Context == wire.SkillFork {
		f.lines.WriteString("context: " + m.Context + "\n")
	}
	f.text("agent", m.Agent)
	if m.UserInvocable != nil && !*m.UserInvocable {
		f.lines.WriteString("user-invocable: false\n")
	}
	f.text("argument-hint", m.ArgumentHint)
}

func (f *frontMatter) text(key, value string) {
	if value != "" {
		f.value(key, plainText(value))
	}
}

func (f *frontMatter) list(key string, values []string) {
	if len(values) == 0 {
		return
	}
	plain := make([]string, len(values))
	for i, v := range values {
		plain[i] = plainText(v)
	}
	f.value(key, plain)
}

func (f *frontMatter) value(key string, v any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) == nil { // texts always encode
		f.lines.WriteString(key + ": " + b.String())
	}
}

// before puts the block, if there is one, before a text.
func (f *frontMatter) before(text string) string {
	if f.lines.Len() == 0 {
		return text
	}
	return "---\n" + f.lines.String() + "---\n\n" + text
}

// plainText is a text without control characters; line breaks and tabs stay.
func plainText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, s)
}
