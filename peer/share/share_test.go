package share

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// tree makes files below dir; a name with a / at its end is a directory.
func tree(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		full := filepath.Join(dir, filepath.FromSlash(name))
		if strings.HasSuffix(name, "/") {
			must(t, os.MkdirAll(full, 0o755))
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(full), 0o755))
		must(t, os.WriteFile(full, []byte(content), 0o644))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// hostile are a shared directory, with secrets in it and beside it, and links
// that try to get at them.
func hostile(t testing.TB) Dirs {
	t.Helper()
	base := t.TempDir()
	shared := filepath.Join(base, "shared")
	tree(t, base, map[string]string{"outside.txt": "SECRET", "outside/x": "SECRET", "config/config.json": "SECRET", "shared2/y": "SECRET"})
	tree(t, shared, map[string]string{
		"a.txt": "a", "empty": "", "a..b": "dots", "..c": "SECRET", "sub/b.txt": "b", "sub/deep/er/c.txt": "c", "CON.txt": "con", "with space": "s", "ünï": "u",
		".env": "SECRET", ".git/config": "SECRET", "sub/.hidden": "SECRET", "id_rsa": "SECRET", "ID_RSA": "SECRET", "prod.env": "SECRET",
		"secrets/plain.txt": "SECRET", "server.KEY": "SECRET", "innocent.txt": "x\n-----BEGIN OPENSSH PRIVATE KEY-----\nSECRET",
		"id_ed25519.": "SECRET", "id_ed25519 ": "SECRET", "\u200b.env": "SECRET", "id_r\u017fa": "SECRET", "conf/config.json": "SECRET",
	})
	for name, target := range map[string]string{
		"out": "../outside.txt", "outdir": "../outside", "absolute": filepath.Join(base, "outside.txt"), "loop": "loop", "one": "two", "two": "one",
		"inner": "sub/b.txt", "innerdir": "sub", "toenv": ".env", "togit": ".git", "tokey": "secrets/plain.txt", "sub/up": "../a.txt", "sub/upup": "../../outside.txt",
		"there/and/back": "../../sub/../a.txt", "gone": "nowhere", "self": ".",
	} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(shared, name)), 0o755))
		if err := os.Symlink(filepath.FromSlash(target), filepath.Join(shared, name)); err != nil {
			t.Skip("no symbolic links here:", err)
		}
	}
	special(t, shared)
	return Dirs{Paths: []string{shared}, Never: []string{filepath.Join(base, "config"), filepath.Join(shared, "conf")}}
}

func TestFilesAreReadAsTheyAreShared(t *testing.T) {
	d := hostile(t)
	for path, want := range map[string]string{
		"a.txt": "a", "empty": "", "a..b": "dots", "sub/b.txt": "b", "./sub//b.txt": "b", "sub/deep/er/c.txt": "c", "with space": "s", "ünï": "u",
		"inner": "b", "innerdir/b.txt": "b", "sub/up": "a", "there/and/back": "a", "self/self/a.txt": "a",
	} {
		if data, err := d.File(path); err != nil || string(data) != want || data == nil {
			t.Errorf("%q: %q, %v; want %q", path, data, err, want)
		}
	}
	if runtime.GOOS != "windows" {
		if data, err := d.File("CON.txt"); string(data) != "con" {
			t.Errorf("a name that only Windows reserves: %q, %v", data, err)
		}
	}
}

