package simulate

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"go.yaml.in/yaml/v3"
)

const (
	maxScenario = 1 << 20 // bytes of a scenario file
	maxDepth    = 32      // of values in it
)

// A fault is an error in a scenario with its place.
type fault struct {
	line  int
	field string // its path, such as personas[2].does[0].at
	msg   string
}

func (f *fault) Error() string {
	if f.field == "" {
		return fmt.Sprintf("line %d: %s", f.line, f.msg)
	}
	return fmt.Sprintf("line %d: %s: %s", f.line, f.field, f.msg)
}

// place is where a value stands in its file. The structs of a scenario have it
// embedded, so that what is wrong with them can be shown.
type place struct {
	line int
	path string
}

func (p *place) setPlace(line int, path string) { p.line, p.path = line, path }

// wrong returns a fault of a field of the value, or of the value itself.
func (p *place) wrong(field, format string, args ...any) error {
	path := p.path
	if field != "" {
		path = strings.TrimPrefix(path+"."+field, ".")
	}
	return &fault{p.line, path, fmt.Sprintf(format, args...)}
}

// decode reads YAML, or JSON, into the struct that v points to. Fields that the
// struct does not have, names that come twice, aliases and values of the wrong
// kind are faults.
func decode(data []byte, v any) error {
	if len(data) > maxScenario {
		return fmt.Errorf("it is larger than %d KiB", maxScenario>>10)
	}
	text := string(data)
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		text = yamlOfJSON(text)
	}
	dec := yaml.NewDecoder(strings.NewReader(text))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return errors.New("it is empty")
	case err != nil:
		return fmt.Errorf("it is neither YAML nor JSON: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := dec.Decode(new(yaml.Node)); err == nil {
		return errors.New("it has a second document after ---: put each scenario into a file of its own")
	}
	if len(doc.Content) != 1 {
		return errors.New("it is empty")
	}
	return decodeNode(doc.Content[0], reflect.ValueOf(v).Elem(), "", 0)
}

var jsonEscapes = regexp.MustCompile(`\\\\|\\/|\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})`)

// yamlOfJSON changes what JSON has and YAML has not, or this reader of it: tabs
// as blanks, slashes that are escaped, and characters written as two halves of
// UTF-16.
func yamlOfJSON(text string) string {
	text = jsonEscapes.ReplaceAllStringFunc(text, func(s string) string {
		switch s {
		case `\\`:
			return s
		case `\/`:
			return "/"
		}
		high, _ := strconv.ParseUint(s[2:6], 16, 16) // the pattern has hex digits there
		low, _ := strconv.ParseUint(s[8:12], 16, 16)
		return string(utf16.DecodeRune(rune(high), rune(low)))
	})
	return strings.ReplaceAll(text, "\t", " ")
}

// A textual is a value written as one word, which it reads itself.
type textual interface{ parse(text string) error }

func decodeNode(n *yaml.Node, v reflect.Value, path string, depth int) error {
	wrong := func(format string, args ...any) error { return &fault{n.Line, path, fmt.Sprintf(format, args...)} }
	switch {
	case depth > maxDepth:
		return wrong("is nested too deeply")
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return wrong("anchors and aliases are not taken: write the value out")
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return decodeNode(n, v.Elem(), path, depth+1)
	}
	if t, ok := v.Addr().Interface().(textual); ok {
		if n.Kind != yaml.ScalarNode {
			return wrong("must be one value")
		}
		if err := t.parse(n.Value); err != nil {
			return wrong("%v", err)
		}
		return nil
	}
	switch v.Kind() {
	case reflect.Struct:
		return decodeStruct(n, v, path, depth)
	case reflect.Map:
		return decodeMap(n, v, path, depth)
	case reflect.Slice:
		return decodeSlice(n, v, path, depth)
	case reflect.Interface:
		any, err := freeValue(n, path, depth)
		if err == nil && any != nil {
			v.Set(reflect.ValueOf(any))
		}
		return err
	}
	if n.Kind != yaml.ScalarNode {
		return wrong("must be one value")
	}
	if err := setScalar(n, v); err != nil {
		return wrong("%v", err)
	}
	return nil
}

// setScalar sets a text, number or truth value.
func setScalar(n *yaml.Node, v reflect.Value) error {
	var err error
	switch v.Kind() {
	case reflect.String:
		if n.Tag == "!!null" {
			return errors.New("has no value")
		}
		v.SetString(n.Value) // a number may stand for its text
	case reflect.Bool:
		var b bool
		if b, err = strconv.ParseBool(n.Value); err != nil {
			return errors.New("must be true or false")
		}
		v.SetBool(b)
	case reflect.Int:
		var i int64
		if i, err = strconv.ParseInt(n.Value, 10, 32); err != nil {
			return fmt.Errorf("must be a whole number, not %q", n.Value)
		}
		v.SetInt(i)
	case reflect.Uint64:
		var u uint64
		if u, err = strconv.ParseUint(n.Value, 10, 64); err != nil {
			return fmt.Errorf("must be a whole number that is not negative, not %q", n.Value)
		}
		v.SetUint(u)
	case reflect.Float64:
		var f float64
		if f, err = strconv.ParseFloat(n.Value, 64); err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("must be a number, not %q", n.Value)
		}
		v.SetFloat(f)
	default:
		return fmt.Errorf("cannot be read into a %s", v.Type())
	}
	return nil
}

