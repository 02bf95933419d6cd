package skillfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"claudemesh/wire"
)

const (
	textFile  = "SKILL.md"
	aboutFile = "skill.json"

	maxAbout = 64 << 10 // bytes of skill.json
)

// about is what skill.json says.
type about struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Tags        []string `json:"tags"`
}

// ReadBundle reads a skill from the SKILL.md and the skill.json, which may be
// missing, of a directory that others have filled, and lists its files, by
// path ascending. It reads nothing that is not below root. Its errors are for
// who made the bundle.
func ReadBundle(root *os.Root) (*wire.ShareSkill, []wire.SkillFile, error) {
	files, err := listFiles(root)
	if err != nil {
		return nil, nil, err
	}
	text, err := readFile(root, textFile, maxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("the bundle has no %s at its top", textFile)
	}
	if err != nil {
		return nil, nil, err
	}
	s, err := Parse(string(text))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", textFile, err)
	}
	if err := addAbout(root, s); err != nil {
		return nil, nil, err
	}
	if s.Name == "" {
		return nil, nil, fmt.Errorf("the bundle has no name: give it one in %s, or in the front matter of %s", aboutFile, textFile)
	}
	if s.Description == "" {
		s.Description = firstLine(s.Instructions)
	}
	return s, files, nil
}

// addAbout puts what skill.json says in the place of what the front matter does.
func addAbout(root *os.Root, s *wire.ShareSkill) error {
	text, err := readFile(root, aboutFile, maxAbout)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var a about
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	if err != nil {
		return fmt.Errorf("%s cannot be read: %w", aboutFile, err)
	}
	if a.Name != "" {
		s.Name = a.Name
	}
	if a.Description != "" {
		s.Description = a.Description
	}
	if len(a.Tags) > 0 {
		s.Tags = a.Tags
	}
	return nil
}

// listFiles lists the files of a bundle but for git's own. There must be no
// links: who reads the bundle elsewhere would follow them there.
func listFiles(root *os.Root) (files []wire.SkillFile, err error) {
	size := 0
	err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path == ".git" && d.IsDir():
			return fs.SkipDir
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			return fmt.Errorf("the bundle has a link, or no file, at %q: put a copy in its place", wire.Shorten(path, 100))
		case !utf8.ValidString(path) || strings.ContainsFunc(path, unicode.IsControl):
			return fmt.Errorf("the bundle has a file with control characters in its name: %q", wire.Shorten(path, 100))
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files = append(files, wire.SkillFile{Path: path, Size: info.Size()})
		if size += len(path); len(files) > wire.MaxSkillFiles || size > wire.MaxSkillPaths {
			return fmt.Errorf("the bundle has more than %d files, or %d KiB of their names: leave out what the skill does not need", wire.MaxSkillFiles, wire.MaxSkillPaths>>10)
		}
		return nil
	})
	return files, err
}

// readFile reads a file of at most limit bytes, which listFiles has seen.
func readFile(root *os.Root, name string, limit int64) ([]byte, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", name)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(p)) > limit {
		err = fmt.Errorf("%s is larger than %d KiB", name, limit>>10)
	}
	return p, err
}
