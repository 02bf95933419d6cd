package peer

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// ParseMoment reads a time as people write it, in the zone of now: a time of day,
// such as 17:30 or 5pm, which is its next occurrence; today, tomorrow or a day of
// the week before one; or a date with a time, in RFC 3339 too.
func ParseMoment(text string, now time.Time) (time.Time, error) {
	text = strings.Join(strings.Fields(text), " ")
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	words := strings.ToLower(text)
	day, clock, given := strings.Cut(words, " ")
	ahead, isDay := daysAhead(day, now)
	if !isDay {
		ahead, clock, given = 0, words, true
	}
	h, m, s, ok := timeOfDay(clock)
	if !given || !ok {
		return time.Time{}, fmt.Errorf("%q is no time: write 17:30, 5pm, tomorrow 9:00, friday 14:00 or 2026-12-24 18:00", text)
	}
	on := func(days int) time.Time {
		return time.Date(now.Year(), now.Month(), now.Day()+days, h, m, s, 0, now.Location())
	}
	t := on(ahead)
	switch {
	case t.After(now):
	case !isDay:
		t = on(1)
	case day != "today":
		t = on(ahead + 7) // that day of the week is today
	}
	return t, nil
}

// daysAhead is how far the day is that is so called, from today on.
func daysAhead(name string, now time.Time) (days int, ok bool) {
	switch name {
	case "today":
		return 0, true
	case "tomorrow":
		return 1, true
	}
	for d := range 7 {
		full := strings.ToLower(now.AddDate(0, 0, d).Weekday().String())
		if name == full || name == full[:3] {
			return d, true
		}
	}
	return 0, false
}

func timeOfDay(text string) (h, m, s int, ok bool) {
	text = strings.TrimPrefix(text, "at ")
	for _, layout := range []string{"15:04", "15:04:05", "3:04pm", "3pm", "3:04 pm", "3 pm"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.Hour(), t.Minute(), t.Second(), true
		}
	}
	if text == "noon" {
		return 12, 0, 0, true
	}
	return 0, 0, 0, false
}

// LocalZone returns the IANA name of this machine's time zone, empty if it cannot
// be found out.
func LocalZone(getenv func(string) string) string {
	if zone := strings.TrimPrefix(getenv("TZ"), ":"); zone != "" {
		if _, err := time.LoadLocation(zone); err != nil || strings.HasPrefix(zone, "/") || zone == "Local" {
			return ""
		}
		return zone
	}
	if path, err := os.Readlink("/etc/localtime"); err == nil {
		if _, zone, ok := strings.Cut(path, "zoneinfo/"); ok {
			return zone
		}
	}
	if text, err := os.ReadFile("/etc/timezone"); err == nil && len(text) < 64 {
		return strings.TrimSpace(string(text))
	}
	if slices.Contains([]string{"UTC", "Etc/UTC"}, time.Local.String()) {
		return "UTC"
	}
	if _, offset := time.Now().Zone(); offset == 0 && time.Local.String() != "Local" {
		return time.Local.String()
	}
	return ""
}