// refusals are paths as strangers write them, and what they get.
func refusals() map[string]string {
	return map[string]string{
		"..": "path traversal not allowed", "../outside.txt": "path traversal not allowed", "sub/../a.txt": "path traversal not allowed",
		`..\outside.txt`: "path traversal not allowed", `sub\..\..\outside.txt`: "path traversal not allowed", "sub/..": "path traversal not allowed",
		"/etc/passwd": "file outside shared directories", "//host/share/x": "file outside shared directories", `\\host\share\x`: "file outside shared directories",
		`C:\Windows\win.ini`: "file outside shared directories", "c:/x": "file outside shared directories", "C:x": "file outside shared directories",
		`\x`:  "file outside shared directories",
		"out": "file outside shared directories", "outdir/x": "file outside shared directories", "absolute": "file outside shared directories",
		"sub/upup": "file outside shared directories",
		"loop":     "read error: too many symbolic links", "one": "read error: too many symbolic links",
		"": "not a file", ".": "not a file", "sub": "not a file", "sub/": "not a file", "innerdir": "not a file",
		".env": errDotted.Error(), ".git/config": errDotted.Error(), "sub/.hidden": errDotted.Error(), "..c": errDotted.Error(), "...": errDotted.Error(),
		"toenv": errDotted.Error(), "togit/config": errDotted.Error(), "\u200b.env": errDotted.Error(), " .env": errDotted.Error(),
		"id_rsa": errSecret.Error(), "ID_RSA": errSecret.Error(), "Id_Rsa.bak": errSecret.Error(), "prod.env": errSecret.Error(), "server.KEY": errSecret.Error(),
		"secrets/plain.txt": errSecret.Error(), "SECRETS/plain.txt": errSecret.Error(), "tokey": errSecret.Error(), "innocent.txt": errSecret.Error(),
		"id_ed25519.": errSecret.Error(), "id_ed25519 ": errSecret.Error(), "id_rsa::$DATA": errSecret.Error(), "id_r\u017fa": errSecret.Error(), "id_\u200brsa": errSecret.Error(),
		"conf/config.json": errSecret.Error(),
		"missing":          "file not found", "a.txt/x": "file not found", "gone": "file not found", "sub/missing/x": "file not found",
		"a\x00b": "file not found", "a.txt\x00": "file not found", "sub\\b.txt": "file not found", strings.Repeat("../", 3000) + "x": "path traversal not allowed",
	}
}

func TestHostilePathsGetNothing(t *testing.T) {
	d := hostile(t)
	for path, want := range refusals() {
		if runtime.GOOS == "windows" && want != "path traversal not allowed" {
			want = ""
		}
		data, err := d.File(path)
		if err == nil || data != nil || want != "" && err.Error() != want {
			t.Errorf("%.60q: %q, %v; want %s", path, data, err, want)
		}
	}
	long := strings.Repeat("n", 300)
	if _, err := d.File(long); err == nil || strings.Contains(err.Error(), d.Paths[0]) {
		t.Errorf("a name of 300 characters: %v", err)
	}
	if _, err := d.File(strings.Repeat("d/", 2000) + "x"); err == nil {
		t.Error("a path of 4000 characters was read")
	}
}

func TestWhatIsNoFileIsNotOpened(t *testing.T) {
	d := hostile(t)
	for _, path := range []string{"pipe", "socket"} {
		if _, err := os.Lstat(filepath.Join(d.Paths[0], path)); err != nil {
			continue // not on this system
		}
		if _, err := d.File(path); err == nil || err.Error() != "not a file" {
			t.Errorf("%s: %v", path, err)
		}
	}
	dev := Dirs{Paths: []string{os.DevNull[:len(os.DevNull)-len(filepath.Base(os.DevNull))]}}
	if runtime.GOOS == "linux" {
		if _, err := dev.File("null"); err == nil || err.Error() != "not a file" {
			t.Errorf("a device: %v", err)
		}
	}
}

