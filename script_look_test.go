package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A look is what retry waits for in the output of a program.
type look struct {
	has, lacks []*regexp.Regexp
}

// expectation reads the flags of retry and returns the rest.
func expectation(args []string) (want look, rest []string, err error) {
	for len(args) >= 2 && (args[0] == "-stdout" || args[0] == "-no-stdout") {
		re, err := regexp.Compile("(?m)" + args[1])
		if err != nil {
			return look{}, nil, err
		}
		if args[0] == "-stdout" {
			want.has = append(want.has, re)
		} else {
			want.lacks = append(want.lacks, re)
		}
		args = args[2:]
	}
	return want, args, nil
}

// fault returns what is wrong with the output, empty if nothing is.
func (l look) fault(stdout string) string {
	for _, re := range l.has {
		if !re.MatchString(stdout) {
			return fmt.Sprintf("no %q in the output", re)
		}
	}
	for _, re := range l.lacks {
		if re.MatchString(stdout) {
			return fmt.Sprintf("%q in the output", re)
		}
	}
	return ""
}

// field returns the value at a path of a JSON text: text as it is, anything
// else as compact JSON. A path is of names and brackets, such as
// peers[0].groups, peers[name=bob].status or peers[-1]; length is that of a
// list.
func field(text, path string) (string, error) {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return "", fmt.Errorf("no JSON: %w", err)
	}
	for rest := path; rest != "" && rest != "."; {
		var err error
		if v, rest, err = step(v, strings.TrimPrefix(rest, ".")); err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
	}
	if s, ok := v.(string); ok {
		return s, nil
	}
	out, err := json.Marshal(v)
	return string(out), err
}

// step goes one element of a path down and returns what is left of the path.
func step(v any, path string) (any, string, error) {
	if inside, ok := strings.CutPrefix(path, "["); ok {
		index, rest, ok := strings.Cut(inside, "]")
		if !ok {
			return nil, "", errors.New("] is missing")
		}
		v, err := element(v, index)
		return v, rest, err
	}
	name, rest := path, ""
	if i := strings.IndexAny(path, ".["); i >= 0 {
		name, rest = path[:i], path[i:]
	}
	if list, ok := v.([]any); ok && name == "length" {
		return float64(len(list)), rest, nil
	}
	object, _ := v.(map[string]any)
	child, ok := object[name]
	if !ok {
		return nil, "", fmt.Errorf("no field %q", name)
	}
	return child, rest, nil
}

// element returns one of a list by its index, from the end if that is
// negative, or by the field that it has, as name=value.
func element(v any, index string) (any, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, errors.New("not a list")
	}
	if name, value, ok := strings.Cut(index, "="); ok {
		for _, e := range list {
			if object, ok := e.(map[string]any); ok && fmt.Sprint(object[name]) == value {
				return e, nil
			}
		}
		return nil, fmt.Errorf("no element with %s", index)
	}
	i, err := strconv.Atoi(index)
	if i < 0 {
		i += len(list)
	}
	if err != nil || i < 0 || i >= len(list) {
		return nil, fmt.Errorf("no element %s of %d", index, len(list))
	}
	return list[i], nil
}

func TestFieldFollowsPaths(t *testing.T) {
	const text = `{"n": 12, "who": "ann", "peers": [{"name": "bob", "groups": ["a"]}, {"name": "cy", "on": true}]}`
	for _, c := range []struct{ path, want string }{
		{"who", "ann"}, {"n", "12"}, {".who", "ann"}, {"peers.length", "2"}, {"peers[0].name", "bob"}, {"peers[-1].name", "cy"},
		{"peers[name=cy].on", "true"}, {"peers[0].groups", `["a"]`}, {"peers[0].groups[0]", "a"},
	} {
		if got, err := field(text, c.path); got != c.want || err != nil {
			t.Errorf("%s is %q, %v; want %q", c.path, got, err, c.want)
		}
	}
	for _, path := range []string{"nobody", "peers[2]", "peers[-3]", "peers[x]", "peers[name=dee]", "peers[0", "who.x", "who[0]", "n.length"} {
		if got, err := field(text, path); err == nil {
			t.Errorf("%s is %q; want an error", path, got)
		}
	}
}
