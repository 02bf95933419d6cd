package share

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

var (
	errNotDirectory = fmt.Errorf("%w: a name on the way is of no directory", fs.ErrNotExist)
	errTooManyLinks = errors.New("read error: too many symbolic links")
)

// A root is one shared directory, open.
type root struct {
	*os.Root
	real    string   // its path without symbolic links
	never   []string // the same of what is not shared
	secrets secrets
}

func (d Dirs) open(dir string) (*root, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	r, err := os.OpenRoot(real)
	if err != nil {
		return nil, err
	}
	out := &root{Root: r, real: real, secrets: newSecrets()}
	for _, n := range d.Never {
		if n, err := filepath.EvalSymlinks(n); err == nil {
			out.never = append(out.never, n)
		}
	}
	return out, nil
}

// permitted returns why a name may not be looked up.
func (r *root) permitted(name string) error {
	switch {
	case dotted(name):
		return errDotted
	case r.secrets.hold(name):
		return errSecret
	case shortName(name):
		return fs.ErrNotExist
	}
	return nil
}

// shortName reports whether a name may be the second one, of eight characters
// and three, that Windows gives to a file.
func shortName(name string) bool {
	i := strings.LastIndexByte(name, '~')
	return filepath.Separator == '\\' && i >= 0 && i+1 < len(name) && name[i+1] >= '0' && name[i+1] <= '9'
}

// resolve returns what elems really name: without symbolic links, each name
// permitted. A link may not lead out.
func (r *root) resolve(elems []string, k kind) (real []string, err error) {
	links := 0
	for pending := slices.Clone(elems); len(pending) > 0; {
		elem := pending[0]
		pending = pending[1:]
		switch elem {
		case "", ".":
			continue
		case "..": // of a link
			if len(real) == 0 {
				return nil, k.outside()
			}
			real = real[:len(real)-1]
			continue
		}
		if err := r.permitted(elem); err != nil {
			return nil, err
		}
		next := append(slices.Clip(real), elem)
		info, err := r.look(next)
		switch {
		case err != nil:
			return nil, err
		case info.Mode()&fs.ModeSymlink == 0 && len(pending) > 0 && !info.IsDir():
			return nil, errNotDirectory
		case info.Mode()&fs.ModeSymlink == 0:
			real = next
			continue
		}
		if links++; links > maxLinks {
			return nil, errTooManyLinks
		}
		target, err := r.Readlink(local(next))
		if err != nil {
			return nil, err
		}
		if target = filepath.ToSlash(target); path.IsAbs(target) || filepath.IsAbs(target) {
			return nil, k.outside()
		}
		pending = append(strings.Split(target, "/"), pending...)
	}
	if r.excluded(real) {
		return nil, errSecret
	}
	return real, nil
}

// look is Lstat.
func (r *root) look(elems []string) (fs.FileInfo, error) {
	if len(elems) > 0 {
		if _, err := filepath.Localize(strings.Join(elems, "/")); err != nil {
			return nil, fs.ErrNotExist // no file here can be called that
		}
	}
	return r.Lstat(local(elems))
}

// local is a path as this system writes it.
func local(elems []string) string {
	if len(elems) == 0 {
		return "."
	}
	return filepath.Join(elems...)
}

// excluded reports whether a real path is in a directory that is not shared.
func (r *root) excluded(real []string) bool {
	full := filepath.Join(append([]string{r.real}, real...)...)
	return slices.ContainsFunc(r.never, func(n string) bool {
		rel, err := filepath.Rel(n, full)
		return err == nil && filepath.IsLocal(rel)
	})
}

// openReal opens what elems really name. It is what it was when it was looked
// at, and a regular file or a directory.
func (r *root) openReal(elems []string, k kind) (*os.File, fs.FileInfo, error) {
	real, err := r.resolve(elems, k)
	if err != nil {
		return nil, nil, err
	}
	looked, err := r.look(real)
	if err != nil {
		return nil, nil, err
	}
	if !looked.Mode().IsRegular() && !looked.IsDir() {
		return nil, nil, errors.New("not a " + string(k))
	}
	f, err := r.OpenFile(local(real), os.O_RDONLY|dontWait, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !os.SameFile(looked, info) {
		err = errChanged
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}
