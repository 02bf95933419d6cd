package launch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// A jsonDoc is the text of a JSON object that is changed in place: bytes that
// a change does not concern stay as they are.
type jsonDoc struct{ data []byte }

// root returns the places of the values as they are now.
func (d *jsonDoc) root() (*node, error) { return parseJSON(d.data) }

// get returns the value at path, nil if there is none.
func (d *jsonDoc) get(path ...string) (json.RawMessage, error) {
	root, err := d.root()
	if err != nil {
		return nil, err
	}
	n := root.find(path)
	if n == nil {
		return nil, nil
	}
	return slices.Clone(d.data[n.start:n.end]), nil
}

// set puts value at path, in the place of what is there or as the last member.
// The object that is to have it must be there.
func (d *jsonDoc) set(path []string, value any) error {
	root, err := d.root()
	if err != nil {
		return err
	}
	parent, key := root.find(path[:len(path)-1]), path[len(path)-1]
	if parent == nil || parent.kind != '{' {
		return fmt.Errorf("%s is not an object", spell(path[:len(path)-1]))
	}
	text, err := d.encode(value, len(path))
	if err != nil {
		return err
	}
	if i := parent.member(key); i >= 0 {
		d.replace(parent.parts[i].value.start, parent.parts[i].value.end, text)
		return nil
	}
	name, err := json.Marshal(key)
	if err != nil {
		return err
	}
	colon := ": "
	if d.style().line == "" {
		colon = ":"
	}
	d.insert(parent, slices.Concat(name, []byte(colon), text), len(path))
	return nil
}

// add appends value to the array at path, which must be there.
func (d *jsonDoc) add(path []string, value any) error {
	root, err := d.root()
	if err != nil {
		return err
	}
	array := root.find(path)
	if array == nil || array.kind != '[' {
		return fmt.Errorf("%s is not an array", spell(path))
	}
	text, err := d.encode(value, len(path)+1)
	if err != nil {
		return err
	}
	d.insert(array, text, len(path)+1)
	return nil
}

// drop removes part i of the container at path. It is the inverse of set and
// add: of a container that becomes empty interior is all that is left.
func (d *jsonDoc) drop(path []string, i int, interior string) error {
	root, err := d.root()
	if err != nil {
		return err
	}
	n := root.find(path)
	if n == nil || i >= len(n.parts) {
		return fmt.Errorf("%s has no part %d", spell(path), i)
	}
	switch {
	case len(n.parts) == 1:
		d.replace(n.start+1, n.end-1, []byte(interior))
	case i == 0:
		d.replace(n.parts[0].start, n.parts[1].start, nil)
	default:
		d.replace(n.parts[i-1].value.end, n.parts[i].value.end, nil)
	}
	return nil
}

// insert puts text behind the last part of a container whose parts are depth
// levels below the root.
func (d *jsonDoc) insert(n *node, text []byte, depth int) {
	s := d.style()
	if k := len(n.parts); k > 0 {
		last := n.parts[k-1]
		gap := s.at(depth)
		if k > 1 {
			before := d.data[n.parts[k-2].value.end:last.start]
			gap = string(before[bytes.IndexByte(before, ',')+1:])
		} else if between := d.data[n.start+1 : last.start]; !bytes.Contains(between, []byte("\n")) && s.line != "" {
			gap = " "
		}
		d.replace(last.value.end, last.value.end, slices.Concat([]byte(","+gap), text))
		return
	}
	d.replace(n.start+1, n.end-1, slices.Concat([]byte(s.at(depth)), text, []byte(s.at(depth-1))))
}

func (d *jsonDoc) replace(from, to int, text []byte) {
	d.data = slices.Concat(d.data[:from], text, d.data[to:])
}

// A layout is how a document is laid out: what ends a line, empty if all is on
// one, and how deep a level is indented.
type layout struct{ line, indent string }

func (l layout) at(depth int) string {
	if l.line == "" {
		return ""
	}
	return l.line + strings.Repeat(l.indent, depth)
}

// style finds the layout by the first member of the document.
func (d *jsonDoc) style() layout {
	root, err := d.root()
	if err != nil || len(root.parts) == 0 {
		if len(bytes.TrimSpace(d.data)) < len(d.data) || err != nil || len(d.data) == 2 {
			return layout{"\n", "  "}
		}
		return layout{}
	}
	before := string(d.data[root.start+1 : root.parts[0].start])
	i := strings.LastIndexByte(before, '\n')
	switch {
	case i < 0:
		return layout{}
	case i > 0 && before[i-1] == '\r':
		return layout{"\r\n", before[i+1:]}
	}
	return layout{"\n", before[i+1:]}
}

// encode writes value as the document would have it depth levels down.
func (d *jsonDoc) encode(value any, depth int) ([]byte, error) {
	s := d.style()
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, err
	}
	text := bytes.TrimSpace(buf.Bytes())
	if s.line == "" {
		return text, nil
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, text, strings.Repeat(s.indent, depth), s.indent); err != nil {
		return nil, err
	}
	return bytes.ReplaceAll(indented.Bytes(), []byte("\n"), []byte(s.line)), nil
}

// sameJSON reports whether two texts are the same value.
func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

func spell(path []string) string {
	if len(path) == 0 {
		return "the document"
	}
	return `"` + strings.Join(path, ".") + `"`
}
