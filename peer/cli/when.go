package cli

import (
	"fmt"
	"time"

	"claudemesh/wire"
)

// Time writes a moment: on a terminal relative to now, "3 min ago" or "in 2 h",
// and as a local date from a week on; elsewhere as wire.Time. The zero time is
// "-" on a terminal and empty elsewhere.
func (p *Printer) Time(t time.Time) string {
	switch {
	case t.IsZero() && p.terminal:
		return "-"
	case t.IsZero():
		return ""
	case p.terminal:
		return relative(t, p.now())
	}
	return wire.Time(t).String()
}

// Date writes a moment as date and time of day: local at a terminal, elsewhere
// as wire.Time.
func (p *Printer) Date(t time.Time) string {
	if !p.terminal {
		return wire.Time(t).String()
	}
	return t.In(p.now().Location()).Format("2006-01-02 15:04")
}

func relative(t, now time.Time) string {
	d := now.Sub(t)
	away := d.Abs()
	const day = 24 * time.Hour
	var text string
	switch {
	case away < time.Second:
		return "now"
	case away < time.Minute:
		text = fmt.Sprintf("%d s", away/time.Second)
	case away < time.Hour:
		text = fmt.Sprintf("%d min", away/time.Minute)
	case away < day:
		text = fmt.Sprintf("%d h", away/time.Hour)
	case away < 2*day:
		text = "1 day"
	case away < 7*day:
		text = fmt.Sprintf("%d days", away/day)
	default:
		return t.In(now.Location()).Format(time.DateOnly)
	}
	if d < 0 {
		return "in " + text
	}
	return text + " ago"
}
