package runner

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"claudemesh/broker/runner/source"
)

const (
	maxDisk   = 1 << 30                 // bytes of a service, when it is started and while it runs
	maxFiles  = 2 * source.DefaultFiles // and directories
	flatDepth = 64                      // levels of directories that are deleted at a time
)

// A diskUse is what directories have on the disk.
type diskUse struct {
	bytes   int64
	files   int
	tooDeep bool
}

// add counts what is in a directory, until it is too much.
func (u *diskUse) add(dir string) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return // it is not there yet
	}
	defer root.Close()
	fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // it went while it was looked at
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			u.bytes += info.Size()
		}
		u.files++
		u.tooDeep = strings.Count(name, "/") >= source.MaxNesting
		if u.check() != nil {
			return fs.SkipAll
		}
		return nil
	})
}

// check refuses what is too much.
func (u *diskUse) check() error {
	const remedy = "undeploying it deletes all of it"
	switch {
	case u.bytes > maxDisk:
		return fmt.Errorf("what it has on the broker's disk is more than %d MiB, which are the most: %s", maxDisk>>20, remedy)
	case u.files > maxFiles:
		return fmt.Errorf("what it has on the broker's disk are more than %d files, which are the most: %s", maxFiles, remedy)
	case u.tooDeep:
		return fmt.Errorf("its directories on the broker's disk are nested more than %d deep, which is the most: %s", source.MaxNesting, remedy)
	}
	return nil
}

// addOwn counts what a service may change.
func (u *diskUse) addOwn(s *service) {
	u.add(filepath.Join(s.dir, homeDir))
	u.add(filepath.Join(s.dir, tmpDir))
}

// removeAll deletes a directory, also one that is unwritable, and one in which
// there are so many directories in each other that os.RemoveAll, which has a file
// open for each, would take all that the broker may have.
func removeAll(dir string) error {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrPermission) && os.Chmod(dir, 0o700) == nil {
		root, err = os.OpenRoot(dir)
	}
	if err != nil {
		return os.RemoveAll(dir) // there is none, or it is a file
	}
	defer root.Close()
	root.Chmod(".", 0o700) // if that fails the rest does, and says why
	for {
		entries, err := fs.ReadDir(root.FS(), ".")
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			return os.RemoveAll(dir)
		}
		for _, e := range entries {
			if err := errors.Join(flatten(root, e.Name()), root.RemoveAll(e.Name())); err != nil {
				return err
			}
		}
	}
}

// flatten moves what is more than flatDepth levels below a directory of root up
// to root, and makes what is left writable.
func flatten(root *os.Root, top string) error {
	return fs.WalkDir(root.FS(), top, func(name string, d fs.DirEntry, err error) error {
		switch {
		case d == nil || !d.IsDir():
			return nil
		case err != nil: // it cannot be read as it is
			return fs.SkipDir
		case strings.Count(name, "/") < flatDepth:
			return ignoreMissing(root.Chmod(name, 0o700))
		}
		if err := root.Rename(name, "deep-"+rand.Text()); err != nil {
			return err
		}
		return fs.SkipDir
	})
}
