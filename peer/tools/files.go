package tools

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"claudemesh/peer"
	"claudemesh/peer/share"
)

// fileDirs are the directories whose files a tool may share, and to which it
// may fetch: the session's own, and what the configuration adds. A model reads
// the words of strangers, and must not be talked into more.
func (h *hub) fileDirs() []string {
	dirs := []string{h.who.cwd}
	if c, err := peer.LoadConfig(h.dir); err == nil {
		dirs = append(dirs, c.FileDirs...)
	}
	return dirs
}

// within opens the directory of fileDirs that a path is in, and returns the
// path relative to it. instead is a command by which a user can do without.
func (h *hub) within(path, instead string) (*os.Root, string, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(h.who.cwd, path)
	}
	for _, dir := range h.fileDirs() {
		rel, err := filepath.Rel(dir, path)
		if err != nil || !filepath.IsLocal(rel) || dir == "" {
			continue
		}
		root, err := os.OpenRoot(dir)
		return root, rel, err
	}
	return nil, "", fmt.Errorf("%s is not below the working directory %s: ask your user to use `%s`, or to add a directory to \"fileDirs\" in the configuration", path, h.who.cwd, instead)
}

// openOwn opens a file that a session may give away. instead is a command by
// which a user can, whatever it is.
func (h *hub) openOwn(path, instead string) (*os.File, error) {
	root, rel, err := h.within(path, instead)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if share.Withheld(rel) || share.Withheld(behind(root, rel)) {
		return nil, fmt.Errorf("%s looks like a secret or a file of settings, which a session does not share: ask your user to run `%s` if it is meant", path, instead)
	}
	info, err := root.Stat(rel)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // to open a pipe would wait for its other end
		return nil, fmt.Errorf("%s is not a regular file: pack a directory first", path)
	}
	return root.Open(rel)
}

// behind returns the path below root that a path with symbolic links in it
// leads to, "" if there is none.
func behind(root *os.Root, path string) string {
	base, err := filepath.EvalSymlinks(root.Name())
	if err != nil {
		return ""
	}
	real, err := filepath.EvalSymlinks(filepath.Join(root.Name(), path))
	if err != nil {
		return ""
	}
	rel, err := filepath.Rel(base, real)
	if err != nil || !filepath.IsLocal(rel) {
		return "" // is refused when it is opened
	}
	return rel
}

// openTarget opens the directory that a fetched file goes to, which it makes if
// need be, and returns its name there, "" for the one it comes with.
func (h *hub) openTarget(saveTo string) (*os.Root, string, error) {
	root, rel, err := h.within(saveTo, "claudemesh file get")
	if err != nil {
		return nil, "", err
	}
	defer root.Close()
	if share.Hidden(rel) || share.Hidden(behind(root, filepath.Dir(rel))) {
		return nil, "", errors.New("save_to has a part that begins with a dot, where programs keep their settings: choose another")
	}
	name := ""
	info, err := root.Stat(rel)
	switch {
	case err == nil && info.IsDir():
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, "", err
	case !strings.HasSuffix(saveTo, "/"):
		rel, name = filepath.Dir(rel), filepath.Base(rel)
	}
	if err := root.MkdirAll(rel, 0o755); err != nil {
		return nil, "", err
	}
	dir, err := root.OpenRoot(rel)
	return dir, name, err
}
