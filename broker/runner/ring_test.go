package runner

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"claudemesh/wire"
)

func TestTheLogKeepsItsLastLines(t *testing.T) {
	g := newRing(100)
	for i := range 3 {
		g.add("", fmt.Sprint(i))
	}
	for _, c := range []struct {
		lines int
		after int64
		want  string
		next  int64
	}{
		{10, 0, "0 1 2", 103},
		{2, 0, "1 2", 103},
		{0, 0, "", 103},
		{-1, 0, "", 103},
		{10, 101, "1 2", 103},
		{1, 101, "1", 102},
		{10, 103, "", 103},
		{10, 5, "0 1 2", 103},
		{10, 500, "", 103}, // of a log that is no more
	} {
		lines, next := g.read(c.lines, c.after)
		if got := strings.Join(lines, " "); got != c.want || next != c.next {
			t.Errorf("%d after %d: %q, next %d", c.lines, c.after, got, next)
		}
	}
	for i := range 2 * keptLines {
		g.add("", fmt.Sprint(i))
	}
	lines, next := g.read(5000, 0)
	if len(lines) != keptLines || lines[0] != "1000" || lines[999] != "1999" || next != 103+2*keptLines {
		t.Errorf("%d lines from %s, next %d", len(lines), lines[0], next)
	}
	if lines, _ := g.read(1, 103); lines[0] != "1000" {
		t.Errorf("after what is gone comes %q", lines)
	}
}

func TestLinesAreFitToBeShown(t *testing.T) {
	g := newRing(0)
	g.hide([]string{"short", "hunter2hunter2", "-----BEGIN KEY-----\nMIIEvQIBADAN\r\n-----END KEY-----", "hunter2hunter2hunter2"})
	w := &lineWriter{ring: g, prefix: "[stderr] "}
	long := strings.Repeat("é", 5000)
	for _, p := range []string{
		"one\ntw", "o\r\n\n", "\x1b[31mred\x1b[0m \x07bell\n", "bad \xff\n", "is short\n", "pw=hunt", "er2hunter2!\n",
		"hunter2hunter2hunter2\n", "MIIEvQIBADAN\n", long + "\nend",
	} {
		w.Write([]byte(p))
	}
	w.flush()
	w.flush()
	lines, _ := g.read(100, 0)
	cut := lines[8]
	lines[8] = "cut"
	want := []string{"one", "two", "red bell", "bad \uFFFD", "is short", "pw=[redacted]!", "[redacted]", "[redacted]", "cut", "[stderr] end"}
	for i := range 8 {
		want[i] = "[stderr] " + want[i]
	}
	if !slices.Equal(lines, want) {
		t.Errorf("%q", lines)
	}
	if len(cut) > wire.MaxLogLine || !strings.HasSuffix(cut, "é…") {
		t.Errorf("a long line has %d bytes and ends with %q", len(cut), cut[len(cut)-10:])
	}
}
