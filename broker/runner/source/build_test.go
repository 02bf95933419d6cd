package source

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// needs skips a test on a machine without a program.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("this machine has no %s", name)
		}
	}
}

// output runs what was built, which ends by itself.
func (b *Built) output(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), b.Args[0], b.Args[1:]...)
	cmd.Dir, cmd.Env = b.Work, append(b.Env, "PATH="+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v: %s", b.Args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// mustBuild builds a source, which must be kept as it is returned.
func mustBuild(t *testing.T, b *Builder, s Source) (Built, *runs) {
	t.Helper()
	var r runs
	job, log := builds(t, s, &r)
	installing := 0
	job.Installing = func() { installing++ }
	got, err := b.Build(t.Context(), job)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	if installing != 1 {
		t.Errorf("it was said %d times that the source is there", installing)
	}
	kept, err := Load(job.Dir)
	if err != nil || !slices.Equal(kept.Args, got.Args) || kept.Work != got.Work || kept.Runtime != got.Runtime || kept.Commit != got.Commit || !slices.Equal(kept.Env, got.Env) {
		t.Errorf("%+v is kept as %+v (%v)", got, kept, err)
	}
	if _, err := os.Stat(filepath.Join(job.Dir, scratchDir)); err == nil {
		t.Error("what was needed for the build alone is still there")
	}
	return got, &r
}

func TestAProjectOfNodeIsStartedByItsEntry(t *testing.T) {
	needs(t, "node")
	hello := "console.log(__filename.slice(process.cwd().length + 1), process.env.NODE_ENV, ...process.argv.slice(2))"
	for _, c := range []struct {
		name  string
		files []entry
		want  string
	}{
		{"main", []entry{{name: "package.json", text: `{"main": "./lib/a.js", "bin": "b.js"}`}, {name: "lib/a.js", text: hello}, {name: "b.js"}}, "lib/a.js"},
		{"main without its ending", []entry{{name: "package.json", text: `{"main": "lib"}`}, {name: "lib/index.js", text: hello}}, "lib/index.js"},
		{"bin", []entry{{name: "package.json", text: `{"bin": "b.js"}`}, {name: "b.js", text: hello}, {name: "index.js"}}, "b.js"},
		{"the first bin", []entry{{name: "package.json", text: `{"bin": {"z": "z.js", "a": "a.js"}}`}, {name: "z.js", text: hello}, {name: "a.js"}}, "z.js"},
		{"main that is not there, and bin", []entry{{name: "package.json", text: `{"main": "a.js", "bin": "b.js"}`}, {name: "b.js", text: hello}}, "b.js"},
		{"dist", []entry{{name: "package.json", text: `{}`}, {name: "dist/index.js", text: hello}, {name: "src/index.js"}, {name: "index.js"}}, "dist/index.js"},
		{"src", []entry{{name: "package.json", text: `{}`}, {name: "src/index.js", text: hello}, {name: "index.js"}}, "src/index.js"},
		{"index", []entry{{name: "index.js", text: hello}}, "index.js"},
		{"a directory above all", []entry{{name: "top/package.json", text: `{"main": "a.js"}`}, {name: "top/a.js", text: hello}}, "a.js"},
	} {
		s := archiveOf(t, c.files...)
		s.Args = []string{"--more", "a b"}
		got, r := mustBuild(t, New(Options{}), s)
		if out := got.output(t); out != c.want+" production --more a b" || got.Runtime != Node {
			t.Errorf("%s: it says %q", c.name, out)
		}
		if len(r.args) != 0 {
			t.Errorf("%s: there was nothing to install, and %q ran", c.name, r.args)
		}
	}
}

func TestWhatCannotBeStartedIsSaid(t *testing.T) {
	needs(t, "node", "python3")
	outside := filepath.Join(t.TempDir(), "outside.js")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		files []entry
		rt    Runtime
		wrong string
	}{
		{"nothing", []entry{{name: "README"}}, "", "nothing to start"},
		{"an archive of nothing", nil, "", "archive is empty"},
		{"main that is not there", []entry{{name: "package.json", text: `{"main": "a.js"}`}}, "", `names "a.js", which is not there`},
		{"main above its top", []entry{{name: "package.json", text: `{"main": "../../../../../../../../../..` + filepath.ToSlash(outside) + `"}`}}, "", "which is not there"},
		{"main as an absolute path", []entry{{name: "package.json", text: `{"main": "` + filepath.ToSlash(outside) + `"}`}}, "", "which is not there"},
		{"a package.json that is none", []entry{{name: "package.json", text: `{"main": 1}`}}, "", "package.json cannot be read"},
		{"a package.json without end", []entry{{name: "package.json", text: `{"x": "` + strings.Repeat("x", maxManifest) + `"}`}}, "", "has more than 1024 KiB"},
		{"no Python", []entry{{name: "index.js"}}, Python, "nothing to start: no server.py"},
		{"a runtime there is not", []entry{{name: "index.js"}}, "perl", "no runtime"},
	} {
		var r runs
		job, _ := builds(t, archiveOf(t, c.files...), &r)
		job.Runtime = c.rt
		_, err := New(Options{}).Build(t.Context(), job)
		wantError(t, c.name, err, c.wrong)
		if _, err := Load(job.Dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: what failed can be loaded (%v)", c.name, err)
		}
	}
}

