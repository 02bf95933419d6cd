package source

import (
	"errors"
	"fmt"
	"os"
)

// A Type says what a Source is.
type Type string

// The types of sources.
const (
	Zip  Type = "zip"  // an archive
	Git  Type = "git"  // a repository, reached by https
	NPX  Type = "npx"  // a package of the npm registry
	UVX  Type = "uvx"  // a package of PyPI
	Path Type = "path" // a directory of this machine that the operator allows
)

// A Source says where a program comes from. Which of the fields count is a
// matter of its type.
type Source struct {
	Type Type
	// Open opens the archive of a Zip; Build closes it.
	Open func() (*os.File, error)
	// URL of a Git repository: https://host[:port]/path, without a user.
	URL string
	// Branch is a branch or tag of it; the remote's default if it is empty.
	Branch string
	// Auth is a token for the repository, or user:password. It is in no error and
	// no log, and no program but git gets it.
	Auth string
	// Package is the name of an NPX or UVX package, with @version if one is wanted.
	Package string
	// Path is the directory of a Path.
	Path string
	// Args are added to the arguments that the program is started with. A Runner puts
	// the service's own directory in the place of {home} in them.
	Args []string
}

// A Runtime is what runs a program.
type Runtime string

// The runtimes.
const (
	Node   Runtime = "node"
	Bun    Runtime = "bun"
	Python Runtime = "python"
)

// Check refuses at once what Build can never make a program of: a name, branch
// or address that is none, a directory that the operator does not allow, a
// runtime that does not fit. Its errors are for who deploys.
func (b *Builder) Check(s Source, rt Runtime) error {
	if err := checkRuntime(s.Type, rt); err != nil {
		return err
	}
	switch s.Type {
	case Zip:
		if s.Open == nil {
			return errors.New("a zip source needs its archive")
		}
		return nil
	case Git:
		_, err := parseRepository(s.URL, s.Branch, s.Auth)
		return err
	case NPX:
		_, err := parseNPM(s.Package)
		return err
	case UVX:
		_, err := parsePyPI(s.Package)
		return err
	case Path:
		_, err := b.allowed(s.Path)
		return err
	}
	return fmt.Errorf("there is no source of type %.40q: it can be zip, git, npx or uvx", s.Type)
}

func checkRuntime(t Type, rt Runtime) error {
	switch {
	case rt == "":
		return nil
	case rt != Node && rt != Bun && rt != Python:
		return fmt.Errorf("there is no runtime %.40q: it can be %s, %s or %s", rt, Node, Bun, Python)
	case t == NPX && rt != Node, t == UVX && rt != Python:
		return fmt.Errorf("a source of type %s is not run with %s: leave the runtime out", t, rt)
	}
	return nil
}
