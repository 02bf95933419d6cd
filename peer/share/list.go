package share

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// A listing gathers entries, those of the upper levels first.
type listing struct {
	pattern *pathGlob
	found   map[string]bool
	bytes   int // of names found
	seen    int // entries looked at
	more    bool
}

func newListing(pattern string) *listing {
	return &listing{pattern: newPathGlob(pattern), found: make(map[string]bool)}
}

func (l *listing) entries() []string {
	return append([]string{}, slices.Sorted(maps.Keys(l.found))...)
}

// read lists a directory and what is below it.
func (l *listing) read(r *root, elems []string) error {
	base, err := r.resolve(elems, directory)
	if err != nil {
		return err
	}
	level := []string{""} // directories, each with a / at its end but the first
	for depth := range levels {
		var next []string
		for _, dir := range level {
			below, err := l.directory(r, base, dir)
			if err != nil && depth == 0 {
				return err
			}
			next = append(next, below...)
		}
		level = next
	}
	return nil
}

// directory adds the entries of one directory, whose path below base is dir,
// and returns the directories among them.
func (l *listing) directory(r *root, base []string, dir string) (below []string, err error) {
	if l.seen >= maxSeen {
		l.more = true
		return nil, nil
	}
	at := append(slices.Clip(base), strings.FieldsFunc(dir, func(c rune) bool { return c == '/' })...)
	f, info, err := r.openReal(at, directory)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if !info.IsDir() {
		return nil, errors.New("not a directory")
	}
	all, err := f.ReadDir(maxSeen - l.seen + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if l.seen += len(all); l.seen > maxSeen {
		l.more, all = true, all[:len(all)-1]
	}
	slices.SortFunc(all, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range all {
		name := e.Name()
		if r.permitted(name) != nil || !utf8.ValidString(name) || strings.Contains(name, `\`) {
			continue
		}
		switch typ := r.typeOf(at, e); {
		case typ.IsDir():
			below = append(below, dir+name+"/")
			l.add(dir+name, "/")
		case typ.IsRegular():
			l.add(dir+name, "")
		}
	}
	return below, nil
}

// typeOf is what an entry is; a link to a file is one, any other link nothing.
func (r *root) typeOf(dir []string, e fs.DirEntry) fs.FileMode {
	at := append(slices.Clip(dir), e.Name())
	if e.IsDir() && r.excluded(at) {
		return fs.ModeIrregular
	}
	if e.Type()&fs.ModeSymlink == 0 {
		return e.Type()
	}
	real, err := r.resolve(at, file)
	if err != nil {
		return fs.ModeIrregular
	}
	info, err := r.look(real)
	if err != nil || !info.Mode().IsRegular() {
		return fs.ModeIrregular
	}
	return info.Mode().Type()
}

func (l *listing) add(path, end string) {
	if !l.pattern.fits(path) || l.found[path+end] {
		return
	}
	if len(l.found) >= MaxEntries || l.bytes+len(path)+1 > maxListing {
		l.more = true
		return
	}
	l.found[path+end] = true
	l.bytes += len(path) + 1
}
