package share

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Limits of what is read for one request.
const (
	MaxFile    = 1 << 20   // bytes of a file
	MaxEntries = 500       // of a listing
	maxLinks   = 20        // symbolic links on the way to a file
	maxSeen    = 5000      // entries looked at for one listing
	maxListing = 256 << 10 // bytes of names in one listing
	levels     = 3         // of a listing, the directory itself included
)

// ErrDisabled is what every request gets while nothing is shared. Its text,
// like that of all errors here, is for whoever asked: it names nothing that
// is not shared.
var ErrDisabled = errors.New("file sharing is disabled on this peer")

var (
	errTraversal = errors.New("path traversal not allowed")
	errDotted    = errors.New("names that begin with a dot are not shared")
	errSecret    = errors.New("not shared: it may hold a key or a credential")
	errChanged   = errors.New("read error: it was replaced meanwhile; ask again")
)

// Dirs are shared directories.
type Dirs struct {
	// Paths are the directories, absolute. Where several have a file under
	// the same path, the first one's is meant.
	Paths []string
	// Never are directories, absolute, below which nothing is shared.
	Never []string
}

// File reads the file with that path, relative to one of the directories. It
// has at most MaxFile bytes. The error is text for whoever asked.
func (d Dirs) File(path string) (data []byte, err error) {
	err = d.each(path, file, func(r *root, elems []string) error {
		data, err = r.read(elems)
		return err
	})
	return data, err
}

// List lists what is in a directory, relative to one of the shared ones, and
// in two levels below it: paths relative to it, ascending, directories with
// a / at their end. Of directories with the same path all are listed. An empty
// dir, and a dot, are the shared directories themselves. Pattern, if not empty,
// picks entries: see wire.PeerDirRequest. more says that there are more than
// MaxEntries, or more than is looked at for one listing. The error is text for
// whoever asked.
func (d Dirs) List(dir, pattern string) (entries []string, more bool, err error) {
	l := newListing(pattern)
	found := false
	err = d.each(dir, directory, func(r *root, elems []string) error {
		if err := l.read(r, elems); err != nil {
			return err
		}
		found = true
		return fs.ErrNotExist // go on with the next
	})
	if found {
		return l.entries(), l.more, nil
	}
	return nil, false, err
}

// each calls f with the directories, until it returns anything but
// fs.ErrNotExist.
func (d Dirs) each(path string, k kind, f func(*root, []string) error) error {
	if len(d.Paths) == 0 {
		return ErrDisabled
	}
	elems, err := split(path, k)
	if err != nil {
		return err
	}
	for _, p := range d.Paths {
		r, err := d.open(p)
		if err != nil {
			continue // it has gone: as if it were empty
		}
		err = f(r, elems)
		r.Close()
		if !errors.Is(err, fs.ErrNotExist) {
			return said(err, k)
		}
	}
	return said(fs.ErrNotExist, k)
}

// A kind is what was asked for.
type kind string

const (
	file      kind = "file"
	directory kind = "directory"
)

func (k kind) outside() error { return fmt.Errorf("%s outside shared directories", k) }

// split cuts a path into elements that may be looked up. What one could take
// for more than a path below the directory is refused by its form alone.
func split(path string, k kind) ([]string, error) {
	slashes := strings.ReplaceAll(path, `\`, "/")
	for elem := range strings.SplitSeq(slashes, "/") {
		if elem == ".." {
			return nil, errTraversal
		}
	}
	if strings.HasPrefix(slashes, "/") || len(path) > 1 && path[1] == ':' && isLetter(path[0]) {
		return nil, k.outside()
	}
	var elems []string
	for elem := range strings.SplitSeq(path, "/") {
		if elem != "" && elem != "." {
			elems = append(elems, elem)
		}
	}
	return elems, nil
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// said is an error as whoever asked may read it.
func said(err error, k kind) error {
	var pathErr *fs.PathError
	var linkErr *os.LinkError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s not found", k)
	case errors.As(err, &pathErr):
		return fmt.Errorf("read error: %w", pathErr.Err) // without the path
	case errors.As(err, &linkErr):
		return fmt.Errorf("read error: %w", linkErr.Err)
	}
	return err
}

// read reads a file.
func (r *root) read(elems []string) ([]byte, error) {
	f, info, err := r.openReal(elems, file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	switch {
	case !info.Mode().IsRegular():
		return nil, errors.New("not a file")
	case info.Size() > MaxFile:
		return nil, tooLarge(info.Size())
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > MaxFile:
		return nil, tooLarge(int64(len(data)))
	case holdsKey(data):
		return nil, errSecret
	}
	return data, nil
}

func tooLarge(size int64) error {
	return fmt.Errorf("file too large (%d bytes, max %d)", size, MaxFile)
}

// Check returns why a directory should not be shared, nil if it may be: it
// must be there, and be neither a whole file system nor all of a user's home.
func Check(dir, home string) error {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return fmt.Errorf("cannot share %s: %w", dir, err)
	case !info.IsDir():
		return fmt.Errorf("cannot share %s: it is no directory", dir)
	case filepath.Dir(dir) == dir:
		return fmt.Errorf("cannot share %s: that is everything on this machine; name the directory of a project", dir)
	}
	if h, err := os.Stat(home); home != "" && err == nil && os.SameFile(info, h) {
		return fmt.Errorf("cannot share %s: that is all of your home; name the directory of a project", dir)
	}
	return nil
}
