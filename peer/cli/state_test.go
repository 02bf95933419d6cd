package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"claudemesh/wire"
)

func TestTextsArePrintedAsTheyAreAndOtherValuesAsJSON(t *testing.T) {
	for value, want := range map[string]string{
		`"green"`: "green", `"1"`: "1", `1`: "1", `null`: "null", `{"a":"\u003cb\u003e"}`: `{"a":"<b>"}`, `"line\nline"`: "line\nline", `"\u003c"`: "<",
	} {
		if got := plainValue(wire.Value(value)); got != want {
			t.Errorf("%s is printed as %q", value, got)
		}
	}
}

func TestWhatMustHaveBeenThereIsSaidOnce(t *testing.T) {
	if s, err := expected("", false); s != nil || err != nil {
		t.Errorf("nothing: %v, %v", s, err)
	}
	if s, err := expected("", true); s == nil || !s.IsZero() || err != nil {
		t.Errorf("unset: %v, %v", s, err)
	}
	if s, err := expected("2026-01-31T09:00:00.123Z", false); err != nil || s.String() != "2026-01-31T09:00:00.123Z" {
		t.Errorf("a time: %v, %v", s, err)
	}
	for _, at := range []string{"yesterday", `"`, "2026"} {
		if _, err := expected(at, false); err == nil {
			t.Errorf("%q is taken for a time", at)
		}
	}
	if _, err := expected("2026-01-31T09:00:00.123Z", true); err == nil {
		t.Error("both")
	}
}

func TestPointsInTime(t *testing.T) {
	now := time.Date(2026, 2, 1, 12, 0, 0, 0, time.FixedZone("", 3600))
	for text, want := range map[string]string{
		"": "", "7d": "2026-01-25T11:00:00.000Z", "90s": "2026-02-01T10:58:30.000Z", "2026-01-31": "2026-01-30T23:00:00.000Z",
		"2026-01-31 08:30": "2026-01-31T07:30:00.000Z", "2026-01-31T08:30:00Z": "2026-01-31T08:30:00.000Z",
	} {
		if got, err := pointInTime("since", text, now); err != nil || got.String() != want {
			t.Errorf("%q is %s, %v", text, got, err)
		}
	}
	if _, err := pointInTime("since", "last week", now); err == nil || !strings.Contains(err.Error(), "--since") {
		t.Error(err)
	}
}

// Changes come by pushes and, after a gap, by a listing; each is printed once.
func TestAWatchPrintsEachChangeOnce(t *testing.T) {
	f := newFixture(t)
	f.fill()
	w := &stateWatch{env: &f.Env, known: map[string]wire.Stamp{}, prefix: "a"}
	at := func(n int) wire.Stamp { return wire.StampOf(time.UnixMilli(int64(n))) }
	for _, s := range []wire.StateChange{
		{Key: "a", Value: wire.Value("1"), UpdatedBy: "ann", UpdatedAt: at(1)},
		{Key: "a", Value: wire.Value("1"), UpdatedBy: "ann", UpdatedAt: at(1)},
		{Key: "b", Value: wire.Value("1"), UpdatedBy: "ann", UpdatedAt: at(2)},
		{Key: "a", Value: wire.Value("2"), UpdatedBy: "bob\n", UpdatedAt: at(3)},
		{Key: "a", Value: wire.Value("1"), UpdatedBy: "ann", UpdatedAt: at(2)},
		{Key: "a", UpdatedAt: at(2), UpdatedBy: "old", Deleted: true},
		{Key: "a", UpdatedAt: at(4), Deleted: true},
		{Key: "a", UpdatedAt: at(5), Deleted: true},
		{Key: "a", Value: wire.Value("3"), UpdatedBy: "ann", UpdatedAt: at(6)},
	} {
		if err := w.change(&s); err != nil {
			t.Fatal(err)
		}
	}
	want := "1970-01-01T00:00:00.001Z a = 1 (ann)\n1970-01-01T00:00:00.003Z a = 2 (bob )\n" +
		"1970-01-01T00:00:00.004Z a deleted\n1970-01-01T00:00:00.006Z a = 3 (ann)\n"
	if got := f.stdout.Bytes(); !bytes.Equal(got, []byte(want)) {
		t.Errorf("printed\n%s", got)
	}
}
