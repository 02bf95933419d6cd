package wire

import (
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"time"
)

const isoLayout = "2006-01-02T15:04:05.000Z"

// Time is a moment as the wire writes it: UTC, always three fractional
// digits, always Z.
type Time time.Time

// AppendTime appends t in the form of a Time, without quotes.
func AppendTime(dst []byte, t time.Time) []byte { return t.UTC().AppendFormat(dst, isoLayout) }

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	dst := append(make([]byte, 0, len(isoLayout)+2), '"')
	return append(AppendTime(dst, time.Time(t)), '"'), nil
}

// UnmarshalJSON implements json.Unmarshaler. It takes any RFC 3339 time whose
// year in UTC has four digits; null is the zero time. Its error is of the kind
// to which encoding/json adds the name of the field.
func (t *Time) UnmarshalJSON(p []byte) error {
	var std time.Time
	err := json.Unmarshal(p, &std)
	std = std.UTC()
	if err != nil || std.Year() < 0 || std.Year() > 9999 {
		return &json.UnmarshalTypeError{Value: string(p), Type: reflect.TypeFor[Time]()}
	}
	*t = Time(std)
	return nil
}

// Std returns t as the standard library knows it.
func (t Time) Std() time.Time { return time.Time(t) }

func (t Time) String() string { return string(AppendTime(nil, time.Time(t))) }

// Millis is a moment in milliseconds since the Unix epoch.
type Millis int64

// NoMillis is what a timestamp becomes that is not a finite number: further
// from any clock than a peer may be.
const NoMillis Millis = math.MinInt64

// MillisOf returns t in milliseconds.
func MillisOf(t time.Time) Millis { return Millis(t.UnixMilli()) }

// Std returns m as the standard library knows it.
func (m Millis) Std() time.Time { return time.UnixMilli(int64(m)).UTC() }

// UnmarshalJSON implements json.Unmarshaler. Anything but a number becomes
// NoMillis, so that a hello with it is refused for its timestamp.
func (m *Millis) UnmarshalJSON(p []byte) error {
	if i, err := strconv.ParseInt(string(p), 10, 64); err == nil {
		*m = Millis(i)
		return nil
	}
	*m = NoMillis
	if f, err := strconv.ParseFloat(string(p), 64); err == nil && math.Abs(f) < 1<<53 {
		*m = Millis(f)
	}
	return nil
}

// Within reports whether m is at most d away from now, either way.
func (m Millis) Within(d time.Duration, now time.Time) bool {
	if m < -1<<53 || m > 1<<53 {
		return false
	}
	off := now.UnixMilli() - int64(m)
	return off <= d.Milliseconds() && off >= -d.Milliseconds()
}
