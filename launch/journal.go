package launch

import (
	"encoding/json"
	"fmt"
	"slices"
)

// A change is one thing that was done to a settings file, with what undoing
// it needs.
type change struct {
	// Path leads to the member that was set or, of an Element, to the array
	// that it was added to.
	Path    []string        `json:"path"`
	Element bool            `json:"element,omitempty"`
	Value   json.RawMessage `json:"value"`
	// Was is the value that was replaced; empty if there was none.
	Was json.RawMessage `json:"was,omitempty"`
	// Interior is what stood between the brackets of the container if it had
	// no parts.
	Interior string `json:"interior,omitempty"`
}

// put sets the member at path, with the objects above it, and returns what it
// did: nothing if the member has that value.
func (d *jsonDoc) put(path []string, value any) ([]change, error) {
	made, err := d.ensure(path[:len(path)-1], '{')
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	was, err := d.get(path...)
	if err != nil || was != nil && sameJSON(was, text) {
		return made, err
	}
	c := change{Path: path, Value: text, Was: was, Interior: d.interior(path[:len(path)-1])}
	return append(made, c), d.set(path, value)
}

// include adds value to the array at path, making what is missing above it,
// and returns what it did: nothing if the array has that value.
func (d *jsonDoc) include(path []string, value any) ([]change, error) {
	made, err := d.ensure(path, '[')
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	if i, err := d.index(path, text); err != nil || i >= 0 {
		return made, err
	}
	c := change{Path: path, Element: true, Value: text, Interior: d.interior(path)}
	return append(made, c), d.add(path, value)
}

// ensure makes the containers along path that are missing: objects, and of
// that kind the last.
func (d *jsonDoc) ensure(path []string, last byte) (made []change, err error) {
	for i := range path {
		here := path[:i+1]
		kind, value := byte('{'), json.RawMessage("{}")
		if i == len(path)-1 && last == '[' {
			kind, value = '[', json.RawMessage("[]")
		}
		root, err := d.root()
		if err != nil {
			return made, err
		}
		switch n := root.find(here); {
		case n == nil:
			made = append(made, change{Path: slices.Clone(here), Value: value, Interior: d.interior(here[:i])})
			if err := d.set(here, value); err != nil {
				return made, err
			}
		case n.kind != kind:
			return made, fmt.Errorf("%s is not what the host program expects there; correct it first", spell(here))
		}
	}
	return made, nil
}

// interior returns what is between the brackets of an empty container.
func (d *jsonDoc) interior(path []string) string {
	root, err := d.root()
	if err != nil {
		return ""
	}
	if n := root.find(path); n != nil && n.kind != 0 && len(n.parts) == 0 {
		return string(d.data[n.start+1 : n.end-1])
	}
	return ""
}

// index returns which element of the array at path is that value, -1 if none.
func (d *jsonDoc) index(path []string, value json.RawMessage) (int, error) {
	root, err := d.root()
	if err != nil {
		return -1, err
	}
	array := root.find(path)
	if array == nil || array.kind != '[' {
		return -1, nil
	}
	return slices.IndexFunc(array.parts, func(p part) bool {
		return sameJSON(d.data[p.value.start:p.value.end], value)
	}), nil
}

// undo takes a change back and reports whether there was anything to take
// back. A value that somebody changed since is left, and so is a container
// that has something in it by now.
func (d *jsonDoc) undo(c change) (bool, error) {
	if c.Element {
		i, err := d.index(c.Path, c.Value)
		if err != nil || i < 0 {
			return false, err
		}
		return true, d.drop(c.Path, i, c.Interior)
	}
	is, err := d.get(c.Path...)
	if err != nil || is == nil || !sameJSON(is, c.Value) {
		return false, err
	}
	if c.Was != nil {
		root, err := d.root()
		if err != nil {
			return false, err
		}
		n := root.find(c.Path)
		d.replace(n.start, n.end, c.Was)
		return true, nil
	}
	root, err := d.root()
	if err != nil {
		return false, err
	}
	parent, key := c.Path[:len(c.Path)-1], c.Path[len(c.Path)-1]
	return true, d.drop(parent, root.find(parent).member(key), c.Interior)
}
