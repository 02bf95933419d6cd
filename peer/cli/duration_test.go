package cli

import (
	"testing"
	"time"
)

func TestSpansAreReadAsPeopleWriteThem(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"90": 90 * time.Second, "90s": 90 * time.Second, "1.5h": 90 * time.Minute, "1h30m": 90 * time.Minute, "7d": 7 * day,
		"1d12h": 36 * time.Hour, "2 days": 2 * day, "1 h 30 min": 90 * time.Minute, "250ms": 250 * time.Millisecond, "0": 0, "5M": 5 * time.Minute,
	} {
		got, err := parseSpan(text)
		if got != want || err != nil {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
		if again, err := parseSpan(formatSpan(want)); again != want || err != nil {
			t.Errorf("%v is written as %q, which is read as %v, %v", want, formatSpan(want), again, err)
		}
	}
	for _, text := range []string{"", "soon", "s", "-5s", "5x", "1h30", "1..5s", "5s s", "1e9s", "999999999999d", "٣s", "5 s 3"} {
		if got, err := parseSpan(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
	for d, want := range map[time.Duration]string{7 * day: "7d", 12 * time.Hour: "12h", time.Minute: "1m", 90 * time.Minute: "1h30m", 90 * time.Second: "1m30s", 0: "0s"} {
		if got := formatSpan(d); got != want {
			t.Errorf("%v is written as %q, want %q", d, got, want)
		}
	}
}

func FuzzParseSpan(f *testing.F) {
	f.Add("1h30m")
	f.Add("7d")
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := parseSpan(text); err == nil && d < 0 {
			t.Errorf("%q is %v", text, d)
		}
	})
}
