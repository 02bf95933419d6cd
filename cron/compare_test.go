package cron

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/adhocore/gronx"
)

// randomField writes a field with values from lo to hi.
func randomField(r *rand.Rand, lo, hi int) string {
	one := func() int { return lo + r.IntN(hi-lo+1) }
	switch r.IntN(8) {
	case 0, 1, 2:
		return "*"
	case 3:
		return fmt.Sprintf("*/%d", 1+r.IntN(hi-lo))
	case 4:
		a, b := one(), one()
		return fmt.Sprintf("%d-%d", min(a, b), max(a, b))
	case 5:
		a, b := one(), one()
		return fmt.Sprintf("%d-%d/%d", min(a, b), max(a, b), 1+r.IntN(5))
	case 6:
		return fmt.Sprintf("%d,%d", one(), one())
	}
	return fmt.Sprint(one())
}

func randomExpression(r *rand.Rand) string {
	return strings.Join([]string{randomField(r, 0, 59), randomField(r, 0, 23), randomField(r, 1, 28), randomField(r, 1, 12), randomField(r, 0, 6)}, " ")
}

// Day by day over three years, a second library finds the same times in UTC,
// where no clock is ever changed.
func TestAnotherLibraryAgreesDayByDay(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 30))
	exprs := []string{"*/15 * * * *", "0 9 * * 1-5", "0 0 13 * 5", "30 4 1,15 * 5", "0 0 29 2 *", "59 23 31 12 *", "0 0 */2 * 1", "0 0 1-7 * */2"}
	for range 40 {
		exprs = append(exprs, randomExpression(r))
	}
	first := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, expr := range exprs {
		e := mustParse(t, expr)
		for day := range 3 * 366 {
			from := first.AddDate(0, 0, day).Add(time.Duration(r.IntN(86400)) * time.Second)
			want, err := gronx.NextTickAfter(expr, from, false)
			if err != nil {
				t.Fatal(expr, err)
			}
			if got := e.Next(from, time.UTC); !got.Equal(want.Truncate(time.Minute)) {
				t.Fatalf("%q after %s: %s, and the library says %s", expr, from, got, want)
			}
		}
	}
}

// due decides by itself what is due in each minute that passes in a zone: the
// plain reading of the package's documentation.
func due(expr string, e *Expression, loc *time.Location, from, to time.Time) []time.Time {
	set := func(w time.Time) bool {
		return e.minute>>w.Minute()&1 == 1 && e.hour>>w.Hour()&1 == 1 && e.month>>w.Month()&1 == 1 && e.onDay(w.Day(), w.Weekday())
	}
	every := strings.Fields(expr)[1] == "*"
	var all []time.Time
	var latest time.Time // that the clocks have shown
	for t := from; t.Before(to); t = t.Add(time.Minute) {
		_, offset := t.In(loc).Zone()
		w := t.Add(time.Duration(offset) * time.Second).UTC()
		hit := set(w) && (every || w.After(latest))
		for skipped := latest.Add(time.Minute); !every && !latest.IsZero() && skipped.Before(w); skipped = skipped.Add(time.Minute) {
			hit = hit || set(skipped)
		}
		if hit {
			all = append(all, t)
		}
		if w.After(latest) {
			latest = w
		}
	}
	return all
}

// Minute by minute over a year of changing clocks, in zones that change by an
// hour, by half an hour, at midnight, and twice around Ramadan.
func TestEveryMinuteOfAYearInZonesThatChange(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(20, 26))
	exprs := []string{"30 2 * * *", "0 2 * * *", "*/20 * * * *", "*/20 1-3 * * *", "0 0 * * *", "0 */2 * * *", "15 2 * * 0"}
	for range 12 {
		exprs = append(exprs, randomExpression(r))
	}
	for zone, year := range map[string]int{"Europe/Berlin": 2026, "America/New_York": 2027, "Australia/Lord_Howe": 2026, "America/Sao_Paulo": 2018, "Africa/Casablanca": 2025, "Asia/Kolkata": 2026} {
		loc := load(t, zone)
		from := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
		to := from.AddDate(1, 0, 0)
		for _, expr := range exprs {
			e := mustParse(t, expr)
			next := e.Next(from, loc)
			for _, want := range due(expr, e, loc, from.Add(time.Minute), to) {
				if !next.Equal(want) {
					t.Fatalf("%q in %s: %s, and it should be %s", expr, zone, next, want.In(loc))
				}
				next = e.Next(next, loc)
			}
			if next.Before(to) && !next.IsZero() {
				t.Fatalf("%q in %s is due at %s, and should not be", expr, zone, next)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"* * * * *", "TZ=0", "*/0 * * * *", "0 9 * * MON-FRI", "@daily", "0 0 29 2 */7", "1-5/2,7 0/3 L W #"} {
		f.Add(seed, int64(1800000000))
	}
	berlin := load(f, "Europe/Berlin")
	f.Fuzz(func(t *testing.T, text string, unix int64) {
		e, err := Parse(text)
		if err != nil {
			return
		}
		from := time.Unix(unix%(1<<35), 0)
		for range 3 {
			next := e.Next(from, berlin)
			if next.IsZero() {
				return
			}
			if !next.After(from) || next.Nanosecond() != 0 {
				t.Fatalf("%q after %s is %s", text, from, next)
			}
			from = next
		}
	})
}

func BenchmarkNext(b *testing.B) {
	loc := load(b, "Europe/Berlin")
	for _, expr := range []string{"*/5 * * * *", "0 9 * * MON-FRI", "0 0 29 2 *"} {
		b.Run(expr, func(b *testing.B) {
			e, t := mustParse(b, expr), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
			for b.Loop() {
				e.Next(t, loc)
			}
		})
	}
}
