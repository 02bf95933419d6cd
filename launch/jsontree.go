package launch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// A node is a value in the text of a JSON document, from start up to end.
type node struct {
	kind       byte // '{', '[', or 0 for all else
	start, end int
	parts      []part // of an object or an array, in their order
}

// A part is a member of an object or an element of an array. It begins with
// its key, if it has one.
type part struct {
	start int
	key   string
	value *node
}

// parseJSON reads the places of all values in data, which must be one JSON
// object. Errors name the line.
func parseJSON(data []byte) (*node, error) {
	var any json.RawMessage
	if err := json.Unmarshal(data, &any); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			line := 1 + bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte("\n"))
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		return nil, err
	}
	s := scanner{data: data}
	s.blanks()
	root := s.value()
	if root.kind != '{' {
		return nil, errors.New("it is no JSON object")
	}
	return root, nil
}

// A scanner walks through JSON that is known to be valid.
type scanner struct {
	data []byte
	at   int
}

func (s *scanner) blanks() {
	for s.at < len(s.data) && isBlank(s.data[s.at]) {
		s.at++
	}
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func (s *scanner) value() *node {
	n := &node{start: s.at}
	switch c := s.data[s.at]; c {
	case '{', '[':
		n.kind = c
		s.at++
		s.children(n)
	case '"':
		s.text()
	default:
		for s.at < len(s.data) && !isBlank(s.data[s.at]) && !bytes.ContainsRune([]byte(",]}"), rune(s.data[s.at])) {
			s.at++
		}
	}
	n.end = s.at
	return n
}

// children reads what an object or array has, and its closing bracket.
func (s *scanner) children(n *node) {
	for {
		s.blanks()
		switch s.data[s.at] {
		case '}', ']':
			s.at++
			return
		case ',':
			s.at++
			continue
		}
		p := part{start: s.at}
		if n.kind == '{' {
			s.text()
			json.Unmarshal(s.data[p.start:s.at], &p.key) // valid, so it succeeds
			s.blanks()
			s.at++ // the colon
			s.blanks()
		}
		p.value = s.value()
		n.parts = append(n.parts, p)
	}
}

// text moves behind a string.
func (s *scanner) text() {
	for s.at++; s.data[s.at] != '"'; s.at++ {
		if s.data[s.at] == '\\' {
			s.at++
		}
	}
	s.at++
}

// member returns the index of the part with that key, -1 if there is none. Of
// several the last counts, as it does for those who read the file.
func (n *node) member(key string) int {
	for i := len(n.parts) - 1; i >= 0; i-- {
		if n.parts[i].key == key {
			return i
		}
	}
	return -1
}

// find follows keys down from n; nil if one of them is not there.
func (n *node) find(path []string) *node {
	for _, key := range path {
		i := -1
		if n.kind == '{' {
			i = n.member(key)
		}
		if i < 0 {
			return nil
		}
		n = n.parts[i].value
	}
	return n
}
