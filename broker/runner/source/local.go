package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// copyLocal copies a directory that the operator allows, without what
// installing makes anew. It follows no links, and refuses them.
func (b *build) copyLocal(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, unpackFor, fmt.Errorf("copying took longer than %v", unpackFor))
	defer cancel()
	dir, err := b.allowed(b.job.Source.Path)
	if err != nil {
		return err
	}
	from, err := os.OpenRoot(dir)
	if err != nil {
		return errPath
	}
	defer from.Close()
	to, err := os.OpenRoot(b.src)
	if err != nil {
		return err
	}
	defer to.Close()
	entries, room := 0, int64(maxUnpacked)
	return fs.WalkDir(from.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path == ".":
			return nil
		case d.IsDir() && madeAnew(d.Name()):
			return fs.SkipDir
		}
		if entries++; entries > maxEntries {
			return fmt.Errorf("the directory has more than %d entries", maxEntries)
		}
		switch {
		case d.IsDir():
			return to.Mkdir(path, 0o755)
		case !d.Type().IsRegular():
			return fmt.Errorf("%.100q in the directory is a link, or no file: put a copy in its place", path)
		}
		n, err := copyFile(ctx, from, to, filepath.FromSlash(path), room)
		room -= n
		return err
	})
}

func madeAnew(name string) bool {
	return slices.Contains([]string{"node_modules", ".venv", "__pycache__", ".git"}, name)
}

// copyFile copies at most room bytes of a file.
func copyFile(ctx context.Context, from, to *os.Root, path string, room int64) (n int64, err error) {
	in, err := openRegular(from, path)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return 0, err
	}
	out, err := to.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644|info.Mode()&0o111)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	n, err = io.Copy(out, io.LimitReader(lively{ctx, in}, room+1))
	switch {
	case n > room:
		err = fmt.Errorf("the directory has more than %d MiB", maxUnpacked>>20)
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	return n, err
}
