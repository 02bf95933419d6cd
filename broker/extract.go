package broker

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"claudemesh/wire"
)

// A path leads to a value in JSON: $.items[0].name, where the leading $ and the
// dot after it may be left out, and an element of an array is also meant by a
// number between dots.
type path []step

// A step is the name of a member of an object or, where index is not negative,
// the place of an element of an array.
type step struct {
	name  string // empty for what stood in brackets
	index int
}

// parsePath reads a path. The empty one is the whole value.
func parsePath(text string) (path, error) {
	rest := strings.TrimPrefix(text, "$")
	if !strings.HasPrefix(rest, "[") {
		rest = strings.TrimPrefix(rest, ".")
		if rest == "" {
			return nil, nil
		}
		rest = "." + rest
	}
	var p path
	for rest != "" {
		if inner, ok := strings.CutPrefix(rest, "["); ok {
			digits, after, closed := strings.Cut(inner, "]")
			n := indexOf(digits)
			if !closed || n < 0 {
				return nil, wire.Errorf(wire.BadRequest, "%q is no path: between brackets stands a number, such as items[0].name", wire.Shorten(text, 80))
			}
			p, rest = append(p, step{index: n}), after
			continue
		}
		name, ok := strings.CutPrefix(rest, ".")
		end := strings.IndexAny(name, ".[")
		if end < 0 {
			end = len(name)
		}
		if !ok || end == 0 || wire.HasControl(name[:end]) {
			return nil, wire.Errorf(wire.BadRequest, "%q is no path: write it as items[0].name", wire.Shorten(text, 80))
		}
		p, rest = append(p, step{name[:end], indexOf(name[:end])}), name[end:]
	}
	return p, nil
}

// indexOf returns the place of an element that digits name, -1 if they name none.
func indexOf(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || strconv.Itoa(n) != digits {
		return -1
	}
	return n
}

// in returns what p leads to, nil if that is null or not there.
func (p path) in(v any) any {
	for _, s := range p {
		switch at := v.(type) {
		case map[string]any:
			v = nil
			if s.name != "" {
				v = at[s.name]
			}
		case []any:
			v = nil
			if s.index >= 0 && s.index < len(at) {
				v = at[s.index]
			}
		default:
			return nil
		}
	}
	return v
}

// decodeJSON reads one JSON value whose numbers keep their digits.
func decodeJSON(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	return v, nil
}

// valueText writes a decoded value for reading and comparing: a string as it is,
// objects and arrays as compact JSON with sorted keys.
func valueText(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	text, err := encodeJSON(v)
	if err != nil {
		return "null" // does not happen to what was decoded
	}
	return string(text)
}

// encodeJSON encodes v with <, > and & as they are: people and models read it,
// and browsers do not. Escaped, what is posted could be six times as long.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
