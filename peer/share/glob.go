package share

import (
	"strings"
	"unicode"
)

// A glob is a pattern: * is any number of characters of a name, ? is one. It
// fits in any case.
type glob []rune

func newGlob(pattern string) glob { return glob(fold(pattern)) }

// fits reports whether the whole of a folded name is what g says.
func (g glob) fits(name []rune) bool {
	if n := len(g); n > 0 && len(name) > 0 && (!g.may(g[0], name[0]) || !g.may(g[n-1], name[len(name)-1])) {
		return false // the ends tell most names apart
	}
	return matches(g, name, func(r rune) bool { return r == '*' }, func(p, r rune) bool { return p == '?' || p == r })
}

// may reports whether a character may stand where the pattern has p.
func (glob) may(p, r rune) bool { return p == '*' || p == '?' || p == r }

// A pathGlob is a pattern for paths.
type pathGlob struct {
	elems    []element
	lastOnly bool // without a / in it: held against the last element alone
}

// An element of a pathGlob is a glob, or ** for any number of elements.
type element struct {
	glob
	any bool
}

// newPathGlob returns nil, which everything fits, for an empty pattern.
func newPathGlob(pattern string) *pathGlob {
	if pattern == "" {
		return nil
	}
	p := &pathGlob{lastOnly: !strings.Contains(pattern, "/")}
	for e := range strings.SplitSeq(pattern, "/") {
		if e != "" && e != "." {
			p.elems = append(p.elems, element{newGlob(e), e == "**" && !p.lastOnly})
		}
	}
	return p
}

// fits reports whether the whole of a path, with / between its elements, is
// what p says.
func (p *pathGlob) fits(path string) bool {
	if p == nil {
		return true
	}
	if p.lastOnly {
		path = path[strings.LastIndexByte(path, '/')+1:]
	}
	var names [][]rune
	for name := range strings.SplitSeq(path, "/") {
		names = append(names, []rune(fold(name)))
	}
	return matches(p.elems, names, func(e element) bool { return e.any }, func(e element, name []rune) bool { return e.fits(name) })
}

// matches reports whether text as a whole is what pattern says: each part of
// it fits one unit of text, a star any number. It goes back to the last star
// only, so that its steps are at most len(pattern)·len(text).
func matches[P, T any](pattern []P, text []T, star func(P) bool, fits func(P, T) bool) bool {
	p, t, back, from := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && star(pattern[p]):
			back, from = p, t
			p++
		case p < len(pattern) && fits(pattern[p], text[t]):
			p, t = p+1, t+1
		case back >= 0:
			from++
			p, t = back+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && star(pattern[p]) {
		p++
	}
	return p == len(pattern)
}

// fold makes names equal that some file system takes for the same: in one
// case, without characters that have no image.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		least := r
		for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
			least = min(least, o)
		}
		return least
	}, name)
}
