package cron

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxLength is how many bytes an expression may have.
const maxLength = 512

// A field is what one field of an expression may hold.
type field struct {
	name     string
	min, max int
	last     int    // of those that differ: a 7th day of the week is Sunday again
	names    string // of the values from min on, three letters each
}

func fields() [5]field {
	return [5]field{
		{"minute", 0, 59, 59, ""},
		{"hour", 0, 23, 23, ""},
		{"day of the month", 1, 31, 31, ""},
		{"month", 1, 12, 12, "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"},
		{"day of the week", 0, 7, 6, "SUNMONTUEWEDTHUFRISAT"},
	}
}

// alias returns the expression that a name with an @ stands for.
func alias(name string) (string, bool) {
	switch strings.ToLower(name) {
	case "@yearly", "@annually":
		return "0 0 1 1 *", true
	case "@monthly":
		return "0 0 1 * *", true
	case "@weekly":
		return "0 0 * * 0", true
	case "@daily", "@midnight":
		return "0 0 * * *", true
	case "@hourly":
		return "0 * * * *", true
	}
	return "", false
}

// Parse reads an expression. Its error wraps ErrInvalid and says which part is
// wrong.
func Parse(text string) (*Expression, error) {
	if len(text) > maxLength {
		return nil, fmt.Errorf("%w: it is longer than %d bytes", ErrInvalid, maxLength)
	}
	words := strings.Fields(text)
	if len(words) == 1 && strings.HasPrefix(words[0], "@") {
		long, ok := alias(words[0])
		if !ok {
			return nil, fmt.Errorf("%w: %q is none of @yearly, @monthly, @weekly, @daily and @hourly", ErrInvalid, words[0])
		}
		words = strings.Fields(long)
	}
	if len(words) != 5 {
		return nil, fmt.Errorf("%w: %q has %d fields and not the five: minute, hour, day of the month, month, day of the week", ErrInvalid, text, len(words))
	}
	e := new(Expression)
	for i, into := range []*uint64{&e.minute, &e.hour, &e.day, &e.month, &e.weekday} {
		var err error
		if *into, err = fields()[i].parse(words[i]); err != nil {
			return nil, err
		}
	}
	if e.weekday&(1<<7) != 0 {
		e.weekday = e.weekday&^(1<<7) | 1
	}
	e.passing = e.hour == 1<<24-1
	e.bothDays = words[2][0] == '*' || words[4][0] == '*'
	if e.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), time.UTC).IsZero() {
		return nil, fmt.Errorf("%w: %q is never due, no such day exists", ErrInvalid, text)
	}
	return e, nil
}

// parse reads the set that a field of an expression names.
func (f field) parse(text string) (set uint64, err error) {
	for item := range strings.SplitSeq(text, ",") {
		lo, hi, step, ok := f.item(item)
		if !ok {
			return 0, fmt.Errorf("%w: %q is no %s: use %d to %d, ranges A-B, lists A,B and steps */N", ErrInvalid, item, f.name, f.min, f.max)
		}
		for v := lo; v <= hi; v += step {
			set |= 1 << v
		}
	}
	return set, nil
}

func (f field) item(text string) (lo, hi, step int, ok bool) {
	span, every, stepped := strings.Cut(text, "/")
	step = 1
	if stepped {
		if step, ok = number(every, 4); !ok || step == 0 {
			return 0, 0, 0, false
		}
	}
	if span == "*" {
		return f.min, f.last, step, true
	}
	from, to, isRange := strings.Cut(span, "-")
	lo, ok = f.value(from)
	switch hi = lo; {
	case !ok:
		return 0, 0, 0, false
	case isRange:
		hi, ok = f.value(to)
	case stepped:
		hi = max(lo, f.last)
	}
	return lo, hi, step, ok && lo <= hi
}

func (f field) value(text string) (int, bool) {
	if i := slices.Index(f.words(), strings.ToUpper(text)); i >= 0 {
		return f.min + i, true
	}
	v, ok := number(text, 2)
	return v, ok && v >= f.min && v <= f.max
}

func (f field) words() []string {
	var all []string
	for i := 0; i < len(f.names); i += 3 {
		all = append(all, f.names[i:i+3])
	}
	return all
}

// number reads up to n digits.
func number(text string, n int) (int, bool) {
	if text == "" || len(text) > n || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	v, err := strconv.Atoi(text)
	return v, err == nil
}
