package runner

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"claudemesh/wire"
)

func vault(path, data string) string { return wire.VaultFileValue(path, []byte(data)) }

func TestVariablesAreChecked(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		want string // empty: it may be
	}{
		"none":          {nil, ""},
		"plain":         {map[string]string{"API_KEY": "x", "_a1": ""}, ""},
		"files":         {map[string]string{"A": vault("/etc/a b/key.pem", "x"), "B": vault("etc/b:c", "y")}, ""},
		"name":          {map[string]string{"A=B": ""}, "no name of a variable"},
		"no name":       {map[string]string{"": ""}, "no name of a variable"},
		"digit":         {map[string]string{"1A": ""}, "no name of a variable"},
		"zero":          {map[string]string{"A": "x\x00y"}, "zero byte"},
		"out":           {map[string]string{"A": vault("../x", "")}, "leads out"},
		"out below":     {map[string]string{"A": vault("/a/../../x", "")}, "leads out"},
		"within":        {map[string]string{"A": vault("a/../x", "")}, "leads out"},
		"backslash":     {map[string]string{"A": vault(`..\x`, "")}, "leads out"},
		"no path":       {map[string]string{"A": vault("/", "")}, "no path"},
		"the directory": {map[string]string{"A": vault("./.", "")}, "no path"},
		"half":          {map[string]string{"A": "__vault_file__:x"}, "must be __vault_file__"},
		"no base64":     {map[string]string{"A": "__vault_file__:x:%%"}, "not base64"},
		"same":          {map[string]string{"A": vault("x", ""), "B": vault("/./x", "")}, "same path"},
		"under":         {map[string]string{"A": vault("x", ""), "B": vault("x/y", "")}, "same path"},
	} {
		err := checkEnv(c.env)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFilesOfSecretsAreTheServicesAlone(t *testing.T) {
	r := &Runner{opts: Options{Dir: t.TempDir()}}
	s := newService(r, "db")
	env := map[string]string{"CERT": vault("/etc/ssl/key.pem", "-----KEY-----"), "PLAIN": "x", "TOP": vault("token", "t0k3n")}
	for range 2 { // as after a restart
		vars, err := s.writeSecrets(3, env)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(r.opts.Dir, "db", "secrets", "3")
		want := []string{"CERT=" + filepath.Join(dir, "etc/ssl/key.pem"), "PLAIN=x", "TOP=" + filepath.Join(dir, "token")}
		if !slices.Equal(vars, want) {
			t.Errorf("%q", vars)
		}
		p, err := os.ReadFile(filepath.Join(dir, "etc/ssl/key.pem"))
		if err != nil || string(p) != "-----KEY-----" {
			t.Errorf("%q, %v", p, err)
		}
		for path, mode := range map[string]os.FileMode{"token": 0o600, "etc/ssl/key.pem": 0o600, "etc/ssl": 0o700, "": 0o700} {
			if info, err := os.Stat(filepath.Join(dir, path)); err != nil || info.Mode().Perm() != mode {
				t.Errorf("%q: %v, %v", path, info.Mode(), err)
			}
		}
	}
	hidden := secretsOf(Spec{Env: env})
	for _, want := range []string{"-----KEY-----", "x", "t0k3n", base64.StdEncoding.EncodeToString([]byte("t0k3n"))} {
		if !slices.Contains(hidden, want) {
			t.Errorf("%q is not hidden", want)
		}
	}
}

func TestADirectoryThatItsOwnerHasClosedIsDeleted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "x")
	closed := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(filepath.Join(closed, "c"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{closed, filepath.Dir(closed)} {
		if err := os.Chmod(p, 0o500); err != nil {
			t.Fatal(err)
		}
	}
	if err := removeAll(dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("it is there")
	}
}
