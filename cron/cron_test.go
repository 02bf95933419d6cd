package cron

import (
	"errors"
	"testing"
	"time"
)

func at(t *testing.T, text, zone string) time.Time {
	t.Helper()
	v, err := time.ParseInLocation("2006-01-02 15:04:05 MST", text, load(t, zone))
	if err != nil {
		v, err = time.ParseInLocation("2006-01-02 15:04:05", text, load(t, zone))
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func load(t testing.TB, zone string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func mustParse(t testing.TB, text string) *Expression {
	t.Helper()
	e, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestNext(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, expr, after, zone, want string }{
		{"the next whole minute", "* * * * *", "2026-03-01 10:00:30", "UTC", "2026-03-01 10:01:00"},
		{"strictly after", "0 10 * * *", "2026-03-01 10:00:00", "UTC", "2026-03-02 10:00:00"},
		{"a step", "*/20 * * * *", "2026-03-01 10:40:00", "UTC", "2026-03-01 11:00:00"},
		{"a step of a range counts from its start", "5-25/10 * * * *", "2026-03-01 10:15:00", "UTC", "2026-03-01 10:25:00"},
		{"A/N goes on to the end", "50/5 * * * *", "2026-03-01 10:50:00", "UTC", "2026-03-01 10:55:00"},
		{"a list", "0 9,17 * * *", "2026-03-01 10:00:00", "UTC", "2026-03-01 17:00:00"},
		{"names of days", "0 9 * * mon-FRI", "2026-03-07 00:00:00", "UTC", "2026-03-09 09:00:00"},
		{"names of months", "0 0 1 Feb *", "2026-03-01 00:00:00", "UTC", "2027-02-01 00:00:00"},
		{"7 is Sunday", "0 0 * * 7", "2026-03-02 00:00:00", "UTC", "2026-03-08 00:00:00"},
		{"a range may end with the other Sunday", "0 0 * * 6-7", "2026-03-07 00:00:00", "UTC", "2026-03-08 00:00:00"},
		{"either day where both are restricted", "0 0 13 * 5", "2026-03-01 00:00:00", "UTC", "2026-03-06 00:00:00"},
		{"either day, the other", "0 0 13 * 1", "2026-03-09 00:00:00", "UTC", "2026-03-13 00:00:00"},
		{"both days where one begins with a star", "0 0 */2 * MON", "2026-03-01 00:00:00", "UTC", "2026-03-09 00:00:00"},
		{"29 February", "0 0 29 2 *", "2026-03-01 00:00:00", "UTC", "2028-02-29 00:00:00"},
		{"29 February past a year without", "0 0 29 2 *", "2097-01-01 00:00:00", "UTC", "2104-02-29 00:00:00"},
		{"29 February on a Sunday", "0 0 29 2 */7", "2032-03-01 00:00:00", "UTC", "2060-02-29 00:00:00"},
		{"past the end of a leap year beyond the tables of zones", "0 0 29 2 */7", "2040-12-01 00:00:00", "Europe/Berlin", "2060-02-29 00:00:00"},
		{"@daily", "@daily", "2026-03-01 10:00:00", "UTC", "2026-03-02 00:00:00"},
		{"@Hourly", "@Hourly", "2026-03-01 10:00:00", "UTC", "2026-03-01 11:00:00"},
		{"@weekly", "@weekly", "2026-03-02 10:00:00", "UTC", "2026-03-08 00:00:00"},
		{"@monthly", "@monthly", "2026-03-02 10:00:00", "UTC", "2026-04-01 00:00:00"},
		{"@yearly", "@yearly", "2026-03-02 10:00:00", "UTC", "2027-01-01 00:00:00"},
		{"the clocks of the zone", "0 9 * * *", "2026-07-01 10:00:00", "Asia/Kathmandu", "2026-07-02 09:00:00"},

		{"what is left out comes when the clocks go forward", "30 2 * * *", "2026-03-29 00:00:00", "Europe/Berlin", "2026-03-29 03:00:00"},
		{"and only once", "*/10 2 * * *", "2026-03-29 03:00:00", "Europe/Berlin", "2026-03-30 02:00:00"},
		{"nor a second time where it is due then as well", "0 2,3 * * *", "2026-03-29 03:00:00", "Europe/Berlin", "2026-03-30 02:00:00"},
		{"time that passes leaves it out", "30 * * * *", "2026-03-29 01:30:00", "Europe/Berlin", "2026-03-29 03:30:00"},
		{"midnight may be left out", "@daily", "2018-11-03 12:00:00", "America/Sao_Paulo", "2018-11-04 01:00:00"},
		{"a whole day may be left out", "0 9 30 12 *", "2011-12-29 12:00:00", "Pacific/Apia", "2011-12-31 00:00:00"},
		{"half an hour may be left out", "10 2 * * *", "2026-10-03 12:00:00", "Australia/Lord_Howe", "2026-10-04 02:30:00"},
		{"what is repeated comes the first time", "30 2 * * *", "2026-10-25 00:00:00", "Europe/Berlin", "2026-10-25 02:30:00 CEST"},
		{"and not the second", "30 2 * * *", "2026-10-25 02:30:00 CEST", "Europe/Berlin", "2026-10-26 02:30:00"},
		{"not though it is asked between the two", "30 2 * * *", "2026-10-25 02:10:00 CET", "Europe/Berlin", "2026-10-26 02:30:00"},
		{"time that passes comes again", "30 * * * *", "2026-10-25 02:30:00 CEST", "Europe/Berlin", "2026-10-25 02:30:00 CET"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := mustParse(t, c.expr).Next(at(t, c.after, c.zone), load(t, c.zone))
			if want := at(t, c.want, c.zone); !got.Equal(want) {
				t.Errorf("%s after %s is %s, not %s", c.expr, c.after, got, want)
			}
		})
	}
}

func TestNonsenseIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "* * * *", "* * * * * *", "@every 5m", "@reboot", "TZ=0", "TZ=UTC * * * * *", "CRON_TZ=UTC 0 0 * * *",
		"*/0 * * * *", "1-5/0 * * * *", "5/0 * * * *", "*/-1 * * * *", "*/ * * * *", "*/x * * * *",
		"60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 0 *", "* * * 13 *", "* * * * 8", "-1 * * * *", "+1 * * * *",
		"5-1 * * * *", "* * * DEC-JAN *", "* * * * SAT-SUN", "1- * * * *", "-5 * * * *", "1-2-3 * * * *", "*-5 * * * *", "1/2/3 * * * *",
		", * * * *", "1, * * * *", "1,,2 * * * *", "? * * * *", "* * L * *", "* * 15W * *", "* * * * FRI#2", "* * * FOO *", "* * * * MONDAY",
		"0 0 30 2 *", "0 0 31 4,6,9,11 *", "１ * * * *", "0x1 * * * *", "1e1 * * * *", "00001 * * * *", "* * * * *\x00",
	} {
		if e, err := Parse(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q is taken: %+v, %v", text, e, err)
		}
	}
}
