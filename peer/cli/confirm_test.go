package cli

import (
	"errors"
	"strings"
	"testing"
)

func TestConfirmAsksAtATerminalOnly(t *testing.T) {
	for _, c := range []struct {
		name     string
		yes      bool
		terminal bool
		reply    string
		want     error // nil: go on
	}{
		{"--yes needs no terminal", true, false, "", nil},
		{"y", false, true, "y\n", nil},
		{"Yes", false, true, "Yes\r\n", nil},
		{"no", false, true, "n\n", errDeclined},
		{"return alone is no", false, true, "\n", errDeclined},
		{"the end of input is no", false, true, "", errDeclined},
		{"an endless line is no", false, true, strings.Repeat("y", 5000), errDeclined},
	} {
		f := newFixture(t)
		f.Stdin = strings.NewReader(c.reply)
		f.IsTerminal = func(any) bool { return c.terminal }
		f.fill()
		err := f.confirm(t.Context(), c.yes, "Delete %s?", "e\x1bvil")
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if asked := f.stderr.String(); c.yes != (asked == "") || strings.Contains(asked, "e\x1b") {
			t.Errorf("%s: asked %q", c.name, asked)
		}
	}
	f := newFixture(t)
	f.Stdin = strings.NewReader("y\n")
	f.fill()
	err := f.confirm(t.Context(), false, "Delete?")
	if hint, ok := errors.AsType[*HintError](err); !ok || !strings.Contains(hint.Hint, "--yes") {
		t.Errorf("without a terminal: %v", err)
	}
}
