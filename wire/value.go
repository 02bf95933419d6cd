package wire

import (
	"bytes"
	"encoding/json"
	"time"
)

// Value is any JSON value, null among them. It is held in the one form in
// which encoding/json writes it, without blanks, so that equal texts are equal
// values. A nil Value is one that is not there; where it has to be written it
// is null.
type Value []byte

// MarshalJSON implements json.Marshaler.
func (v Value) MarshalJSON() ([]byte, error) {
	if len(v) == 0 {
		return []byte("null"), nil
	}
	return v, nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *Value) UnmarshalJSON(p []byte) error {
	var compact, escaped bytes.Buffer
	if err := json.Compact(&compact, p); err != nil {
		return err
	}
	json.HTMLEscape(&escaped, compact.Bytes())
	*v = escaped.Bytes()
	return nil
}

// String returns v as JSON for people: <, > and & are not escaped.
func (v Value) String() string {
	out := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		if v[i] != '\\' || i+1 == len(v) {
			out = append(out, v[i])
			continue
		}
		switch escape := string(v[i:min(i+6, len(v))]); escape {
		case `\u003c`, `\u003e`, `\u0026`:
			out = append(out, map[string]byte{`\u003c`: '<', `\u003e`: '>', `\u0026`: '&'}[escape])
			i += 5
		default:
			out = append(out, v[i], v[i+1])
			i++
		}
	}
	return string(out)
}

// Stamp is a Time, or the empty string for none, cut to milliseconds.
type Stamp time.Time

// StampOf returns t as the wire writes it.
func StampOf(t time.Time) Stamp { return Stamp(t.UTC().Truncate(time.Millisecond)) }

// MarshalJSON implements json.Marshaler.
func (s Stamp) MarshalJSON() ([]byte, error) {
	if s.IsZero() {
		return []byte(`""`), nil
	}
	return Time(s).MarshalJSON()
}

// UnmarshalJSON implements json.Unmarshaler. It takes what Time takes, and
// the empty string.
func (s *Stamp) UnmarshalJSON(p []byte) error {
	if string(p) == `""` {
		*s = Stamp{}
		return nil
	}
	var t Time
	if err := t.UnmarshalJSON(p); err != nil {
		return err
	}
	*s = StampOf(t.Std())
	return nil
}

// IsZero reports whether there is no time.
func (s Stamp) IsZero() bool { return time.Time(s).IsZero() }

// Equal reports whether both are the same moment, or none.
func (s Stamp) Equal(o Stamp) bool { return time.Time(s).Equal(time.Time(o)) }

// Std returns s as the standard library knows it.
func (s Stamp) Std() time.Time { return time.Time(s) }

func (s Stamp) String() string {
	if s.IsZero() {
		return ""
	}
	return Time(s).String()
}
