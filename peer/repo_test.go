package peer

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestARepositoryIsNamedByItsRemote(t *testing.T) {
	for _, c := range []struct{ remote, want string }{
		{"https://github.com/Owner/Repo.git", "github.com/owner/repo"},
		{"https://user:secret@github.com/owner/repo", "github.com/owner/repo"},
		{"git@github.com:owner/repo.git", "github.com/owner/repo"},
		{"github.com:owner/repo/", "github.com/owner/repo"},
		{"ssh://git@git.example.com:2222/a/b/c.git", "git.example.com/a/b/c"},
		{"git://[2001:db8::1]/x", "2001:db8::1/x"},
		{"/srv/git/x.git", ""}, {"../x", ""}, {"file:///srv/x.git", ""}, {`C:\work\x`, ""}, {"", ""}, {"https://github.com/", ""},
	} {
		if got := remoteID(c.remote); got != c.want {
			t.Errorf("%q is %q, want %q", c.remote, got, c.want)
		}
	}
	if got := remoteID("https://h/" + strings.Repeat("x", 300)); !strings.HasPrefix(got, "remote:") {
		t.Error(got)
	}
}

// gitIn runs git in a directory, as somebody without a configuration.
func gitIn(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func TestFindRepo(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git on this machine")
	}
	for _, name := range []string{"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"} {
		t.Setenv(name, os.DevNull)
	}
	dir := t.TempDir()
	at := func(dir string) Repo {
		t.Helper()
		r, err := FindRepo(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := at(dir); !strings.HasPrefix(r.ID, "path:") || r.Prefix != "" {
		t.Errorf("no repository: %+v", r)
	}
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	gitIn(t, dir, "init", one)
	empty := at(one)
	if !strings.HasPrefix(empty.ID, "path:") || empty.ID == at(dir).ID {
		t.Errorf("empty: %+v", empty)
	}
	gitIn(t, one, "commit", "--allow-empty", "-m", "first")
	gitIn(t, dir, "clone", one, two)
	gitIn(t, two, "commit", "--allow-empty", "-m", "second")
	if a, b := at(one), at(two); !strings.HasPrefix(a.ID, "root:") || a.ID != b.ID {
		t.Errorf("a clone: %q and %q", a.ID, b.ID)
	}
	below := filepath.Join(two, "src", "parser")
	if err := os.MkdirAll(below, 0o700); err != nil {
		t.Fatal(err)
	}
	gitIn(t, two, "remote", "set-url", "origin", "git@example.com:me/it.git")
	if r := at(below); r.ID != "example.com/me/it" || r.Prefix != "src/parser/" || filepath.Base(r.Root) != "two" {
		t.Errorf("below: %+v", r)
	}
	gitIn(t, two, "config", "claudemesh.repo", "it")
	if r := at(two); r.ID != "it" {
		t.Errorf("configured: %+v", r)
	}
	gitIn(t, two, "config", "claudemesh.repo", strings.Repeat("x", 201))
	if r, err := FindRepo(t.Context(), two); err == nil {
		t.Errorf("a name that is too long: %+v", r)
	}
}

func TestPatternsAreThoseOfTheRepository(t *testing.T) {
	r := Repo{Root: "/repo/it", Prefix: "src/parser/"}
	for _, c := range []struct{ text, want string }{
		{"lex.go", "src/parser/lex.go"}, {"./lex.go", "src/parser/lex.go"}, {"../x", "src/x"}, {"../../x/*", "x/*"}, {"..", "src"}, {"../..", "**"},
		{"/docs", "docs"}, {"/repo/it/a/b", "a/b"}, {".", "src/parser"}, {"**/*.go", "src/parser/**/*.go"}, {"../../..", ""}, {"", ""},
	} {
		got, err := r.Patterns([]string{c.text})
		if c.want == "" && err == nil || c.want != "" && (err != nil || !reflect.DeepEqual(got, []string{c.want})) {
			t.Errorf("%q: %v, %v, want %q", c.text, got, err, c.want)
		}
	}
}
