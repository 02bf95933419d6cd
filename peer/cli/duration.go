package cli

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// span is a flag for a length of time as people write it: a number and a unit,
// or several, such as 90s, 1h30m or 7d. A number without unit counts seconds.
type span time.Duration

func (s *span) String() string { return formatSpan(time.Duration(*s)) }

// Set implements flag.Value.
func (s *span) Set(text string) error {
	d, err := parseSpan(text)
	if err == nil {
		*s = span(d)
	}
	return err
}

var errSpan = errors.New("write a length of time such as 90s, 15m, 1h30m or 7d")

func unit(name string) (time.Duration, bool) {
	switch name {
	case "ms":
		return time.Millisecond, true
	case "", "s", "sec":
		return time.Second, true
	case "m", "min":
		return time.Minute, true
	case "h", "hr":
		return time.Hour, true
	case "d", "day", "days":
		return 24 * time.Hour, true
	}
	return 0, false
}

// parseSpan reads a length of time, which is not negative.
func parseSpan(text string) (time.Duration, error) {
	const digits = "0123456789."
	var total float64
	rest := strings.ToLower(strings.TrimSpace(text))
	if rest == "" {
		return 0, errSpan
	}
	for parts := 0; rest != ""; parts++ {
		name := strings.TrimLeft(rest, digits)
		number := rest[:len(rest)-len(name)]
		end := len(name)
		if i := strings.IndexAny(name, digits); i >= 0 {
			end = i
		}
		n, err := strconv.ParseFloat(number, 64)
		u, ok := unit(strings.TrimSpace(name[:end]))
		if err != nil || !ok || parts > 0 && end == 0 {
			return 0, errSpan
		}
		total += n * float64(u)
		rest = strings.TrimSpace(name[end:])
	}
	if total > math.MaxInt64/2 {
		return 0, fmt.Errorf("%s is too long", text)
	}
	return time.Duration(total), nil
}

// formatSpan writes a length of time as parseSpan reads it, in days where it
// is whole days.
func formatSpan(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= day && d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
