package peer

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// decodeKeeping decodes the object p into the struct at v and returns the
// members of p that the struct has no field for, nil if there are none.
func decodeKeeping(p []byte, v any) (map[string]json.RawMessage, error) {
	if err := json.Unmarshal(p, v); err != nil {
		return nil, err
	}
	var extra map[string]json.RawMessage
	if err := json.Unmarshal(p, &extra); err != nil {
		return nil, err
	}
	for name := range fieldNames(v) {
		// encoding/json matches names in any case, and so must this.
		maps.DeleteFunc(extra, func(k string, _ json.RawMessage) bool { return strings.EqualFold(k, name) })
	}
	if len(extra) == 0 {
		return nil, nil
	}
	return extra, nil
}

// encodeKeeping encodes the struct v followed by the members of extra in the
// order of their names. A name that v has too is left out.
func encodeKeeping(v any, extra map[string]json.RawMessage) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	known := fieldNames(v)
	out := buf.Bytes()[:buf.Len()-len("}\n")]
	for _, k := range slices.Sorted(maps.Keys(extra)) {
		if known[k] {
			continue
		}
		name, err := json.Marshal(k)
		if err != nil {
			return nil, err
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, name...), ':'), extra[k]...)
	}
	return append(out, '}'), nil
}

// fieldNames returns the JSON names of the fields of the struct v or *v.
func fieldNames(v any) map[string]bool {
	t := reflect.TypeOf(v)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	names := make(map[string]bool, t.NumField())
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "" && name != "-" {
			names[name] = true
		}
	}
	return names
}
