package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// The names of what is in the directory of a job.
const (
	sourceDir  = "src"
	scratchDir = "tmp"
	venvDir    = "venv"
	builtFile  = "built.json"
)

// Build fetches what a job names into its directory, installs what it needs and
// returns how it is started. What it leaves when it fails, or ctx ends, is the
// caller's to delete. Its errors are for who deployed it, and hold no secret.
func (b *Builder) Build(ctx context.Context, job Job) (Built, error) {
	w, got, err := b.fetch(ctx, job)
	if err != nil {
		return Built{}, err
	}
	if job.Installing != nil {
		job.Installing()
	}
	out, err := w.install(ctx, got.Dir)
	if err != nil {
		return Built{}, err
	}
	if err := os.RemoveAll(w.tmp); err != nil {
		return Built{}, err
	}
	out.Commit = got.Commit
	out.Args = append(out.Args, job.Source.Args...)
	out.Env = environOf(out.Runtime, job.Dir)
	return out, out.save(job.Dir)
}

// Fetched is a source that was fetched.
type Fetched struct {
	Dir    string // its top, below that of the job
	Commit string // of a Git source
}

// Fetch is the first part of Build: it installs nothing.
func (b *Builder) Fetch(ctx context.Context, job Job) (Fetched, error) {
	w, got, err := b.fetch(ctx, job)
	if err != nil {
		return Fetched{}, err
	}
	return got, os.RemoveAll(w.tmp)
}

func (b *Builder) fetch(ctx context.Context, job Job) (w *build, got Fetched, err error) {
	if err := b.Check(job.Source, job.Runtime); err != nil {
		return nil, got, err
	}
	w = &build{Builder: b, job: job, src: filepath.Join(job.Dir, sourceDir), tmp: filepath.Join(job.Dir, scratchDir)}
	for _, dir := range []string{w.src, w.tmp} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, got, err
		}
	}
	got.Dir = w.src
	switch job.Source.Type {
	case Zip:
		got.Dir, err = w.unzip(ctx)
	case Git:
		got.Commit, err = w.clone(ctx)
	case NPX:
		err = w.writePackage()
	case Path:
		err = w.copyLocal(ctx)
	}
	return w, got, err
}

func (b *build) unzip(ctx context.Context) (dir string, err error) {
	fmt.Fprintln(b.job.Log, "unpacking the archive")
	archive, err := b.job.Source.Open()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, archive.Close()) }()
	if err := unpack(ctx, archive, b.src); err != nil {
		return "", err
	}
	return top(b.src)
}

// install installs what the program in dir needs and finds its entry.
func (b *build) install(ctx context.Context, dir string) (Built, error) {
	switch b.job.Source.Type {
	case NPX:
		return b.installNPX(ctx)
	case UVX:
		return b.installUVX(ctx)
	}
	p, err := openProject(dir)
	if err != nil {
		return Built{}, err
	}
	defer p.root.Close()
	rt := b.job.Runtime
	if rt == "" {
		rt = p.runtime()
	}
	fmt.Fprintln(b.job.Log, "runtime:", rt)
	if rt == Python {
		return b.installPython(ctx, p)
	}
	return b.installNode(ctx, p, rt)
}
