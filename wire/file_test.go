package wire

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAFileNameIsABaseNameThatShowsAsItIs(t *testing.T) {
	long := strings.Repeat("ä", 200)
	for in, want := range map[string]string{
		"report.pdf":             "report.pdf",
		"Größe 1.txt":            "Größe 1.txt",
		"../../etc/passwd":       "passwd",
		"/etc/shadow":            "shadow",
		`C:\Windows\system.ini`:  "system.ini",
		`..\..\x`:                "x",
		"a/b/":                   "b",
		"..":                     "file",
		".":                      "file",
		"...":                    "file",
		"":                       "file",
		"/":                      "_",
		" \t":                    "_",
		"a\x00b\x1b[31m":         "a_b_[31m",
		"a\nb":                   "a_b",
		"\xff\xfe":               "_",
		"exe\u202etxt":           "exe_txt",
		"CON":                    "CON",
		long:                     strings.Repeat("ä", 127),
		strings.Repeat("x", 300): strings.Repeat("x", 255),
	} {
		if got := CleanFileName(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func FuzzCleanFileName(f *testing.F) {
	for _, s := range []string{"a", "../a", "a\\b", "\x00", strings.Repeat("ä", 300), " . "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := CleanFileName(s)
		if got == "" || len(got) > MaxFileNameBytes || !utf8.ValidString(got) || strings.ContainsAny(got, "/\\\x00") || got == "." || got == ".." {
			t.Errorf("%q became %q", s, got)
		}
		if again := CleanFileName(got); again != got {
			t.Errorf("%q becomes %q, and that %q", s, got, again)
		}
	})
}