func TestFilesSayTheirRuntime(t *testing.T) {
	for _, c := range []struct {
		files []string
		want  Runtime
	}{
		{[]string{"bun.lockb", "package.json"}, Bun},
		{[]string{"bun.lock", "package.json"}, Bun},
		{[]string{"bunfig.toml"}, Bun},
		{[]string{"package.json", "pyproject.toml"}, Node},
		{[]string{"pyproject.toml"}, Python},
		{[]string{"requirements.txt"}, Python},
		{[]string{"server.py"}, Python},
		{[]string{"main.py", "index.js"}, Node},
		{[]string{"README"}, Node},
	} {
		dir := t.TempDir()
		for _, name := range c.files {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		p, err := openProject(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.runtime(); got != c.want {
			t.Errorf("%q is %s, and is %s", c.files, got, c.want)
		}
		p.root.Close()
	}
}

func TestAMachineThatLacksAProgramSaysHowToGetIt(t *testing.T) {
	empty := t.TempDir()
	for _, c := range []struct {
		s     Source
		rt    Runtime
		wrong string
	}{
		{Source{Type: Git, URL: "https://example.com/x"}, "", "no git: its operator can install git"},
		{Source{Type: NPX, Package: "x"}, "", "no node: its operator can install Node.js"},
		{Source{Type: UVX, Package: "x"}, "", "no python3: its operator can install Python"},
		{archiveOf(t, entry{name: "index.js"}), Bun, "no bun: its operator can install bun"},
	} {
		var r runs
		job, _ := builds(t, c.s, &r)
		job.Runtime = c.rt
		_, err := New(Options{Env: []string{"PATH=" + empty}}).Build(t.Context(), job)
		wantError(t, string(c.s.Type), err, c.wrong)
	}
}

func TestOnlyWhatTheOperatorAllowsIsCopied(t *testing.T) {
	needs(t, "node")
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("services/tool/index.js", "console.log('here')")
	write("services/tool/node_modules/x/index.js", "")
	write("services/linked/index.js", "")
	write("elsewhere/index.js", "")
	if err := errors.Join(os.Symlink(filepath.Join(dir, "elsewhere"), filepath.Join(dir, "services/door")), os.Symlink("/etc/passwd", filepath.Join(dir, "services/linked/passwd"))); err != nil {
		t.Skip("this machine makes no links: ", err)
	}
	b := New(Options{Paths: []string{filepath.Join(dir, "none"), filepath.Join(dir, "services")}})
	got, _ := mustBuild(t, b, Source{Type: Path, Path: filepath.Join(dir, "services/tool")})
	if out := got.output(t); out != "here" {
		t.Errorf("it says %q", out)
	}
	if strings.HasPrefix(got.Work, dir+string(filepath.Separator)+"services") {
		t.Errorf("it is run in place, in %s", got.Work)
	}
	if _, err := os.Stat(filepath.Join(got.Work, "node_modules")); err == nil {
		t.Error("what was installed elsewhere is copied")
	}
	for path, wrong := range map[string]string{
		filepath.Join(dir, "elsewhere"):              "does not allow",
		filepath.Join(dir, "services/../elsewhere"):  "does not allow",
		filepath.Join(dir, "services/door"):          "does not allow",
		filepath.Join(dir, "services/tool/none"):     "does not allow",
		"services/tool":                              "does not allow",
		"":                                           "does not allow",
		filepath.Join(dir, "services/linked"):        "is a link",
		filepath.Join(dir, "services/tool/index.js"): "does not allow",
	} {
		var r runs
		job, _ := builds(t, Source{Type: Path, Path: path}, &r)
		_, err := b.Build(t.Context(), job)
		wantError(t, path, err, wrong)
	}
}

func TestInstallingReachesTheRegistriesOfTheMachine(t *testing.T) {
	for _, c := range []struct {
		env      []string
		npm, pip []string
		wrong    string
	}{
		{nil, []string{"registry.npmjs.org:443"}, []string{"pypi.org:443", "files.pythonhosted.org:443"}, ""},
		{[]string{"npm_config_registry=http://10.0.0.1:4873/", "PIP_INDEX_URL=https://pypi.example.com/simple", "PIP_FIND_LINKS=/opt/wheels https://w.example.com/"},
			[]string{"registry.npmjs.org:443", "10.0.0.1:4873"}, []string{"pypi.org:443", "files.pythonhosted.org:443", "pypi.example.com:443", "w.example.com:443"}, ""},
		{[]string{"PIP_INDEX_URL=https://ann:s3cret@pypi.example.com/simple"}, []string{"registry.npmjs.org:443"}, nil, "PIP_INDEX_URL in the broker's environment has a user"},
	} {
		b := New(Options{Env: append(c.env, "PATH=/bin")})
		npm, err := b.npmHosts()
		if err != nil || !slices.Equal(npm, c.npm) {
			t.Errorf("%q: npm may reach %q (%v)", c.env, npm, err)
		}
		pip, err := b.pipHosts()
		wantError(t, strings.Join(c.env, " "), err, c.wrong)
		if !slices.Equal(pip, c.pip) || err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: pip may reach %q (%v)", c.env, pip, err)
		}
	}
}

func TestWhatAProgramMadeOfItsRecordIsNotFollowed(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ name, text, wrong string }{
		{"no JSON", `{`, "cannot be read"},
		{"elsewhere", `{"Args": ["/bin/sh"], "Work": "/"}`, "names no program"},
		{"beside", `{"Args": ["/bin/sh"], "Work": "` + dir + `/../x"}`, "names no program"},
		{"no program", `{"Args": [], "Work": "` + dir + `"}`, "names no program"},
		{"a program of the PATH", `{"Args": ["sh"], "Work": "` + dir + `"}`, "names no program"},
		{"gone", `{"Args": ["/bin/sh"], "Work": "` + dir + `/gone"}`, "there no more"},
		{"an environment", `{"Args": ["/bin/sh"], "Work": "` + dir + `", "Env": ["LD_PRELOAD=/evil.so"]}`, ""},
	} {
		if err := os.WriteFile(filepath.Join(dir, builtFile), []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := Load(dir)
		wantError(t, c.name, err, c.wrong)
		if slices.Contains(b.Env, "LD_PRELOAD=/evil.so") && err == nil {
			t.Errorf("%s: the environment is %q", c.name, b.Env)
		}
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, builtFile)), os.Symlink("/etc/hostname", filepath.Join(dir, builtFile))); err != nil {
		t.Skip("this machine makes no links: ", err)
	}
	if b, err := Load(dir); err == nil {
		t.Errorf("a link was followed to %+v", b)
	}
	if err := (&Built{Args: []string{"/x"}, Work: dir}).save(dir); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(filepath.Join(dir, builtFile)); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the record is %v (%v)", info, err)
	}
}

func TestBinsKeepTheirOrder(t *testing.T) {
	for _, c := range []struct{ text, name, want string }{
		{`"a.js"`, "x", "a.js"},
		{`{"z": "z.js", "a": "a.js"}`, "x", "z.js"},
		{`{"z": "z.js", "x": "x.js"}`, "x", "x.js"},
		{`{"z": "z.js", "mcp-x": "x.js"}`, "x", "x.js"},
		{`{"z": 1, "a": "a.js"}`, "x", "a.js"},
		{`[1]`, "x", ""},
		{`null`, "x", ""},
	} {
		var b bins
		if err := json.Unmarshal([]byte(c.text), &b); err != nil {
			t.Errorf("%s: %v", c.text, err)
		}
		if got := b.choose(c.name); got != c.want {
			t.Errorf("of %s it is %q, and is %q", c.text, got, c.want)
		}
	}
}
