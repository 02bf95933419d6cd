package cli

import (
	"strings"
	"testing"
)

func TestAPictureReplacesItself(t *testing.T) {
	for _, c := range []struct {
		name     string
		terminal bool
		vars     map[string]string
		want     string
	}{
		{"at a terminal", true, map[string]string{"COLUMNS": "30"}, "\x1b[1mone\x1b[0m\ntwo\n\x1b[2A\x1b[Jan escape \ufffd[2J is text, and …\n"},
		{"without colours", true, map[string]string{"COLUMNS": "30", "NO_COLOR": "1"}, "one\ntwo\n\x1b[2A\x1b[Jan escape \ufffd[2J is text, and …\n"},
		{"at a terminal that cannot", true, map[string]string{"TERM": "dumb"}, ""},
		{"in a pipe", false, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			env := &Env{Stdout: &out, Stderr: &out, IsTerminal: func(any) bool { return c.terminal }, Getenv: func(name string) string { return c.vars[name] }}
			env.fill()
			if pic := env.Out().Picture(); pic != nil {
				pic.Draw([]Styled{{Bold, "one"}, {Plain, "two"}})
				pic.Draw([]Styled{{Plain, "an escape \x1b[2J is text, and a long one is cut"}})
			}
			if out.String() != c.want {
				t.Errorf("it printed %q, want %q", out.String(), c.want)
			}
		})
	}
}
