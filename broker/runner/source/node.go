package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// errBuild says that the entry is what the project's own scripts may make.
var errBuild = errors.New("the project is to be built first")

// installNode installs what a project of node or bun needs. Where the entry is
// what its build script makes, and is not among the source, that is run too.
func (b *build) installNode(ctx context.Context, p *project, rt Runtime) (Built, error) {
	program, err := b.look(string(rt))
	if err != nil {
		return Built{}, err
	}
	m, err := p.manifest(".")
	if err != nil {
		return Built{}, err
	}
	builds := m.has("build") || m.has("prepare")
	entry, err := p.nodeEntry(m, rt, builds)
	unbuilt := errors.Is(err, errBuild)
	if unbuilt || m.installs() || p.has("binding.gyp") {
		// What prepare runs, which install does too, is among what developing needs.
		if err := b.packages(ctx, p.dir, rt, unbuilt || m.has("prepare")); err != nil {
			return Built{}, err
		}
	}
	if unbuilt {
		entry, err = p.nodeEntry(m, rt, m.has("build"))
	}
	if errors.Is(err, errBuild) {
		if err := b.manager(ctx, p.dir, rt, "run", "build"); err != nil {
			return Built{}, err
		}
		entry, err = p.nodeEntry(m, rt, false)
	}
	return Built{Args: []string{program, filepath.Join(p.dir, filepath.FromSlash(entry))}, Work: p.dir, Runtime: rt}, err
}

// packages installs the dependencies of a project, with those of developing it
// if asked.
func (b *build) packages(ctx context.Context, dir string, rt Runtime, dev bool) error {
	args := []string{"install"}
	if rt == Node {
		args = append(args, "--legacy-peer-deps", "--no-audit", "--no-fund", "--loglevel=error")
		if !dev {
			args = append(args, "--omit=dev")
		}
	}
	return b.manager(ctx, dir, rt, args...)
}

// manager runs npm, or bun in its place.
func (b *build) manager(ctx context.Context, dir string, rt Runtime, args ...string) error {
	name := "npm"
	if rt == Bun {
		name = "bun"
	}
	path, err := b.look(name)
	if err != nil {
		return err
	}
	network, err := b.npmHosts()
	if err != nil {
		return err
	}
	env := b.environ(b.tmp, npmSettings(),
		"npm_config_cache="+filepath.Join(b.tmp, "npm"), "npm_config_globalconfig="+nowhere,
		"npm_config_update_notifier=false", "BUN_INSTALL_CACHE_DIR="+filepath.Join(b.tmp, "bun"), "CI=1")
	return b.run(ctx, step{
		what: strings.Join(append([]string{name}, slices.DeleteFunc(slices.Clone(args), isFlag)...), " "), dir: dir, args: append([]string{path}, args...), env: env,
		network: network, limit: installFor,
	})
}

func isFlag(arg string) bool { return strings.HasPrefix(arg, "-") }

// nodeEntry returns the file that a project is started by: errBuild if that is
// missing, or TypeScript, and its scripts may make one, which builds says.
func (p *project) nodeEntry(m *manifest, rt Runtime, builds bool) (string, error) {
	var named []string
	if m.Main != "" {
		named = append(named, m.Main)
	}
	if len(m.Bin) > 0 {
		named = append(named, m.Bin[0].path)
	}
	for _, name := range named {
		if file := p.module(name); file != "" {
			return file, nil
		}
		if builds {
			return "", errBuild
		}
	}
	file := p.plainNode()
	if builds && (file == "" || rt == Node && strings.HasSuffix(file, ".ts")) {
		return "", errBuild
	}
	switch {
	case file != "":
		return file, nil
	case len(named) > 0:
		return "", fmt.Errorf("package.json names %.100q, which is not there: deploy it with what its build makes, or with a build script", named[0])
	}
	return "", errors.New("there is nothing to start: no main or bin in a package.json, no dist/index.js, src/index.js, src/index.ts or index.js, and nothing that says Python")
}

// module returns the file that node means by a path of package.json, or
// nothing.
func (p *project) module(name string) string {
	name = path.Clean(strings.ReplaceAll(name, `\`, "/"))
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return ""
	}
	return p.first(name, name+".js", name+".mjs", name+".cjs", path.Join(name, "index.js"))
}

// writePackage makes a project whose one dependency is the package.
func (b *build) writePackage() error {
	p, err := parseNPM(b.job.Source.Package)
	if err != nil {
		return err
	}
	text, err := json.Marshal(map[string]any{"private": true, "dependencies": map[string]string{p.name: p.version}})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.src, "package.json"), text, 0o644)
}

// installNPX installs a package and finds its executable, as npx does.
func (b *build) installNPX(ctx context.Context) (Built, error) {
	program, err := b.look("node")
	if err != nil {
		return Built{}, err
	}
	if err := b.packages(ctx, b.src, Node, false); err != nil {
		return Built{}, err
	}
	pkg, err := parseNPM(b.job.Source.Package)
	if err != nil {
		return Built{}, err
	}
	p, err := openProject(b.src)
	if err != nil {
		return Built{}, err
	}
	defer p.root.Close()
	dir := path.Join("node_modules", pkg.name)
	m, err := p.manifest(dir)
	if err != nil {
		return Built{}, err
	}
	file := p.module(path.Join(dir, m.Bin.choose(path.Base(pkg.name))))
	if len(m.Bin) == 0 || file == "" {
		return Built{}, fmt.Errorf("the package %s has no executable: it is a library, or its name is another", pkg.name)
	}
	return Built{Args: []string{program, filepath.Join(p.dir, filepath.FromSlash(file))}, Work: p.dir, Runtime: Node}, nil
}

// choose returns the path of the executable that is called as the package is,
// else of one whose name contains that, else of the first.
func (b bins) choose(name string) string {
	for _, match := range []func(string) bool{
		func(s string) bool { return s == name },
		func(s string) bool { return strings.Contains(s, name) },
		func(string) bool { return true },
	} {
		for _, e := range b {
			if match(e.name) {
				return e.path
			}
		}
	}
	return ""
}
