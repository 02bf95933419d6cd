package source

import (
	"context"
	"errors"
)

// Build fetches what a job names into its directory, installs what it needs and
// returns how it is started. What it leaves when it fails, or ctx ends, is the
// caller's to delete. Its errors are for who deployed it, and hold no secret.
func (b *Builder) Build(ctx context.Context, job Job) (Built, error) {
	return Built{}, errors.ErrUnsupported
}

// Load returns what Build made in dir: an error that is fs.ErrNotExist if
// there is nothing that it finished.
func Load(dir string) (Built, error) {
	return Built{}, errors.ErrUnsupported
}

// Fetched is a source that was fetched.
type Fetched struct {
	Dir    string // its top, below that of the job
	Commit string // of a Git source
}

// Fetch is the first part of Build: it installs nothing.
func (b *Builder) Fetch(ctx context.Context, job Job) (Fetched, error) {
	return Fetched{}, errors.ErrUnsupported
}

// Latest returns the commit that a build of a Git source would get now. It
// writes nothing; job.Dir has to be there.
func (b *Builder) Latest(ctx context.Context, job Job) (commit string, err error) {
	return "", errors.ErrUnsupported
}
