package source

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// installPython installs what a project of Python needs into an environment of
// its own.
func (b *build) installPython(ctx context.Context, p *project) (Built, error) {
	entry := p.plainPython()
	built := p.has("pyproject.toml")
	if entry == "" && !built {
		return Built{}, errors.New("there is nothing to start: no server.py, src/server.py, main.py or src/main.py, and no pyproject.toml")
	}
	var wanted [][]string
	if p.has("requirements.txt") {
		wanted = append(wanted, []string{"-r", "requirements.txt"})
	}
	if built && (entry == "" || wanted == nil) {
		wanted = append(wanted, []string{"."})
	}
	if err := b.venv(ctx, len(wanted) > 0); err != nil {
		return Built{}, err
	}
	for _, what := range wanted {
		if err := b.pip(ctx, p.dir, what...); err != nil {
			return Built{}, err
		}
	}
	out := Built{Args: []string{b.python()}, Work: p.dir, Runtime: Python}
	if entry != "" {
		out.Args = append(out.Args, filepath.Join(p.dir, filepath.FromSlash(entry)))
		return out, nil
	}
	script, err := b.console(func(d *distribution) bool { return d.local })
	if err != nil {
		return Built{}, err
	}
	if script != "" {
		out.Args = append(out.Args, script)
	} else {
		out.Args = append(out.Args, "-m", "server")
	}
	return out, nil
}

// installUVX installs a package of PyPI into an environment of its own. It is
// started by its console script, as uvx does, or as a module.
func (b *build) installUVX(ctx context.Context) (Built, error) {
	pkg, err := parsePyPI(b.job.Source.Package)
	if err != nil {
		return Built{}, err
	}
	if err := b.venv(ctx, true); err != nil {
		return Built{}, err
	}
	if err := b.pip(ctx, b.src, "--", pkg.requirement); err != nil {
		return Built{}, err
	}
	script, err := b.console(func(d *distribution) bool { return d.name == plainName(pkg.name) })
	if err != nil {
		return Built{}, err
	}
	out := Built{Args: []string{b.python()}, Work: b.src, Runtime: Python}
	if script != "" {
		out.Args = append(out.Args, script)
	} else {
		out.Args = append(out.Args, "-m", strings.ReplaceAll(pkg.name, "-", "_"))
	}
	return out, nil
}

// venv makes the environment of a job.
func (b *build) venv(ctx context.Context, withPip bool) error {
	path, err := b.look("python3")
	if err != nil {
		return err
	}
	args := []string{path, "-m", "venv"}
	if _, err := b.look("uv"); err == nil || !withPip {
		args = append(args, "--without-pip")
	}
	err = b.run(ctx, step{
		what: "python3 -m venv", dir: b.job.Dir, args: append(args, filepath.Join(b.job.Dir, venvDir)), env: b.environ(b.tmp, nil), limit: venvFor,
	})
	if err != nil && strings.Contains(err.Error(), "ensurepip") {
		return errors.New("the broker's machine cannot make environments of Python: its operator can install what it lacks (apt-get install python3-venv)")
	}
	return err
}

func (b *build) bin() string {
	if runtime.GOOS == "windows" {
		return filepath.Join(b.job.Dir, venvDir, "Scripts")
	}
	return filepath.Join(b.job.Dir, venvDir, "bin")
}

func (b *build) python() string { return filepath.Join(b.bin(), "python") }

// pip installs into the environment, with uv if there is one: it takes the same
// arguments and is several times faster.
func (b *build) pip(ctx context.Context, dir string, what ...string) error {
	network, err := b.pipHosts()
	if err != nil {
		return err
	}
	name, args := "pip install", []string{b.python(), "-m", "pip", "install", "--no-cache-dir", "--no-input", "--disable-pip-version-check", "--quiet"}
	if uv, err := b.look("uv"); err == nil {
		name, args = "uv pip install", []string{uv, "pip", "install", "--python", b.python(), "--no-cache", "--quiet"}
	}
	env := b.environ(b.tmp, pipSettings(), "PIP_CONFIG_FILE="+nowhere, "UV_NO_CONFIG=1", "UV_PYTHON_DOWNLOADS=never", "UV_LINK_MODE=copy")
	return b.run(ctx, step{what: name + " " + what[len(what)-1], dir: dir, args: append(args, what...), env: env, network: network, limit: installFor})
}

// A distribution is a package that is installed in an environment.
type distribution struct {
	name    string // in plain spelling
	local   bool   // from a directory
	scripts []string
}

// plainName spells the name of a distribution as all its spellings.
func plainName(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '.' {
			return '_'
		}
		return r
	}, strings.ToLower(s))
}

// console returns the path of the console script of the distribution that
// matches: the one of its name, or the first.
func (b *build) console(match func(*distribution) bool) (string, error) {
	p, err := openProject(filepath.Join(b.job.Dir, venvDir))
	if err != nil {
		return "", err
	}
	defer p.root.Close()
	infos, err := fs.Glob(p.root.FS(), "[lL]ib/python*/site-packages/*.dist-info")
	if err != nil {
		return "", err
	}
	windows, err := fs.Glob(p.root.FS(), "[lL]ib/site-packages/*.dist-info")
	if err != nil {
		return "", err
	}
	for _, info := range append(infos, windows...) {
		d := p.distribution(info)
		if !match(d) || len(d.scripts) == 0 {
			continue
		}
		name := d.scripts[0]
		if i := slices.IndexFunc(d.scripts, func(s string) bool { return plainName(s) == d.name }); i >= 0 {
			name = d.scripts[i]
		}
		if rel, err := filepath.Rel(p.dir, filepath.Join(b.bin(), name)); err == nil && filepath.IsLocal(rel) && p.has(rel) {
			return filepath.Join(b.bin(), name), nil
		}
	}
	return "", nil
}

// distribution reads the records of a distribution, as PEP 376 and 610 and the
// specification of entry points have them.
func (p *project) distribution(info string) *distribution {
	name, _, _ := strings.Cut(strings.TrimSuffix(path.Base(info), ".dist-info"), "-")
	d := &distribution{name: plainName(name)}
	var from struct {
		URL string `json:"url"`
	}
	if text, err := readRegular(p.root, filepath.FromSlash(info+"/direct_url.json")); err == nil && json.Unmarshal(text, &from) == nil {
		d.local = strings.HasPrefix(from.URL, "file:")
	}
	text, _ := readRegular(p.root, filepath.FromSlash(info+"/entry_points.txt")) // most have none
	section := ""
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			section = line
		} else if script, _, ok := strings.Cut(line, "="); ok && section == "[console_scripts]" && !strings.HasPrefix(line, "#") {
			d.scripts = append(d.scripts, strings.TrimSpace(script))
		}
	}
	return d
}
