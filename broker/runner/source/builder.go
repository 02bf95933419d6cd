package source

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Run runs a program to its end and returns an error unless it succeeded. dir
// is where it works, below the directory of the job or that itself, in which
// it must be able to write; args begin with the program's absolute path; env is
// all of its environment but for what confinement adds, the proxy for one, and
// may hold a secret: it is not to be logged. network lists the hosts it
// may reach as host:port; none if it is empty. What it writes to its standard
// output and error goes to log, which need not be safe for use by several
// goroutines. It ends the program, and all that it has started, when ctx is
// done, and returns only then.
type Run func(ctx context.Context, dir string, args, env []string, network []string, log io.Writer) error

// Options are what the operator decides.
type Options struct {
	// Env is the broker's environment, os.Environ() if it is nil: programs are
	// looked for in its PATH, and the settings that installing needs on this
	// machine are taken from it.
	Env []string
	// Paths are the directories below which members may deploy from: none if it
	// is empty.
	Paths []string
	// Admits reports whether a git host may have an address; any if it is nil.
	Admits func(netip.Addr) bool
	// MaxBytes and MaxFiles bound what a build may put on the disk; DefaultBytes
	// and DefaultFiles if they are 0.
	MaxBytes int64
	MaxFiles int
}

// MaxNesting is how deep the directories of a service may be in each other. To
// look at one costs a file to open for each level.
const MaxNesting = 200

// What a build may put on the disk unless Options say else, with all that it
// installs.
const (
	DefaultBytes = 2 << 30
	DefaultFiles = 200_000
)

// A Builder builds programs. It keeps nothing between builds and may be used by
// several goroutines.
type Builder struct {
	opts      Options
	lookEvery time.Duration // at what a step has put on the disk
	resolve   func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// New returns a Builder.
func New(opts Options) *Builder {
	if opts.Env == nil {
		opts.Env = os.Environ()
	}
	if opts.MaxBytes == 0 {
		opts.MaxBytes = DefaultBytes
	}
	if opts.MaxFiles == 0 {
		opts.MaxFiles = DefaultFiles
	}
	return &Builder{opts, time.Second, net.DefaultResolver.LookupNetIP}
}

// A Job is one build.
type Job struct {
	Source  Source
	Runtime Runtime // found if it is empty
	// Dir is the absolute path of a directory for this build alone: it is made, or
	// is empty. Programs know where they were installed, so it cannot be moved.
	Dir string
	Run Run
	// Log gets what is done and what the programs say. It is written to by one
	// goroutine at a time, of Build or of Run.
	Log io.Writer
	// Installing is called when the source is there, before what it needs is
	// installed; may be nil.
	Installing func()
}

// Built is a program that can be started. It is JSON, so that it can be kept.
type Built struct {
	Args    []string // to start it, beginning with an absolute path
	Env     []string // what it needs beside PATH, HOME and LANG, as NAME=value
	Work    string   // the directory to start it in, below that of the job
	Commit  string   // of a Git source
	Runtime Runtime
}

// getenv returns the value of a variable of the broker's environment; the last
// counts, as for a process.
func (b *Builder) getenv(name string) string {
	for _, v := range slices.Backward(b.opts.Env) {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// allowed returns the directory of a Path source, without links, if it is
// below one that the operator allows.
func (b *Builder) allowed(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err == nil && filepath.IsAbs(path) {
		for _, dir := range b.opts.Paths {
			top, err := filepath.EvalSymlinks(dir)
			if err != nil {
				continue
			}
			if rel, err := filepath.Rel(top, real); err == nil && filepath.IsLocal(rel) {
				return real, nil
			}
		}
	}
	return "", errPath
}
