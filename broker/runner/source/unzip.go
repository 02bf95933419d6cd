package source

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// What an archive may unpack to. Sizes are those that are found, whatever it
// says of itself.
const (
	maxEntries   = 10_000
	maxUnpacked  = 500 << 20
	maxDirectory = 8 << 20 // bytes of its list of entries
	maxFilePath  = 1024
	maxDepth     = 64
	unpackFor    = 2 * time.Minute
)

// unpack writes the files of an archive below dir, which is empty. Archives in
// the archive are files like others.
func unpack(ctx context.Context, archive *os.File, dir string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, unpackFor, fmt.Errorf("unpacking took longer than %v", unpackFor))
	defer cancel()
	info, err := archive.Stat()
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return unzip(ctx, archive, info.Size(), root, maxUnpacked)
}

func unzip(ctx context.Context, r io.ReaderAt, size int64, root *os.Root, room int64) error {
	list := &sparing{r: r, left: maxDirectory}
	zr, err := zip.NewReader(list, size)
	switch {
	case list.left < 0 || err == nil && len(zr.File) > maxEntries:
		return fmt.Errorf("the archive has more than %d entries", maxEntries)
	case err != nil:
		return fmt.Errorf("the archive cannot be read: %w", err)
	}
	list.free = true
	u := &unzipper{root: root, room: room, names: make(map[string]string)}
	for _, f := range zr.File {
		if err := u.entry(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// sparing reads at most a number of bytes until it is set free.
type sparing struct {
	r    io.ReaderAt
	left int64
	free bool
}

func (s *sparing) ReadAt(p []byte, off int64) (int, error) {
	if !s.free {
		if s.left -= int64(len(p)); s.left < 0 {
			return 0, errors.New("the list of entries is too long")
		}
	}
	return s.r.ReadAt(p, off)
}

// An unzipper writes entries below a root.
type unzipper struct {
	root  *os.Root
	room  int64             // bytes
	names map[string]string // as they are written, by how a file system may see them; directories end in /
}

func (u *unzipper) entry(ctx context.Context, f *zip.File) error {
	name, isDir := strings.CutSuffix(f.Name, "/")
	if err := checkEntry(f, name, isDir); err != nil {
		return err
	}
	if litter(name) {
		return nil
	}
	for at, c := range name {
		if c == '/' {
			if err := u.claim(name[:at], true); err != nil {
				return err
			}
		}
	}
	if err := u.claim(name, isDir); err != nil {
		return err
	}
	local := filepath.FromSlash(name)
	if isDir {
		return u.root.MkdirAll(local, 0o755)
	}
	if err := u.root.MkdirAll(filepath.Dir(local), 0o755); err != nil {
		return err
	}
	return u.file(ctx, f, local)
}

func checkEntry(f *zip.File, name string, isDir bool) error {
	kind := f.Mode().Type()
	switch {
	case !utf8.ValidString(name) || !fs.ValidPath(name) || name == "." || !filepath.IsLocal(filepath.FromSlash(name)) ||
		strings.Contains(name, `\`) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("the archive has an entry %.100q: names have to be below its top, in UTF-8, with / between their parts", f.Name)
	case len(name) > maxFilePath || strings.Count(name, "/") >= maxDepth:
		return fmt.Errorf("the archive has an entry %.100q...: paths have at most %d bytes and %d parts", f.Name, maxFilePath, maxDepth)
	case kind&fs.ModeSymlink != 0:
		return fmt.Errorf("the archive has a link, %.100q: put a copy of the file in its place", f.Name)
	case isDir && kind != fs.ModeDir, !isDir && kind != 0:
		return fmt.Errorf("%.100q in the archive is neither a file nor a directory", f.Name)
	case f.Flags&1 != 0:
		return fmt.Errorf("%.100q in the archive is encrypted", f.Name)
	}
	return nil
}

// litter reports whether an entry is what the Finder of macOS puts beside those
// that were meant.
func litter(name string) bool {
	return name == "__MACOSX" || strings.HasPrefix(name, "__MACOSX/") || path.Base(name) == ".DS_Store"
}

// claim takes a name, unless it is taken by another that some file system would
// see as the same. Directories may be claimed again.
func (u *unzipper) claim(name string, isDir bool) error {
	key, as := norm.NFC.String(strings.Map(foldRune, norm.NFD.String(name))), name
	if isDir {
		as += "/"
	}
	old, taken := u.names[key]
	switch {
	case taken && (old != as || !isDir):
		return fmt.Errorf("the archive has both %.100q and %.100q, which are one file on some systems", strings.TrimSuffix(old, "/"), name)
	case !taken && len(u.names) >= 2*maxEntries:
		return fmt.Errorf("the archive has more than %d directories", maxEntries)
	}
	u.names[key] = as
	return nil
}

// foldRune returns the least of the runes that differ in case only.
func foldRune(r rune) rune {
	least := r
	for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
		least = min(least, o)
	}
	return least
}

func (u *unzipper) file(ctx context.Context, f *zip.File, local string) (err error) {
	in, err := f.Open()
	if err != nil {
		return fmt.Errorf("%.100q in the archive cannot be read: %w", f.Name, err)
	}
	defer in.Close()
	mode := fs.FileMode(0o644)
	if f.Mode()&0o100 != 0 {
		mode = 0o755
	}
	out, err := u.root.OpenFile(local, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	n, err := io.Copy(out, io.LimitReader(lively{ctx, in}, u.room+1))
	switch u.room -= n; {
	case u.room < 0:
		return fmt.Errorf("the archive unpacks to more than %d MiB", maxUnpacked>>20)
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("%.100q in the archive cannot be unpacked: %w", f.Name, err)
	}
	return nil
}

// lively reads until its context is done.
type lively struct {
	ctx context.Context
	r   io.Reader
}

func (l lively) Read(p []byte) (int, error) {
	if err := l.ctx.Err(); err != nil {
		return 0, err
	}
	return l.r.Read(p)
}

// top returns the directory that is all there is in dir, and dir itself if
// there is more.
func top(dir string) (string, error) {
	all, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	if len(all) == 1 && all[0].IsDir() {
		return filepath.Join(dir, all[0].Name()), nil
	}
	if len(all) == 0 {
		return "", errors.New("the archive is empty")
	}
	return dir, nil
}
