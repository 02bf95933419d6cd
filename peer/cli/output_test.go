package cli

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"claudemesh/wire"
)

const hostile = "a\x1b]0;pwned\x07b\u009b31mc\u202ed\x00\r\nx\u2066y\U000e0041z\xff"

func TestCleanTakesTheTerminalFromText(t *testing.T) {
	for in, want := range map[string]string{
		"plain, äöü 日本 👩‍👩‍👧": "plain, äöü 日本 👩‍👩‍👧",
		"a\nb\tc":       "a\nb\tc",
		"a\r\nb\rc":     "a\nb\ufffdc",
		"\x1b[2J":       "\ufffd[2J",
		"\u009b2J":      "\ufffd2J",
		"abc\u202edef":  "abcdef",
		"a\u2028b":      "a\nb",
		"\xff":          "\ufffd",
		"\U000e0041":    "",
		"\u200bx\ufeff": "x",
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := CleanLine("a\nb\tc\u2028d"); got != "a b c d" {
		t.Errorf("CleanLine: %q", got)
	}
}

func FuzzClean(f *testing.F) {
	f.Add(hostile)
	f.Fuzz(func(t *testing.T, s string) {
		got := CleanLine(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) {
			t.Errorf("CleanLine(%q) = %q", s, got)
		}
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		clean := cleanJSON(data)
		if strings.ContainsFunc(string(clean), unicode.IsControl) {
			t.Errorf("cleanJSON(%q) = %q", data, clean)
		}
		var before, after string
		if err := errors.Join(json.Unmarshal(data, &before), json.Unmarshal(clean, &after)); err != nil || before != after {
			t.Errorf("cleanJSON changed %q to %q: %v", before, after, err)
		}
	})
}

func terminal(t *testing.T, env ...string) *fixture {
	f := newFixture(t)
	f.IsTerminal = func(any) bool { return true }
	f.getenv(env...)
	f.fill()
	return f
}

func TestNothingPrintedReachesTheTerminalUncleaned(t *testing.T) {
	f := terminal(t, "TERM", "dumb")
	out := f.Out()
	type named string
	out.Printf("%s %v %v %s %v %v\n", hostile, errors.New(hostile), Styled{Red, hostile}, named(hostile), []string{hostile}, struct{ A string }{hostile})
	out.Text(hostile)
	table := out.Table("X")
	table.Row(hostile, Styled{Bold, hostile})
	table.Flush()
	if err := out.JSON(map[string]string{hostile: hostile}); err != nil {
		t.Fatal(err)
	}
	bad := func(r rune) bool { return r != '\n' && (unicode.IsControl(r) || invisible(r)) }
	if got := f.stdout.String(); strings.ContainsFunc(got, bad) {
		t.Errorf("printed %q", got)
	}
}

func TestOnlyATerminalGetsColoursAndColumns(t *testing.T) {
	print := func(f *fixture) string {
		f.fill()
		table := f.Out().Table("NAME", "WHAT", "WHEN")
		table.Row(Styled{Green, "Ada"}, 7, f.Now().Add(-3*time.Minute))
		table.Row("日本", "a longer text", time.Time{})
		table.Flush()
		return f.stdout.String()
	}
	const columns = "NAME  WHAT           WHEN\nAda   7              3 min ago\n日本  a longer text  -\n"
	for name, tt := range map[string]struct {
		f    *fixture
		want string
	}{
		"pipe":     {newFixture(t), "Ada\t7\t2026-05-04T11:57:00.000Z\n日本\ta longer text\t\n"},
		"NO_COLOR": {terminal(t, "NO_COLOR", "1", "TERM", "xterm"), columns},
		"dumb":     {terminal(t, "TERM", "dumb"), columns},
		"colour": {terminal(t, "TERM", "xterm"), "\x1b[2mNAME\x1b[0m  \x1b[2mWHAT\x1b[0m           \x1b[2mWHEN\x1b[0m\n" +
			"\x1b[32mAda\x1b[0m   7              3 min ago\n日本  a longer text  -\n"},
	} {
		if got := print(tt.f); got != tt.want {
			t.Errorf("%s:\n%q, want\n%q", name, got, tt.want)
		}
	}
	f := newFixture(t)
	f.fill()
	f.Out().Table("NAME").Flush()
	f.Out().Text("as \x1b it is")
	if f.stdout.String() != "as \x1b it is\n" {
		t.Errorf("printed %q", &f.stdout)
	}
}

func TestTheLastColumnIsCutToTheTerminal(t *testing.T) {
	f := terminal(t, "TERM", "dumb", "COLUMNS", "30")
	table := f.Out().Table("NAME", "SUMMARY")
	table.Row("Ada", strings.Repeat("日", 20))
	table.Flush()
	if want := "NAME  SUMMARY\nAda   " + strings.Repeat("日", 11) + "…\n"; f.stdout.String() != want {
		t.Errorf("printed %q, want %q", &f.stdout, want)
	}
}

func TestTimesAreRelativeForPeople(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for ago, want := range map[time.Duration]string{
		0:                             "now",
		999 * time.Millisecond:        "now",
		59 * time.Second:              "59 s ago",
		3*time.Minute + 9*time.Second: "3 min ago",
		-2 * time.Hour:                "in 2 h",
		23 * time.Hour:                "23 h ago",
		30 * time.Hour:                "1 day ago",
		6 * 24 * time.Hour:            "6 days ago",
		7 * 24 * time.Hour:            "2026-04-27",
		-30 * 24 * time.Hour:          "2026-06-03",
	} {
		if got := relative(now.Add(-ago), now); got != want {
			t.Errorf("%s ago: %q, want %q", ago, got, want)
		}
	}
	f := newFixture(t)
	f.fill()
	f.Out().Printf("%s", wire.Time(now))
	if f.stdout.String() != "2026-05-04T12:00:00.000Z" {
		t.Errorf("in a pipe: %s", &f.stdout)
	}
}

func TestProgressShowsAfterASecondAndGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := terminal(t, "TERM", "dumb")
		done := f.Progress("connecting to ho\x1bme")
		time.Sleep(900 * time.Millisecond)
		done()
		done()
		if f.stderr.Len() > 0 {
			t.Errorf("a short wait shows %q", &f.stderr)
		}
		done = f.Progress("connecting")
		time.Sleep(2500 * time.Millisecond)
		done()
		if want := "\rconnecting… 1 s\rconnecting… 2 s\r" + strings.Repeat(" ", 15) + "\r"; f.stderr.String() != want {
			t.Errorf("shows %q, want %q", &f.stderr, want)
		}
	})
	f := newFixture(t)
	f.fill()
	f.Progress("x")()
	if f.stderr.Len() > 0 {
		t.Error("shows in a pipe")
	}
}