func decodeStruct(n *yaml.Node, v reflect.Value, path string, depth int) error {
	if n.Kind != yaml.MappingNode {
		return &fault{n.Line, path, "must have fields, name: value"}
	}
	if p, ok := v.Addr().Interface().(interface{ setPlace(int, string) }); ok {
		p.setPlace(n.Line, path)
	}
	fields := fieldsOf(v)
	seen := make(map[string]bool)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		field, ok := fields[name.Value]
		switch {
		case !ok:
			return &fault{name.Line, path, fmt.Sprintf("%q is no field here; there are %s", name.Value, strings.Join(slices.Sorted(maps.Keys(fields)), ", "))}
		case seen[name.Value]:
			return &fault{name.Line, path, fmt.Sprintf("%q is there twice", name.Value)}
		}
		seen[name.Value] = true
		if err := decodeNode(n.Content[i+1], field, join(path, name.Value), depth+1); err != nil {
			return err
		}
	}
	return nil
}

// fieldsOf returns the fields of a struct, and of those embedded in it, by the
// names in their yaml tags.
func fieldsOf(v reflect.Value) map[string]reflect.Value {
	fields := make(map[string]reflect.Value)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous && f.IsExported() {
			maps.Copy(fields, fieldsOf(v.Field(i)))
		} else if name := f.Tag.Get("yaml"); name != "" {
			fields[name] = v.Field(i)
		}
	}
	return fields
}

func decodeMap(n *yaml.Node, v reflect.Value, path string, depth int) error {
	if n.Kind != yaml.MappingNode {
		return &fault{n.Line, path, "must have entries, name: value"}
	}
	v.Set(reflect.MakeMap(v.Type()))
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		if name.Kind != yaml.ScalarNode {
			return &fault{name.Line, path, "a name must be one value"}
		}
		key := reflect.ValueOf(name.Value)
		if v.MapIndex(key).IsValid() {
			return &fault{name.Line, path, fmt.Sprintf("%q is there twice", name.Value)}
		}
		value := reflect.New(v.Type().Elem()).Elem()
		if err := decodeNode(n.Content[i+1], value, join(path, name.Value), depth+1); err != nil {
			return err
		}
		v.SetMapIndex(key, value)
	}
	return nil
}

func decodeSlice(n *yaml.Node, v reflect.Value, path string, depth int) error {
	if n.Kind != yaml.SequenceNode {
		return &fault{n.Line, path, "must be a list"}
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		if err := decodeNode(item, v.Index(i), fmt.Sprintf("%s[%d]", path, i), depth+1); err != nil {
			return err
		}
	}
	return nil
}

// freeValue reads a value of any shape that JSON has, too.
func freeValue(n *yaml.Node, path string, depth int) (any, error) {
	switch n.Kind {
	case yaml.MappingNode:
		var m map[string]any
		err := decodeNode(n, reflect.ValueOf(&m).Elem(), path, depth)
		return m, err
	case yaml.SequenceNode:
		s := []any{}
		err := decodeNode(n, reflect.ValueOf(&s).Elem(), path, depth)
		return s, err
	}
	switch n.Tag {
	case "!!null":
		return nil, nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true"), nil
	case "!!int", "!!float":
		f, err := strconv.ParseFloat(n.Value, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, &fault{n.Line, path, fmt.Sprintf("%q is no number that JSON has", n.Value)}
		}
		return f, nil
	}
	return n.Value, nil
}

func join(path, name string) string { return strings.TrimPrefix(path+"."+name, ".") }

// Minutes is simulated time: whole minutes, written as 5m, 1h30m or 2h.
type Minutes int

const maxMinutes = 100_000

func (m *Minutes) parse(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d%time.Minute != 0 || d < 0 {
		return fmt.Errorf("must be simulated time in whole minutes, such as 5m or 1h30m, not %q", text)
	}
	if d > maxMinutes*time.Minute {
		return fmt.Errorf("must be at most %d minutes", maxMinutes)
	}
	*m = Minutes(d / time.Minute)
	return nil
}

// String writes m as a scenario does.
func (m Minutes) String() string {
	if m >= 60 && m%60 == 0 {
		return fmt.Sprintf("%dh", m/60)
	} else if m > 60 {
		return fmt.Sprintf("%dh%dm", m/60, m%60)
	}
	return fmt.Sprintf("%dm", int(m))
}

// Span is real time, written as 250ms or 30s.
type Span time.Duration

func (s *Span) parse(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > time.Hour {
		return fmt.Errorf("must be a time above 0 and up to 1h, such as 250ms or 30s, not %q", text)
	}
	*s = Span(d)
	return nil
}

// Pattern is a regular expression of Go's package regexp, written as text.
type Pattern struct{ re *regexp.Regexp }

func (p *Pattern) parse(text string) (err error) {
	if len(text) > 1000 {
		return errors.New("is longer than 1000 bytes")
	}
	if p.re, err = regexp.Compile(text); err != nil {
		return fmt.Errorf("is no regular expression: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return nil
}

// String returns the expression.
func (p *Pattern) String() string {
	if p == nil || p.re == nil {
		return ""
	}
	return p.re.String()
}
