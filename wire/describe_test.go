package wire

import (
	"encoding/json"
	"flag"
	"reflect"
	"strings"
)

var update = flag.Bool("update", false, "rewrite the golden files and the generated parts of docs/PROTOCOL.md")

// A fieldShape is what a field looks like on the wire.
type fieldShape struct {
	name     string // JSON
	owner    string // the Go type that declares it
	goName   string
	typ      reflect.Type
	optional bool // left out when empty
	nullable bool // there, but may be null
}

// describeFields lists the JSON fields of a struct in the order they are written in.
func describeFields(t reflect.Type) []fieldShape {
	var out []fieldShape
	for f := range t.Fields() {
		if f.Anonymous {
			out = append(out, describeFields(f.Type)...)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		shape := fieldShape{name: name, owner: t.Name(), goName: f.Name, typ: f.Type}
		shape.optional = strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
		if f.Type.Kind() == reflect.Pointer {
			shape.typ = f.Type.Elem()
			shape.nullable = !shape.optional
		}
		out = append(out, shape)
	}
	return out
}

// jsonType names a Go type as JSON knows it, and the type of this package
// behind it where there is one.
func jsonType(t reflect.Type) (kind string, named reflect.Type) {
	switch t {
	case reflect.TypeFor[Time]():
		return "time", nil
	case reflect.TypeFor[Stamp]():
		return "time or empty", nil
	case reflect.TypeFor[Millis]():
		return "milliseconds", nil
	case reflect.TypeFor[json.RawMessage](), reflect.TypeFor[Value](), reflect.TypeFor[any]():
		return "any", nil
	}
	switch t.Kind() {
	case reflect.Struct:
		return "object", t
	case reflect.Slice:
		kind, named := jsonType(t.Elem())
		return "array of " + kind, named
	case reflect.String:
		if t != reflect.TypeFor[string]() {
			return "string", t
		}
		return "string", nil
	case reflect.Bool:
		return "boolean", nil
	case reflect.Float64:
		return "number", nil
	}
	return "integer", nil
}

// referenced lists the types of this package that the fields of ts lead to,
// each once, in the order they are met, without ts themselves.
func referenced(ts ...reflect.Type) []reflect.Type {
	known := map[reflect.Type]bool{}
	for _, t := range ts {
		known[t] = true
	}
	var out []reflect.Type
	var visit func(t reflect.Type)
	visit = func(t reflect.Type) {
		if t.Kind() != reflect.Struct {
			return
		}
		for _, f := range describeFields(t) {
			if _, named := jsonType(f.typ); named != nil && !known[named] {
				known[named] = true
				out = append(out, named)
				visit(named)
			}
		}
	}
	for _, t := range ts {
		visit(t)
	}
	return out
}
