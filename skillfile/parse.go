// Package skillfile reads skills as people write them: a SKILL.md, alone or in a
// directory, or a bundle with files beside it.
package skillfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"claudemesh/wire"
)

// maxBytes bounds what is read of a SKILL.md.
const maxBytes = wire.MaxInstructionBytes + 64<<10

// Read reads a skill from a file, or from the SKILL.md of a directory. A
// skill whose front matter gives it no name is called as its directory, or as
// the file. Its errors name the file, and are for who wrote it.
func Read(name string) (*wire.ShareSkill, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		name = filepath.Join(name, "SKILL.md")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxBytes {
		return nil, fmt.Errorf("%s is larger than %d KiB: share what the skill needs beside as files", name, maxBytes>>10)
	}
	s, err := Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if s.Name == "" {
		s.Name = nameOf(name)
	}
	if s.Description == "" {
		s.Description = firstLine(s.Instructions)
	}
	return s, nil
}

func nameOf(file string) string {
	base := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	if !strings.EqualFold(base, "SKILL") {
		return base
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return base
	}
	return filepath.Base(filepath.Dir(abs))
}

// firstLine returns the first line that says something, without the marks of a
// heading.
func firstLine(text string) string {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(line), "#")); line != "" {
			return wire.Shorten(line, wire.MaxSkillText)
		}
	}
	return ""
}

// Parse reads the text of a SKILL.md: a front matter of YAML between two
// lines of ---, which may be missing, and the instructions. Its name,
// description and lengths are not checked.
func Parse(text string) (*wire.ShareSkill, error) {
	text = strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "\r\n", "\n")
	matter, body, err := splitFrontMatter(text)
	if err != nil {
		return nil, err
	}
	var f frontMatter
	if err := yaml.Unmarshal([]byte(matter), &f); err != nil {
		return nil, fmt.Errorf("its front matter cannot be read: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	s := &wire.ShareSkill{Name: string(f.Name), Description: string(f.Description), Tags: f.Tags, Instructions: strings.TrimLeft(body, "\n")}
	m := f.manifest()
	if m.Context != "" && m.Context != wire.SkillInline && m.Context != wire.SkillFork {
		return nil, fmt.Errorf("context is %q, and can be %s or %s", m.Context, wire.SkillInline, wire.SkillFork)
	}
	if m.says() {
		s.Manifest = &m.SkillManifest
	}
	if strings.TrimSpace(s.Instructions) == "" {
		return nil, errors.New("it has no instructions after the front matter")
	}
	return s, nil
}

func splitFrontMatter(text string) (matter, body string, err error) {
	rest, ok := strings.CutPrefix(text, "---\n")
	if !ok {
		return "", text, nil
	}
	if after, ok := strings.CutPrefix(rest, "---\n"); ok {
		return "", after, nil
	}
	matter, body, ok = strings.Cut(rest, "\n---\n")
	if !ok {
		if matter, ok = strings.CutSuffix(strings.TrimRight(rest, "\n"), "\n---"); !ok {
			return "", "", errors.New("the front matter that begins on its first line has no end: a line of ---")
		}
	}
	return matter, body, nil
}

// frontMatter is the front matter of a SKILL.md, in the spellings there are.
type frontMatter struct {
	Name        scalar `yaml:"name"`
	Description scalar `yaml:"description"`
	Tags        words  `yaml:"tags"`
	WhenToUse   scalar `yaml:"when_to_use"`
	WhenToUse2  scalar `yaml:"when-to-use"`
	Tools       words  `yaml:"allowed-tools"`
	Tools2      words  `yaml:"allowed_tools"`
	Model       scalar `yaml:"model"`
	Context     scalar `yaml:"context"`
	Agent       scalar `yaml:"agent"`
	Invocable   *bool  `yaml:"user-invocable"`
	Invocable2  *bool  `yaml:"user_invocable"`
	Hint        scalar `yaml:"argument-hint"`
	Hint2       scalar `yaml:"argument_hint"`
}

// manifest is a manifest that may say nothing.
type manifest struct{ wire.SkillManifest }

func (f *frontMatter) manifest() manifest {
	m := manifest{wire.SkillManifest{
		WhenToUse: string(f.WhenToUse + f.WhenToUse2), AllowedTools: append(f.Tools, f.Tools2...), Model: string(f.Model),
		Context: string(f.Context), Agent: string(f.Agent), ArgumentHint: string(f.Hint + f.Hint2),
	}}
	for _, b := range []*bool{f.Invocable, f.Invocable2} {
		if b != nil && !*b {
			m.UserInvocable = b // only what is unusual is stored
		}
	}
	return m
}

func (m *manifest) says() bool {
	return m.WhenToUse != "" || len(m.AllowedTools) > 0 || m.Model != "" || m.Context != "" || m.Agent != "" || m.UserInvocable != nil || m.ArgumentHint != ""
}

// A scalar is one text. Where people write [file] without quotes YAML sees
// a list: it is taken for the text it was meant as.
type scalar string

// UnmarshalYAML implements yaml.Unmarshaler.
func (s *scalar) UnmarshalYAML(n *yaml.Node) error {
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Tag != "!!null" {
			*s = scalar(n.Value)
		}
		return nil
	case yaml.SequenceNode:
		var items []string
		if err := n.Decode(&items); err == nil {
			*s = scalar("[" + strings.Join(items, ", ") + "]")
			return nil
		}
	}
	return fmt.Errorf("line %d: a text is wanted", n.Line)
}

// words are a list of texts, or one text with commas or blanks between them;
// what stands in parentheses stays together.
type words []string

// UnmarshalYAML implements yaml.Unmarshaler.
func (w *words) UnmarshalYAML(n *yaml.Node) error {
	switch {
	case n.Kind == yaml.SequenceNode:
		return n.Decode((*[]string)(w))
	case n.Kind == yaml.ScalarNode && n.Tag != "!!null":
		*w = splitWords(n.Value)
		return nil
	case n.Kind == yaml.ScalarNode:
		return nil
	}
	return fmt.Errorf("line %d: a list of texts is wanted", n.Line)
}

func splitWords(text string) (out []string) {
	depth := 0
	separated := strings.Map(func(r rune) rune {
		switch {
		case r == '(':
			depth++
		case r == ')' && depth > 0:
			depth--
		case depth == 0 && (r == ',' || r == ' ' || r == '\t' || r == '\n'):
			return '\x00'
		}
		return r
	}, text)
	for word := range strings.SplitSeq(separated, "\x00") {
		if word != "" {
			out = append(out, word)
		}
	}
	return out
}
