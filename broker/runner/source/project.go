package source

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// maxManifest bounds, in bytes, what is read of a file such as package.json.
const maxManifest = 1 << 20

// A project is a directory with the source of a program.
type project struct {
	dir  string
	root *os.Root
}

func openProject(dir string) (*project, error) {
	root, err := os.OpenRoot(dir)
	return &project{dir, root}, err
}

func (p *project) has(name string) bool {
	info, err := p.root.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// first returns the first of some files that is there, or nothing.
func (p *project) first(names ...string) string {
	for _, name := range names {
		if p.has(name) {
			return name
		}
	}
	return ""
}

// plainNode and plainPython are what a project is started by whose files name
// nothing else.
func (p *project) plainNode() string {
	return p.first("dist/index.js", "src/index.js", "src/index.ts", "index.js")
}

func (p *project) plainPython() string {
	return p.first("server.py", "src/server.py", "main.py", "src/main.py")
}

// runtime says what the files of a project mean it to be run with.
func (p *project) runtime() Runtime {
	switch {
	case p.first("bun.lockb", "bun.lock", "bunfig.toml") != "":
		return Bun
	case p.has("package.json"):
		return Node
	case p.first("pyproject.toml", "requirements.txt") != "":
		return Python
	case p.plainNode() == "" && p.plainPython() != "":
		return Python
	}
	return Node
}

// openRegular opens a file that is below root, links followed, and no device or
// pipe. Nothing that could change it may run meanwhile.
func openRegular(root *os.Root, name string) (*os.File, error) {
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", name)
	}
	return root.Open(name)
}

// readRegular reads such a file, of at most maxManifest bytes.
func readRegular(root *os.Root, name string) ([]byte, error) {
	f, err := openRegular(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err == nil && len(p) > maxManifest {
		err = fmt.Errorf("%s has more than %d KiB", name, maxManifest>>10)
	}
	return p, err
}

// A manifest is what counts of a package.json.
type manifest struct {
	Main                 string                     `json:"main"`
	Bin                  bins                       `json:"bin"`
	Scripts              map[string]json.RawMessage `json:"scripts"`
	Dependencies         map[string]json.RawMessage `json:"dependencies"`
	OptionalDependencies map[string]json.RawMessage `json:"optionalDependencies"`
	PeerDependencies     map[string]json.RawMessage `json:"peerDependencies"`
	Workspaces           json.RawMessage            `json:"workspaces"`
}

// bins are the executables of a package in the order that they are written in.
type bins []bin

// A bin without a name is the only one of its package.
type bin struct{ name, path string }

// UnmarshalJSON takes a text, or an object of texts, and anything else for none.
func (b *bins) UnmarshalJSON(p []byte) error {
	var only string
	if json.Unmarshal(p, &only) == nil {
		*b = bins{{"", only}}
		return nil
	}
	dec := json.NewDecoder(strings.NewReader(string(p)))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		var path any
		if err := dec.Decode(&path); err != nil {
			return err
		}
		if s, ok := path.(string); ok {
			*b = append(*b, bin{name.(string), s}) // the keys of an object are texts
		}
	}
	return nil
}

// manifest reads the package.json of a directory of the project; there may be
// none.
func (p *project) manifest(dir string) (*manifest, error) {
	name := path.Join(dir, "package.json")
	m := new(manifest)
	text, err := readRegular(p.root, filepath.FromSlash(name))
	if os.IsNotExist(err) {
		return m, nil
	}
	if err == nil {
		err = json.Unmarshal(text, m)
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", name, err)
	}
	return m, nil
}

func (m *manifest) has(script string) bool { return m.Scripts[script] != nil }

// installs reports whether installing would do anything.
func (m *manifest) installs() bool {
	if len(m.Dependencies)+len(m.OptionalDependencies)+len(m.PeerDependencies)+len(m.Workspaces) > 0 {
		return true
	}
	return slices.ContainsFunc([]string{"preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"}, m.has)
}
