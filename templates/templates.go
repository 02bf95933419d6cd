// Package templates holds named starting points for meshes: groups with the
// roles that make sense in them, initial keys of the shared state, and a hint
// for the system prompt of sessions. Five are part of the program; a user's own
// are files in a directory. A template is YAML, or JSON, which is YAML too:
//
//	name: dev-team
//	description: one line
//	groups:
//	  - {name: frontend, roles: [lead, member]}
//	stateKeys:
//	  sprint: current
//	suggestedRoles: [lead, reviewer]
//	systemPromptHint: text
package templates

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

//go:embed *.yaml
var embedded embed.FS

// Limits of a template. Lengths are in characters unless said.
const (
	MaxFile  = 64 << 10 // bytes
	MaxHint  = 4000
	maxText  = 300 // a description
	maxList  = 50  // groups, roles, keys
	maxName  = 64  // a group, a role
	maxKey   = 256
	maxValue = 4000
	maxFiles = 200 // in a directory
)

// ErrUnknown reports a template that does not exist.
var ErrUnknown = errors.New("there is no such template")

// Template is a starting point for a mesh.
type Template struct {
	Name        string            `yaml:"name" json:"name"`               // lower-case letters, digits and hyphens
	Description string            `yaml:"description" json:"description"` // one line
	Groups      []Group           `yaml:"groups" json:"groups"`
	StateKeys   map[string]string `yaml:"stateKeys" json:"stateKeys"` // initial values of the shared state
	// SuggestedRoles are for whoever chooses the role of a session.
	SuggestedRoles []string `yaml:"suggestedRoles" json:"suggestedRoles"`
	// SystemPromptHint is added to the system prompt of sessions.
	SystemPromptHint string `yaml:"systemPromptHint" json:"systemPromptHint"`
}

// Group is a group of a template.
type Group struct {
	Name  string   `yaml:"name" json:"name"`   // without @
	Roles []string `yaml:"roles" json:"roles"` // that make sense in it
}

// Parse reads a template. What it does not know, and what no mesh would take, is
// an error that says what to do.
func Parse(data []byte) (*Template, error) {
	if len(data) > MaxFile {
		return nil, fmt.Errorf("it has more than %d KiB", MaxFile>>10)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	var t Template
	if err := dec.Decode(&t); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it is empty")
		}
		return nil, fmt.Errorf("it cannot be read: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("it has more than one document")
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	return &t, nil
}

var (
	namePattern  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)
	groupPattern = regexp.MustCompile(`^[^\s@/:,]+(/[^\s@/:,]+)*$`)
)

func (t *Template) check() error {
	t.SystemPromptHint = strings.TrimSpace(t.SystemPromptHint)
	switch {
	case !namePattern.MatchString(t.Name):
		return errors.New("name must be lower-case letters, digits and -, at most 64, and not begin with -")
	case !oneLine(t.Description, maxText):
		return fmt.Errorf("description must be one line of at most %d characters", maxText)
	case !text(t.SystemPromptHint, MaxHint):
		return fmt.Errorf("systemPromptHint must have at most %d characters, and no control characters", MaxHint)
	case len(t.Groups) > maxList || len(t.StateKeys) > maxList:
		return fmt.Errorf("at most %d groups and as many stateKeys", maxList)
	}
	seen := make(map[string]bool)
	for _, g := range t.Groups {
		if !groupPattern.MatchString(g.Name) || !oneLine(g.Name, maxName) || seen[g.Name] {
			return fmt.Errorf("group %.80q must have a name of its own of at most %d characters without @, blanks, colons and commas", g.Name, maxName)
		}
		seen[g.Name] = true
		if err := checkRoles("roles of group "+g.Name, g.Roles); err != nil {
			return err
		}
	}
	for k, v := range t.StateKeys {
		if strings.TrimSpace(k) == "" || !oneLine(k, maxKey) || !text(v, maxValue) {
			return fmt.Errorf("state key %.80q must have at most %d characters, and its value %d", k, maxKey, maxValue)
		}
	}
	return checkRoles("suggestedRoles", t.SuggestedRoles)
}

func checkRoles(what string, roles []string) error {
	if len(roles) > maxList {
		return fmt.Errorf("%s has more than %d entries", what, maxList)
	}
	for _, r := range roles {
		if strings.TrimSpace(r) == "" || !oneLine(r, maxName) || strings.ContainsAny(r, ",:") {
			return fmt.Errorf("%s: %.80q must have 1 to %d characters without commas and colons", what, r, maxName)
		}
	}
	return nil
}

func oneLine(s string, most int) bool { return text(s, most) && !strings.ContainsAny(s, "\n\t") }

func text(s string, most int) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= most &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' })
}

// All returns the templates there are by name: those of the program, and those
// in dir, which need not be there. One in dir replaces the program's of that
// name. faults are the files of dir that are no templates.
func All(dir string) (all []Template, faults []error) {
	byName := make(map[string]Template)
	names, _ := fs.Glob(embedded, "*.yaml")
	for _, name := range names {
		data, err := fs.ReadFile(embedded, name)
		if err == nil {
			err = add(byName, data)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", name, err)) // a test holds that there are none
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		faults = append(faults, err)
	}
	for _, e := range entries[:min(len(entries), maxFiles)] {
		if !slices.Contains([]string{".yaml", ".yml", ".json"}, path.Ext(e.Name())) {
			continue
		}
		file := filepath.Join(dir, e.Name())
		data, err := read(file)
		if err == nil {
			err = add(byName, data)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", file, err))
		}
	}
	for _, t := range byName {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b Template) int { return strings.Compare(a.Name, b.Name) })
	return all, faults
}

func add(byName map[string]Template, data []byte) error {
	t, err := Parse(data)
	if err == nil {
		byName[t.Name] = *t
	}
	return err
}

func read(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxFile+1))
}

// Find returns the template of that name: ErrUnknown, with the names there are,
// if there is none. Files of dir that are no templates are passed over, unless
// the template is not found.
func Find(dir, name string) (*Template, error) {
	all, faults := All(dir)
	var names []string
	for i := range all {
		if all[i].Name == name {
			return &all[i], nil
		}
		names = append(names, all[i].Name)
	}
	return nil, errors.Join(append([]error{fmt.Errorf("%w called %.64q: choose one of %s", ErrUnknown, name, strings.Join(names, ", "))}, faults...)...)
}
