package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// environOf returns what a program of a runtime needs beside PATH, HOME and
// LANG.
func environOf(rt Runtime, dir string) []string {
	env := []string{"NODE_ENV=production"}
	if rt == Python {
		env = append(env, "VIRTUAL_ENV="+filepath.Join(dir, venvDir), "PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1")
	}
	return env
}

// save writes b to the directory it was built in, as the last part of that.
func (b *Built) save(dir string) (err error) {
	p, err := json.Marshal(b)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.RemoveAll(builtFile); err != nil { // what was installed may have made something of that name
		return err
	}
	f, err := root.OpenFile(builtFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(p)
	return errors.Join(err, f.Sync(), f.Close())
}

// Load returns what Build made in dir: an error that is fs.ErrNotExist if
// there is nothing that it finished. The program may have changed what it says
// since, but not so that it is started in another directory or with another
// environment.
func Load(dir string) (Built, error) {
	var b Built
	root, err := os.OpenRoot(dir)
	if err != nil {
		return b, err
	}
	defer root.Close()
	p, err := readRegular(root, builtFile)
	if err != nil {
		return b, err
	}
	if err := json.Unmarshal(p, &b); err != nil {
		return b, fmt.Errorf("%s cannot be read: %w", filepath.Join(dir, builtFile), err)
	}
	rel, err := filepath.Rel(dir, b.Work)
	if err != nil || !filepath.IsLocal(rel) || len(b.Args) == 0 || !filepath.IsAbs(b.Args[0]) {
		return b, fmt.Errorf("%s names no program that was built there", filepath.Join(dir, builtFile))
	}
	if info, err := root.Stat(rel); err != nil || !info.IsDir() {
		return b, fmt.Errorf("what was built in %s is there no more", dir)
	}
	b.Env = environOf(b.Runtime, dir)
	return b, nil
}
