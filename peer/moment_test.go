package peer

import (
	"testing"
	"time"
)

func TestParseMoment(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 27, 12, 30, 0, 0, berlin) // a Friday, two days before the clocks change
	for text, want := range map[string]string{
		"17:30":                     "2026-03-27T17:30:00+01:00",
		"12:30":                     "2026-03-28T12:30:00+01:00",
		"9:05":                      "2026-03-28T09:05:00+01:00",
		"5pm":                       "2026-03-27T17:00:00+01:00",
		"11:15 AM":                  "2026-03-28T11:15:00+01:00",
		"noon":                      "2026-03-28T12:00:00+01:00",
		"today 18:00":               "2026-03-27T18:00:00+01:00",
		"today 8:00":                "2026-03-27T08:00:00+01:00",
		"Tomorrow 09:00":            "2026-03-28T09:00:00+01:00",
		"sunday at 9:00":            "2026-03-29T09:00:00+02:00",
		"fri 14:00":                 "2026-03-27T14:00:00+01:00",
		"friday 12:00":              "2026-04-03T12:00:00+02:00",
		"2026-12-24 18:00":          "2026-12-24T18:00:00+01:00",
		" 2026-12-24T18:00 ":        "2026-12-24T18:00:00+01:00",
		"2026-12-24 18:00:30":       "2026-12-24T18:00:30+01:00",
		"2026-12-24":                "2026-12-24T00:00:00+01:00",
		"2026-12-24T18:00:00Z":      "2026-12-24T19:00:00+01:00",
		"2026-07-01T09:00:00-04:00": "2026-07-01T15:00:00+02:00",
	} {
		got, err := ParseMoment(text, now)
		if err != nil || got.In(berlin).Format(time.RFC3339) != want {
			t.Errorf("%q is %s, %v; want %s", text, got.In(berlin).Format(time.RFC3339), err, want)
		}
	}
	for _, text := range []string{"", "soon", "25:00", "friday", "tomorrow", "13pm", "-1:00", "2026-13-01 10:00", "12:30 friday", "next week 9:00"} {
		if got, err := ParseMoment(text, now); err == nil {
			t.Errorf("%q is taken as %s", text, got)
		}
	}
}

func TestLocalZoneIsThatOfTheEnvironment(t *testing.T) {
	for tz, want := range map[string]string{"Asia/Tokyo": "Asia/Tokyo", ":Europe/Berlin": "Europe/Berlin", "UTC": "UTC", "Nowhere/Land": "", "/etc/localtime": "", "Local": ""} {
		if got := LocalZone(func(string) string { return tz }); got != want {
			t.Errorf("TZ=%s is %q, want %q", tz, got, want)
		}
	}
	if zone := LocalZone(func(string) string { return "" }); zone != "" {
		if _, err := time.LoadLocation(zone); err != nil {
			t.Errorf("this machine's zone is said to be %q: %v", zone, err)
		}
	}
}
