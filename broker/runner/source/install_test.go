package source

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// registry skips a test where npm or its registry does not answer.
func registry(t *testing.T) {
	t.Helper()
	needs(t, "node", "npm")
	answers(t, "https://registry.npmjs.org/is-number/latest")
}

func answers(t *testing.T, url string) {
	t.Helper()
	c := http.Client{Timeout: 10 * time.Second}
	res, err := c.Get(url)
	if err != nil {
		t.Skipf("%s does not answer: %v", url, err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Skipf("%s answers with %s", url, res.Status)
	}
}

// needsPython skips a test on a machine whose Python is missing, or cannot make
// environments, as that of a Debian without python3-venv.
func needsPython(t *testing.T) {
	t.Helper()
	needs(t, "python3")
	if out, err := exec.CommandContext(t.Context(), "python3", "-c", "import venv, ensurepip").CombinedOutput(); err != nil {
		t.Skipf("the Python of this machine makes no environments: %v: %s", err, out)
	}
}

func TestAPackageOfNPMIsInstalled(t *testing.T) {
	registry(t)
	t.Setenv("npm_config_cache", t.TempDir())
	got, r := mustBuild(t, New(Options{}), Source{Type: NPX, Package: "semver@7.6.3", Args: []string{"1.2.3", "--increment"}})
	if out := got.output(t); out != "1.2.4" {
		t.Errorf("it says %q", out)
	}
	if !slices.Contains(r.network[0], "registry.npmjs.org:443") || slices.ContainsFunc(r.env[0], func(v string) bool { return strings.HasPrefix(v, "npm_config_cache="+os.Getenv("npm_config_cache")) }) {
		t.Errorf("npm was run with %q and could reach %q", r.env[0], r.network[0])
	}
	for _, c := range []struct{ spec, wrong string }{{"is-number", "has no executable"}, {"is-number@99.99.99", "99.99.99"}} {
		job, _ := builds(t, Source{Type: NPX, Package: c.spec}, r)
		_, err := New(Options{}).Build(t.Context(), job)
		wantError(t, c.spec, err, c.wrong)
	}
}

func TestAProjectOfNodeIsBuiltByItsScripts(t *testing.T) {
	needs(t, "node", "npm")
	t.Parallel()
	makes := "node -e \\\"require('fs').mkdirSync('dist'); require('fs').writeFileSync('dist/index.js', 'console.log(1)')\\\""
	for _, script := range []string{"build", "prepare"} {
		got, r := mustBuild(t, New(Options{}), archiveOf(t, entry{name: "package.json", text: `{"main": "dist/index.js", "scripts": {"` + script + `": "` + makes + `"}}`}))
		if out := got.output(t); out != "1" {
			t.Errorf("%s: it says %q", script, out)
		}
		if n := len(r.args); n != 2 && script == "build" || n != 1 && script == "prepare" {
			t.Errorf("%s: %q ran", script, r.args)
		}
	}
	got, _ := mustBuild(t, New(Options{}), archiveOf(t, entry{name: "package.json", text: `{"main": "none.js", "bin": "b.js", "scripts": {"build": "echo"}}`}, entry{name: "b.js", text: "console.log(2)"}))
	if out := got.output(t); out != "2" {
		t.Errorf("where a build makes no main it says %q", out)
	}
	var r runs
	job, log := builds(t, archiveOf(t, entry{name: "package.json", text: `{"main": "dist/index.js", "scripts": {"build": "echo no such luck && exit 3"}}`}), &r)
	_, err := New(Options{}).Build(t.Context(), job)
	wantError(t, "a script that fails", err, "npm run build")
	if !strings.Contains(log.String(), "no such luck") {
		t.Errorf("the log does not say why:\n%s", log)
	}
}

func TestAProjectOfPythonRunsInItsOwnEnvironment(t *testing.T) {
	needsPython(t)
	t.Parallel()
	says := "import sys; print(sys.prefix != sys.base_prefix, __name__, *sys.argv[1:])"
	for _, files := range [][]entry{
		{{name: "server.py", text: says}, {name: "main.py"}},
		{{name: "src/main.py", text: says}},
	} {
		s := archiveOf(t, files...)
		s.Args = []string{"--x"}
		var r runs
		job, log := builds(t, s, &r)
		job.Runtime = Python
		got, err := New(Options{}).Build(t.Context(), job)
		if err != nil {
			t.Fatalf("%v: %v\n%s", files, err, log)
		}
		if out := got.output(t); out != "True __main__ --x" || got.Runtime != Python {
			t.Errorf("%v: it says %q", files, out)
		}
	}
}

// wheel returns the files of a distribution with a module and console scripts.
func wheel(name string) []entry {
	info := name + "-1.0.dist-info/"
	return []entry{
		{name: name + ".py", text: "def run():\n    import sys\n    print('a tool', *sys.argv[1:])\nif __name__ == '__main__':\n    print('a module')\n"},
		{name: info + "METADATA", text: "Metadata-Version: 2.1\nName: " + name + "\nVersion: 1.0\n"},
		{name: info + "WHEEL", text: "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{name: info + "entry_points.txt", text: "[other]\nx = y\n[console_scripts]\nother = " + name + ":other\n" + strings.ReplaceAll(name, "_", "-") + " = " + name + ":run\n"},
		{name: info + "RECORD"},
	}
}

func TestAPackageOfPyPIIsStartedByItsConsoleScript(t *testing.T) {
	needsPython(t)
	t.Parallel()
	wheels := t.TempDir()
	if err := os.WriteFile(filepath.Join(wheels, "the_tool-1.0-py3-none-any.whl"), makeZip(t, wheel("the_tool")...), 0o600); err != nil {
		t.Fatal(err)
	}
	b := New(Options{Env: append(os.Environ(), "PIP_NO_INDEX=1", "PIP_FIND_LINKS="+wheels, "UV_NO_INDEX=1", "UV_FIND_LINKS="+wheels)})
	got, r := mustBuild(t, b, Source{Type: UVX, Package: "The-Tool==1.0", Args: []string{"x"}})
	if out := got.output(t); out != "a tool x" {
		t.Errorf("it says %q, started by %q", out, got.Args)
	}
	if !slices.Contains(r.network[1], "pypi.org:443") || r.network[0] != nil {
		t.Errorf("its installation may reach %q", r.network)
	}
	job, _ := builds(t, Source{Type: UVX, Package: "the-other-tool"}, r)
	_, err := b.Build(t.Context(), job)
	wantError(t, "a package there is not", err, "the-other-tool")
}

// backend builds the distribution above without any other package.
const backend = `
import os, zipfile
def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = "the_tool-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as z:
        for dir, _, files in os.walk("wheel"):
            for f in files:
                path = os.path.join(dir, f)
                z.write(path, os.path.relpath(path, "wheel"))
    return name
`

func TestADistributionOfPythonIsStartedByItsConsoleScript(t *testing.T) {
	needsPython(t)
	t.Parallel()
	files := []entry{
		{name: "pyproject.toml", text: "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n"},
		{name: "backend.py", text: backend},
		{name: "requirements.txt"},
	}
	for _, f := range wheel("the_tool") {
		files = append(files, entry{name: "wheel/" + f.name, text: f.text})
	}
	got, r := mustBuild(t, New(Options{}), archiveOf(t, files...))
	if out := got.output(t); out != "a tool" {
		t.Errorf("it says %q, started by %q after %q", out, got.Args, r.args)
	}
}

func TestAPackageComesFromPyPI(t *testing.T) {
	needsPython(t)
	answers(t, "https://pypi.org/simple/wheel/")
	t.Parallel()
	got, _ := mustBuild(t, New(Options{}), Source{Type: UVX, Package: "wheel==0.43.0", Args: []string{"version"}})
	if out := got.output(t); !strings.Contains(out, "0.43.0") {
		t.Errorf("it says %q", out)
	}
}