func TestFilesHaveALimit(t *testing.T) {
	d := Dirs{Paths: []string{t.TempDir()}}
	tree(t, d.Paths[0], map[string]string{"full": strings.Repeat("x", MaxFile), "over": strings.Repeat("x", MaxFile+1)})
	if data, err := d.File("full"); err != nil || len(data) != MaxFile {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if _, err := d.File("over"); err == nil || err.Error() != "file too large (1048577 bytes, max 1048576)" {
		t.Error(err)
	}
}

func TestNothingIsSharedByDefault(t *testing.T) {
	if _, err := (Dirs{}).File("a.txt"); !errors.Is(err, ErrDisabled) {
		t.Error(err)
	}
	if _, _, err := (Dirs{}).List("", ""); !errors.Is(err, ErrDisabled) {
		t.Error(err)
	}
	gone := Dirs{Paths: []string{filepath.Join(t.TempDir(), "gone")}}
	if _, err := gone.File("a.txt"); err == nil || err.Error() != "file not found" {
		t.Error(err)
	}
	if _, _, err := gone.List("", ""); err == nil || err.Error() != "directory not found" {
		t.Error(err)
	}
}

func TestDirectoriesAreOneAfterTheOther(t *testing.T) {
	d := Dirs{Paths: []string{t.TempDir(), t.TempDir()}}
	tree(t, d.Paths[0], map[string]string{"both": "first", "src/a": "", "plain": ""})
	tree(t, d.Paths[1], map[string]string{"both": "second", "src/b": "", "only": "second", "plain/x": "below"})
	for path, want := range map[string]string{"both": "first", "only": "second", "plain/x": "below"} {
		if data, err := d.File(path); err != nil || string(data) != want {
			t.Errorf("%s: %q, %v", path, data, err)
		}
	}
	got, more, err := d.List("", "")
	if want := []string{"both", "only", "plain", "plain/", "plain/x", "src/", "src/a", "src/b"}; err != nil || more || !slices.Equal(got, want) {
		t.Errorf("%q, %v, %v", got, more, err)
	}
}

func TestListsShowWhatCanBeRead(t *testing.T) {
	d := hostile(t)
	got, more, err := d.List("", "")
	if err != nil || more {
		t.Fatal(more, err)
	}
	for _, path := range []string{"a.txt", "a..b", "inner", "sub/", "sub/b.txt", "sub/deep/", "sub/deep/er/", "sub/up", "there/and/back"} {
		if !slices.Contains(got, path) {
			t.Errorf("%s is not listed", path)
		}
	}
	for _, path := range got {
		if strings.Contains(path, "innocent") { // is known only from its content
			continue
		}
		if _, err := d.File(path); !strings.HasSuffix(path, "/") && err != nil {
			t.Errorf("%q is listed and cannot be read: %v", path, err)
		}
	}
	if !slices.IsSorted(got) || slices.Contains(got, "sub/deep/er/c.txt") || slices.Contains(got, "innerdir/") {
		t.Errorf("%q", got)
	}
	if deep, _, err := d.List("sub/deep", ""); err != nil || !slices.Equal(deep, []string{"er/", "er/c.txt"}) {
		t.Errorf("%q, %v", deep, err)
	}
	for path, want := range map[string]string{
		"..": "path traversal not allowed", "/": "directory outside shared directories", "a.txt": "not a directory", "missing": "directory not found",
		".git": errDotted.Error(), "togit": errDotted.Error(), "outdir": "directory outside shared directories", "secrets": errSecret.Error(), "conf": errSecret.Error(),
	} {
		if _, _, err := d.List(path, ""); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", path, err, want)
		}
	}
}

func TestListsHaveALimit(t *testing.T) {
	d := Dirs{Paths: []string{t.TempDir()}}
	files := map[string]string{"z/deep.txt": ""}
	for i := range MaxEntries {
		files[fmt.Sprintf("f%03d.go", i)] = ""
	}
	tree(t, d.Paths[0], files)
	got, more, err := d.List("", "")
	if err != nil || !more || len(got) != MaxEntries || !slices.Contains(got, "f000.go") {
		t.Errorf("%d entries, %v, %v", len(got), more, err)
	}
	if got, more, err = d.List("", "*.txt"); err != nil || more || !slices.Equal(got, []string{"z/deep.txt"}) {
		t.Errorf("a directory that does not fit is entered: %q, %v, %v", got, more, err)
	}
	for i := range maxSeen {
		files[fmt.Sprintf("m/%05d", i)] = ""
	}
	tree(t, d.Paths[0], files)
	if _, more, err = d.List("", "nothing"); err != nil || !more {
		t.Errorf("a listing looks at everything: %v, %v", more, err)
	}
}

