package peer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"claudemesh/wire"
)

func TestANameFromElsewhereStaysInItsDirectory(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for name, want := range map[string]string{
		"report.pdf":                   "report.pdf",
		"Größe 1.txt":                  "Größe 1.txt",
		"../../etc/passwd":             "passwd",
		"/etc/cron.d/x":                "x",
		`..\..\Startup\x.bat`:          "x.bat",
		`C:\x`:                         "x",
		"C:x":                          "C_x",
		`\\host\share\x`:               "x",
		"a:stream":                     "a_stream",
		"..":                           "file",
		"...":                          "file",
		"":                             "file",
		".bashrc":                      "_bashrc",
		"..env":                        "_env",
		"-rf":                          "_rf",
		"~root":                        "_root",
		"x. . ":                        "x",
		"CON":                          "_CON",
		"con.txt":                      "_con.txt",
		"nul ":                         "_nul",
		"LPT1.":                        "_LPT1",
		"com¹.log":                     "_com¹.log",
		"COM10":                        "COM10",
		"console.txt":                  "console.txt",
		"a\x00b":                       "a_b",
		"a\nb":                         "a_b",
		"a?*<>|\"b":                    "a______b",
		"\xff":                         "file",
		"\u202egpj.exe":                "_gpj.exe",
		strings.Repeat("x", 300):       strings.Repeat("x", 255),
		strings.Repeat("ä", 200):       strings.Repeat("ä", 127),
		"-" + strings.Repeat("x", 300): "_" + strings.Repeat("x", 254),
	} {
		got := LocalFileName(name)
		if got != want {
			t.Errorf("%q became %q, want %q", name, got, want)
		}
		if filepath.Base(got) != got || !filepath.IsLocal(got) {
			t.Errorf("%q leads out of its directory", got)
		}
		f, err := root.Create(got)
		if err != nil {
			t.Errorf("%q: %v", got, err)
			continue
		}
		f.Close()
	}
}

func FuzzLocalFileName(f *testing.F) {
	for _, s := range []string{"a", "../a", ".x", "NUL", "-", "\x00", strings.Repeat("ä", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := LocalFileName(s)
		if got == "" || len(got) > wire.MaxFileNameBytes || filepath.Base(got) != got || !filepath.IsLocal(got) || got[0] == '.' || got[0] == '-' {
			t.Errorf("%q became %q", s, got)
		}
	})
}
