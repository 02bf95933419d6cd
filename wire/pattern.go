package wire

import (
	"strings"
	"unicode/utf8"
)

// A Pattern stands for paths of a repository. It is what ParsePattern returns.
type Pattern struct {
	text  string
	parts []part
}

// A part matches one name of a path, or, if it is deep, any number of them.
type part struct {
	deep  bool
	runes []rune // with anyRune and anyRunes
}

// The wildcards of a part. Neither is a rune of a path.
const (
	anyRune  rune = -1 // one character
	anyRunes rune = -2 // any number of characters
)

// ParsePattern parses a glob pattern of paths, which are relative to the root
// of a repository and have / between their names:
//
//	?    any one character of a name
//	*    any characters of a name, or none
//	**   as a whole name: any number of names, or none
//
// Every other character, brackets too, stands for itself, in its case. A
// pattern without wildcards, or that ends with /, stands for that file or
// directory and for all that is below; so does "." for everything. A leading /
// or ./ is dropped. A pattern has at most MaxPathPattern characters and
// MaxWildcards asterisks, where ** counts as one. The error is an *Error with
// the code BadRequest.
func ParsePattern(text string) (Pattern, error) {
	switch {
	case text == "" || utf8.RuneCountInString(text) > MaxPathPattern:
		return Pattern{}, Errorf(BadRequest, "a pattern must have 1 to %d characters", MaxPathPattern)
	case !utf8.ValidString(text) || HasControl(text):
		return Pattern{}, Errorf(BadRequest, "pattern %q must be text without control characters", Shorten(text, 60))
	case strings.Contains(text, `\`):
		return Pattern{}, Errorf(BadRequest, `pattern %q: write / between directories, not \`, Shorten(text, 60))
	case alternatives(text):
		return Pattern{}, Errorf(BadRequest, "pattern %q: give a pattern for each of the alternatives instead of {…,…}", Shorten(text, 60))
	}
	var names []string
	for name := range strings.SplitSeq(text, "/") {
		switch {
		case name == "..":
			return Pattern{}, Errorf(BadRequest, "pattern %q leads out of the repository", Shorten(text, 60))
		case name == "" || name == ".", name == "**" && len(names) > 0 && names[len(names)-1] == "**":
		default:
			names = append(names, name)
		}
	}
	wild := strings.ContainsAny(text, "*?")
	if n := len(names); n == 0 || wild && strings.HasSuffix(text, "/") && names[n-1] != "**" {
		names, wild = append(names, "**"), true
	}
	p := Pattern{text: strings.Join(names, "/")}
	stars := 0
	for _, name := range names {
		q := parsePart(name)
		p.parts = append(p.parts, q)
		stars += q.stars()
	}
	if stars > MaxWildcards {
		return Pattern{}, Errorf(BadRequest, "pattern %q has more than %d asterisks", Shorten(text, 60), MaxWildcards)
	}
	if !wild {
		p.parts = append(p.parts, part{deep: true})
	}
	return p, nil
}

// alternatives reports whether text has a list in braces, as shells expand them.
func alternatives(text string) bool {
	_, rest, ok := strings.Cut(text, "{")
	for ok {
		inner, after, closed := strings.Cut(rest, "}")
		if closed && strings.Contains(inner, ",") {
			return true
		}
		_, rest, ok = strings.Cut(after, "{")
	}
	return false
}

func parsePart(name string) part {
	if name == "**" {
		return part{deep: true}
	}
	var p part
	for _, r := range name {
		switch {
		case r == '?':
			p.runes = append(p.runes, anyRune)
		case r != '*':
			p.runes = append(p.runes, r)
		case len(p.runes) == 0 || p.runes[len(p.runes)-1] != anyRunes:
			p.runes = append(p.runes, anyRunes)
		}
	}
	return p
}

func (p part) stars() (n int) {
	if p.deep {
		return 1
	}
	for _, r := range p.runes {
		if r == anyRunes {
			n++
		}
	}
	return n
}

// String returns the pattern as it is stored and compared: without what does
// not matter.
func (p Pattern) String() string { return p.text }

// Matches reports whether p stands for path, which is as git prints it.
func (p Pattern) Matches(path string) bool {
	var literal []part
	for name := range strings.SplitSeq(path, "/") {
		literal = append(literal, part{runes: []rune(name)})
	}
	return meet(p.parts, literal)
}

// Overlaps reports whether there is a path that both p and q stand for.
func (p Pattern) Overlaps(q Pattern) bool { return meet(p.parts, q.parts) }

// meet reports whether some path is in both: whether the product of the two
// automata, whose states are the places between parts, gets to its end.
func meet(a, b []part) bool {
	return reaches(len(a), len(b), func(i, j int) (first, second, both bool) {
		first = i < len(a) && a[i].deep
		second = j < len(b) && b[j].deep
		if i == len(a) || j == len(b) {
			return first, second, false
		}
		// What is deep stands for no more names, or takes what the other has there.
		return first || second, first || second, !first && !second && meetNames(a[i].runes, b[j].runes)
	})
}

// meetNames does the same within a name, a character at a time.
func meetNames(a, b []rune) bool {
	return reaches(len(a), len(b), func(i, j int) (first, second, both bool) {
		first = i < len(a) && a[i] == anyRunes
		second = j < len(b) && b[j] == anyRunes
		if i == len(a) || j == len(b) {
			return first, second, false
		}
		same := a[i] == b[j] || a[i] == anyRune || b[j] == anyRune
		return first || second, first || second, !first && !second && same
	})
}

// reaches reports whether there is a way from 0, 0 to n, m. step says which
// steps there are from i, j: one on in the first, in the second, or in both.
func reaches(n, m int, step func(i, j int) (first, second, both bool)) bool {
	now, next := make([]bool, m+2), make([]bool, m+2)
	now[0] = true
	for i := range n + 1 {
		clear(next)
		for j := range m + 1 {
			if !now[j] {
				continue
			}
			if i == n && j == m {
				return true
			}
			first, second, both := step(i, j)
			next[j] = next[j] || first
			now[j+1] = now[j+1] || second
			next[j+1] = next[j+1] || both
		}
		now, next = next, now
	}
	return false
}