func TestPatternsAreAnchoredGlobs(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{"", "a/b", true}, {"*", "a/b", true}, {"*.ts", "a/x.ts", true}, {"*.ts", "xts.js", false}, {"*.ts", "x.tsx", false}, {"*.TS", "x.ts", true},
		{"x?.go", "xa.go", true}, {"x?.go", "x.go", false}, {"x?.go", "xab.go", false}, {"[a-z]", "b", false}, {"[a-z]", "[a-z]", true}, {"a.c", "abc", false},
		{"src/*.go", "src/x.go", true}, {"src/*.go", "src/a/x.go", false}, {"src/*.go", "a/src/x.go", false}, {"src/**/*.go", "src/a/x.go", true},
		{"src/**/*.go", "src/x.go", true}, {"**/x.go", "x.go", true}, {"**/x.go", "a/b/x.go", true}, {"**", "a/b", true}, {"a/**", "a/b/c", true},
		{"./src/x.go", "src/x.go", true}, {"/x.go", "x.go", true}, {"/x.go", "a/x.go", false}, {"a/", "a", true}, {"(a+)+$", "aaaa", false},
		{"**/a/**/b", "x/a/y/a/b", true}, {"ÄÖ*", "äöü", true},
	} {
		if got := newPathGlob(c.pattern).fits(c.path); got != c.want {
			t.Errorf("%q fits %q: %v", c.pattern, c.path, got)
		}
	}
}

// A pattern that makes others go back and forth takes steps that can be told
// beforehand.
func TestHostilePatternsCostLittle(t *testing.T) {
	steps := 0
	pattern, text := []rune(strings.Repeat("*a", 64)), []rune(strings.Repeat("a", 1000)+"b")
	matches(pattern, text, func(r rune) bool { return r == '*' }, func(p, r rune) bool { steps++; return p == r })
	if steps > len(pattern)*len(text) {
		t.Errorf("%d steps", steps)
	}
}

func TestWhatShouldNotBeShared(t *testing.T) {
	home := t.TempDir()
	tree(t, home, map[string]string{"project/": "", "file": ""})
	for dir, want := range map[string]string{
		filepath.Join(home, "project"): "", home: "all of your home", filepath.Join(home, "file"): "no directory",
		filepath.VolumeName(home) + string(filepath.Separator): "everything", filepath.Join(home, "gone"): "cannot share",
	} {
		if err := Check(dir, home); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

func TestTheDocumentationHasTheListOfSecrets(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "FILES.md"))
	must(t, err)
	for _, name := range secretNames() {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/FILES.md does not name %s", name)
		}
	}
}

func FuzzPath(f *testing.F) {
	d := hostile(f)
	for path := range refusals() {
		f.Add(path, "*")
	}
	f.Add("innerdir/../a.txt", "**/*.txt")
	f.Add("sub/deep/er/c.txt", "s?b/**")
	f.Fuzz(func(t *testing.T, path, pattern string) {
		data, err := d.File(path)
		if strings.Contains(string(data), "SECRET") {
			t.Fatalf("%q reads a secret", path)
		}
		if err != nil && strings.Contains(err.Error(), filepath.Dir(d.Paths[0])) {
			t.Fatalf("%q tells where it is: %v", path, err)
		}
		entries, _, err := d.List(path, pattern)
		if errors.Is(err, fs.ErrPermission) {
			return
		}
		for _, e := range entries {
			if dotted(filepath.Base(e)) || !fs.ValidPath(strings.TrimSuffix(e, "/")) {
				t.Fatalf("%q lists %q", path, e)
			}
		}
	})
}

func FuzzGlob(f *testing.F) {
	f.Add("*.go", "x.go")
	f.Add("**/a?", "b/c/ab")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		p := newPathGlob(pattern)
		fits := p.fits(path)
		if !strings.ContainsAny(pattern, "*?/") && pattern != "" && pattern != "." {
			if want := fold(path[strings.LastIndexByte(path, '/')+1:]) == fold(pattern); fits != want {
				t.Fatalf("%q fits %q: %v", pattern, path, fits)
			}
		}
	})
}
