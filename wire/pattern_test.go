package wire

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestPatternsStandForPaths(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{"main.go", "main.go", true},
		{"main.go", "main_test.go", false},
		{"./main.go", "main.go", true},
		{"/main.go", "main.go", true},
		{"src/parser", "src/parser/lex.go", true},
		{"src/parser", "src/parser", true},
		{"src/parser/", "src/parser/a/b", true},
		{"src/parser", "src/parsers/lex.go", false},
		{"src/*", "src/a.go", true},
		{"src/*", "src/a/b.go", false},
		{"src/*/", "src/a/b.go", true},
		{"src/?/", "src/a/b.go", true},
		{"src/**", "src/a/b/c.go", true},
		{"src/**", "src", true},
		{"**/*_test.go", "a_test.go", true},
		{"**/*_test.go", "x/y/a_test.go", true},
		{"**/*_test.go", "x/y/a.go", false},
		{"a/**/z", "a/z", true},
		{"a/**/z", "a/b/c/z", true},
		{"a/**/z", "a/b/c/z/d", false},
		{"a**b", "axxb", true},
		{"a**b", "a/b", false},
		{"app/[id]/page.tsx", "app/[id]/page.tsx", true},
		{"app/[id]/page.tsx", "app/i/page.tsx", false},
		{"{{name}}/x", "{{name}}/x", true},
		{".", "any/thing", true},
		{"/", "any/thing", true},
		{"Ä?.txt", "Ä😀.txt", true},
		{"readme", "README", false},
	} {
		p, err := ParsePattern(c.pattern)
		if err != nil {
			t.Errorf("%q: %v", c.pattern, err)
			continue
		}
		if got := p.Matches(c.path); got != c.want {
			t.Errorf("%q stands for %q: %v", c.pattern, c.path, got)
		}
	}
}

func TestPatternsThatAreRefused(t *testing.T) {
	for _, text := range []string{
		"", "..", "a/../b", `a\b`, "a\x00", "a\nb", "\xff", "src/*.{ts,tsx}", strings.Repeat("x", MaxPathPattern+1),
		strings.Repeat("*a", MaxWildcards+1), strings.Repeat("**/a/", MaxWildcards+1),
	} {
		if p, err := ParsePattern(text); !errors.Is(err, &Error{Code: BadRequest}) {
			t.Errorf("%q is %v, %v", text, p, err)
		}
	}
}

func TestPatternsOverlapWhereSomePathIsInBoth(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"src/a.go", "src/a.go", true},
		{"src/a.go", "src/b.go", false},
		{"src", "src/a.go", true},
		{"src/*.go", "src/a*", true},
		{"src/*.go", "src/*.ts", false},
		{"**/*.go", "src/parser/lex.go", true},
		{"a/**/z", "**/b/**", true},
		{"a/**/z", "b/**", false},
		{"a*c", "?b?", true},
		{"a*c", "?", false},
		{"*/x", "x/*", true},
		{"*/*", "x", true}, // x may be a directory
		{"*/*", "x?", false},
		{"docs/**", "doc?/a", true},
	} {
		for range 2 {
			p, q := parsed(t, c.a), parsed(t, c.b)
			if got := p.Overlaps(q); got != c.want {
				t.Errorf("%q and %q: %v", c.a, c.b, got)
			}
			c.a, c.b = c.b, c.a
		}
	}
}

func parsed(t testing.TB, text string) Pattern {
	t.Helper()
	p, err := ParsePattern(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Matching and overlapping are held against a matcher that tries everything,
// over all paths that short patterns of a small alphabet can tell apart.
func FuzzPatterns(f *testing.F) {
	for _, s := range []string{"a b", "* a", "**/a a/**", "a*b ?b", "a/b a", "*/ ?/a", "**/*a b/**/a", ". a", "a** *", "?*/b a/?"} {
		a, b, _ := strings.Cut(s, " ")
		f.Add(a, b)
	}
	paths := allPaths("ab", 7)
	f.Fuzz(func(t *testing.T, a, b string) {
		p, err := ParsePattern(a)
		if err != nil {
			return
		}
		if again := parsed(t, p.String()); again.String() != p.String() {
			t.Fatalf("%q becomes %q becomes %q", a, p, again)
		}
		q, err := ParsePattern(b)
		if err != nil {
			return
		}
		if p.Overlaps(q) != q.Overlaps(p) {
			t.Fatalf("%q and %q overlap one way only", p, q)
		}
		if !small(a) || !small(b) {
			return
		}
		both := slices.ContainsFunc(paths, func(path string) bool {
			inP, inQ := p.Matches(path), q.Matches(path)
			if inP != slow(p, path) || inQ != slow(q, path) {
				t.Fatalf("%q or %q stands, or not, for %q", p, q, path)
			}
			return inP && inQ
		})
		if got := p.Overlaps(q); got != both {
			t.Fatalf("%q and %q overlap: %v, but by trial %v", p, q, got, both)
		}
	})
}

// small reports whether the paths of allPaths tell whether text meets another.
func small(text string) bool {
	return len(text) <= 5 && strings.Trim(text, "ab*?/") == "" && strings.Count(text, "/") <= 2
}

// allPaths lists the paths of up to n characters of an alphabet and /.
func allPaths(alphabet string, n int) []string {
	var all []string
	level := []string{""}
	for range n {
		var next []string
		for _, s := range level {
			for _, c := range alphabet + "/" {
				if grown := s + string(c); !strings.HasPrefix(grown, "/") && !strings.Contains(grown, "//") {
					next = append(next, grown)
				}
			}
		}
		for _, s := range next {
			if !strings.HasSuffix(s, "/") {
				all = append(all, s)
			}
		}
		level = next
	}
	return all
}

// slow matches by trying all ways.
func slow(p Pattern, path string) bool {
	var names [][]rune
	for name := range strings.SplitSeq(path, "/") {
		names = append(names, []rune(name))
	}
	return slowParts(p.parts, names)
}

func slowParts(parts []part, names [][]rune) bool {
	switch {
	case len(parts) == 0:
		return len(names) == 0
	case parts[0].deep:
		return slowParts(parts[1:], names) || len(names) > 0 && slowParts(parts, names[1:])
	}
	return len(names) > 0 && slowName(parts[0].runes, names[0]) && slowParts(parts[1:], names[1:])
}

func slowName(pattern, name []rune) bool {
	switch {
	case len(pattern) == 0:
		return len(name) == 0
	case pattern[0] == anyRunes:
		return slowName(pattern[1:], name) || len(name) > 0 && slowName(pattern, name[1:])
	}
	return len(name) > 0 && (pattern[0] == anyRune || pattern[0] == name[0]) && slowName(pattern[1:], name[1:])
}

func BenchmarkOverlap(b *testing.B) {
	for name, pair := range map[string][2]string{
		"usual":   {"src/parser/**", "**/*_test.go"},
		"hostile": {strings.Repeat("*"+strings.Repeat("a", 23), MaxWildcards), strings.Repeat(strings.Repeat("a", 23)+"*", MaxWildcards) + "b"},
	} {
		p, q := parsed(b, pair[0]), parsed(b, pair[1])
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				p.Overlaps(q)
			}
		})
	}
}
