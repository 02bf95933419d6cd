package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// maxDepth bounds how deeply a value may be nested that is made canonical.
const maxDepth = 32

// AppendCanonical appends v in the one form that RFC 8785 gives it: no blanks, no escapes but those that must be, the
// members of an object in the order of their names. v is nil, a bool, a string, an int or int64, a float64, a
// json.Number, or a []string, []any or map[string]any of such; anything else is an error. A json.Number becomes the
// nearest float64, as the standard has it; an int beyond 2⁵³, which might not, is refused.
func AppendCanonical(dst []byte, v any) ([]byte, error) { return appendCanonical(dst, v, 0) }

// CanonicalJSON returns a JSON text in the form of AppendCanonical.
func CanonicalJSON(text []byte) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return AppendCanonical(nil, v)
}

func appendCanonical(dst []byte, v any, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("JSON is nested more than %d deep", maxDepth)
	}
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case string:
		return appendText(dst, v), nil
	case int:
		return appendInteger(dst, int64(v))
	case int64:
		return appendInteger(dst, v)
	case float64:
		return appendFloat(dst, v)
	case json.Number:
		return appendNumber(dst, v)
	case []string:
		return appendArray(dst, v, depth)
	case []any:
		return appendArray(dst, v, depth)
	case map[string]any:
		return appendObject(dst, v, depth)
	}
	return nil, fmt.Errorf("a %T has no canonical form", v)
}

func appendArray[T any](dst []byte, list []T, depth int) (_ []byte, err error) {
	dst = append(dst, '[')
	for i, v := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = appendCanonical(dst, v, depth+1); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

// appendObject orders names by code point. The standard says by UTF-16 code unit, which differs only where one name
// has a character beyond the first 65536 and another one of U+E000 to U+FFFF in the same place.
func appendObject(dst []byte, members map[string]any, depth int) (_ []byte, err error) {
	names := slices.AppendSeq(make([]string, 0, len(members)), maps.Keys(members))
	slices.Sort(names)
	dst = append(dst, '{')
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendText(dst, name), ':')
		if dst, err = appendCanonical(dst, members[name], depth+1); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

func appendText(dst []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	dst = append(dst, '"')
	for _, b := range []byte(strings.ToValidUTF8(s, "\uFFFD")) {
		switch {
		case b == '"' || b == '\\':
			dst = append(dst, '\\', b)
		case b >= 0x20:
			dst = append(dst, b)
		case strings.IndexByte("\b\t\n\f\r", b) >= 0:
			dst = append(dst, '\\', "btnfr"[strings.IndexByte("\b\t\n\f\r", b)])
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[b>>4], hexDigits[b&15])
		}
	}
	return append(dst, '"')
}

func appendInteger(dst []byte, n int64) ([]byte, error) {
	if n > 1<<53 || n < -1<<53 {
		return nil, fmt.Errorf("the integer %d is beyond 2^53", n)
	}
	return strconv.AppendInt(dst, n, 10), nil
}

func appendNumber(dst []byte, n json.Number) ([]byte, error) {
	f, err := n.Float64()
	if err != nil {
		return nil, fmt.Errorf("the number %.40s is out of range", n)
	}
	return appendFloat(dst, f)
}

func appendFloat(dst []byte, f float64) ([]byte, error) {
	if f == 0 {
		f = 0 // and not -0
	}
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return nil, errors.New("a number is not finite")
	}
	p, err := json.Marshal(f) // in the form of ECMAScript, as the standard wants it
	return append(dst, p...), err
}
