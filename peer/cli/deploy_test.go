package cli

import (
	"archive/zip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"claudemesh/wire"
)

func TestDeployTakesOneSource(t *testing.T) {
	for _, c := range []struct {
		args, want string
	}{
		{"deploy db", "give one source"},
		{"deploy db --npx a --uvx b", "give one source"},
		{"deploy db --zip a --dir b", "give one source"},
		{"deploy db --npx a --branch b", "go with --git"},
		{"deploy db --git https://x --auth-file a --auth-env b", "exclude each other"},
		{"deploy db --git https://x --auth-env NONE", "is not set"},
		{"deploy -db --npx a", "-d"},
		{"deploy d.b --npx a", "letters, digits"},
		{"deploy db --npx a --runtime ruby", "node, python, bun"},
		{"deploy db --npx a --scope everyone", "peer, mesh"},
		{"deploy db --npx a --memory -1", "negative"},
		{"deploy db --npx a --env 1X=2", "no name of a variable"},
		{"deploy db --npx a --env GONE", "no such variable"},
		{"scope db everyone", "peer, mesh"},
		{"logs db -n 0", "1 to 1000"},
	} {
		f := newFixture(t)
		f.join(t, "home")
		if code := f.run(t, nil, strings.Fields(c.args)...); code != 2 || !strings.Contains(f.stderr.String(), c.want) {
			t.Errorf("%s: exit %d, %s", c.args, code, &f.stderr)
		}
	}
}

func TestWhatIsDeployedIsWhatTheFlagsSay(t *testing.T) {
	f := newFixture(t)
	f.getenv("TOKEN", "s3cret", "HOMEPAGE", "here")
	f.fill()
	d := deployFlags{
		git: "https://example.com/x", branch: "dev", authEnv: "TOKEN", env: repeated{"A=1=2", "HOMEPAGE", "B=$vault:b", "C="}, allow: repeated{"a.example", "b.example:5432"},
		scope: "group:ops", memory: 512, cpus: 0.5, runtime: "python", description: "what",
	}
	req, err := d.request(&f.Env, "db", []string{"--root", "."})
	if err != nil {
		t.Fatal(err)
	}
	s := req.Source
	if s.Kind != wire.SourceGit || s.URL != "https://example.com/x" || s.Branch != "dev" || s.Auth != "s3cret" {
		t.Errorf("source is %+v", s)
	}
	if got := req.Config.Args; !slices.Equal(got, []string{"--root", "."}) {
		t.Errorf("arguments are %q", got)
	}
	e := req.Config.Env
	if len(e) != 4 || e["A"] != "1=2" || e["HOMEPAGE"] != "here" || e["B"] != "$vault:b" || e["C"] != "" {
		t.Errorf("environment is %v", e)
	}
	if req.Scope == nil || req.Scope.Group != "ops" || req.Config.MemoryMB != 512 || req.Config.CPUs != 0.5 || len(req.Config.NetworkAllow) != 2 || req.Config.Runtime != "python" {
		t.Errorf("it is %+v", req)
	}
}

func TestFilesOfVariablesAreReadAsPeopleWriteThem(t *testing.T) {
	file := filepath.Join(t.TempDir(), "vars")
	text := "# comment\n\nA=1\nexport B = two words \nC='quoted # not a comment'\nD=\"d\"\nE=\nF=a=b\r\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f := newFixture(t)
	f.fill()
	got, err := readVariables(&f.Env, []string{file}, []string{"A=later"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"A": "later", "B": "two words", "C": "quoted # not a comment", "D": "d", "E": "", "F": "a=b"} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %q, want %q", name, v, want)
		}
	}
	for _, bad := range []string{"A=1\nhunter2\n", "A=1\n2B=hunter2\n"} {
		f.Stdin = strings.NewReader(bad)
		if _, err := readVariables(&f.Env, []string{"-"}, nil); err == nil || !strings.Contains(err.Error(), "line 2") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestAPackedDirectoryHasTheProjectAlone(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		"package.json", "src/index.js", "bin/run", ".env.example", ".babelrc",
		"node_modules/x/index.js", ".git/config", "src/__pycache__/a.pyc", "src/b.pyc", ".DS_Store", ".venv/bin/python",
		".env", "conf/.env.local", "key.pem", ".npmrc",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		mode := os.FileMode(0o600)
		if name == "bin/run" {
			mode = 0o700
		}
		if err := os.WriteFile(path, []byte(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	f := newFixture(t)
	f.fill()
	a, err := packDir(&f.Env, dir, "db")
	if err != nil {
		t.Fatal(err)
	}
	r, err := zip.OpenReader(a.file.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var names []string
	for _, e := range r.File {
		names = append(names, e.Name)
		if run := e.Mode().Perm()&0o111 != 0; run != (e.Name == "bin/run") {
			t.Errorf("%s has mode %v", e.Name, e.Mode())
		}
	}
	slices.Sort(names)
	if got := strings.Join(names, " "); got != ".babelrc .env.example bin/run package.json src/index.js" {
		t.Errorf("it has %s", got)
	}
	for _, want := range []string{"Packed 5 files", ".env, .npmrc, conf/.env.local, key.pem", "links: link"} {
		if !strings.Contains(f.stderr.String(), want) {
			t.Errorf("%q is not in %s", want, &f.stderr)
		}
	}
	a.close()
	if _, err := os.Stat(a.file.Name()); !os.IsNotExist(err) {
		t.Errorf("the archive is left behind: %v", err)
	}
	if _, err := packDir(&f.Env, t.TempDir(), "db"); err == nil || !strings.Contains(err.Error(), "nothing to deploy") {
		t.Errorf("an empty directory: %v", err)
	}
}

func TestWhatIsShownOfAFailureIsOfTheLastAttempt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		lines, want []string
	}{
		{"nothing", nil, nil},
		{"one that began before what is kept", []string{"[build] npm install", "[broker] failed: no"}, []string{"[build] npm install", "[broker] failed: no"}},
		{"the second", []string{"[broker] building", "[broker] failed: no", "[broker] building", "[build] git clone"}, []string{"[broker] building", "[build] git clone"}},
	} {
		if got := attempt(c.lines); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}
