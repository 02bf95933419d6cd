package cli

import (
	"context"
	"io"
	"log/slog"
	"os"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"

	"golang.org/x/term"
)

// Env is all that a command touches of the world outside.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Getenv reads the environment; nil is an empty one.
	Getenv func(string) string
	// Args is the command line without the name of the program.
	Args []string
	// ConfigDir is the configuration directory: see peer.ConfigDir.
	ConfigDir string
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// IsTerminal tells whether a stream of this Env is a terminal; nil asks the
	// system.
	IsTerminal func(stream any) bool

	// Installed tells whether the host program's settings have this program; nil
	// does not know.
	Installed func() bool

	// AuditFile verifies the audit log in the file of a mesh, and returns the id
	// of that and the hash of entry at, "" for none; nil cannot.
	AuditFile func(ctx context.Context, path string, at int64) (res wire.AuditVerifyResult, meshID, hash string, err error)

	// Mesh and JSON are the flags --mesh and --json. Main sets them for
	// commands that ask for the flag.
	Mesh string
	JSON bool

	out, errOut *Printer
	root        *Command
}

func (e *Env) fill() {
	if e.Getenv == nil {
		e.Getenv = func(string) string { return "" }
	}
	if e.Now == nil {
		e.Now = time.Now
	}
	if e.IsTerminal == nil {
		e.IsTerminal = func(stream any) bool {
			f, ok := stream.(*os.File)
			return ok && term.IsTerminal(int(f.Fd()))
		}
	}
	e.out, e.errOut = newPrinter(e, e.Stdout), newPrinter(e, e.Stderr)
}

// Out returns the printer of standard output: results, and nothing else.
func (e *Env) Out() *Printer { return e.out }

// Err returns the printer of standard error: notes and warnings.
func (e *Env) Err() *Printer { return e.errOut }

// Config reads the user's configuration, and fails if it cannot be used as it is.
func (e *Env) Config() (*peer.Config, error) {
	c, err := peer.LoadConfig(e.ConfigDir)
	if err != nil {
		return nil, err
	}
	if err := c.Fault(); err != nil {
		return nil, err
	}
	return c, nil
}

// ChosenMesh reads the configuration and returns the mesh that --mesh names,
// or the only one. The error names the joined slugs.
func (e *Env) ChosenMesh() (*peer.Config, *peer.Mesh, error) {
	c, err := e.Config()
	if err != nil {
		return nil, nil, err
	}
	m, err := c.Mesh(e.Mesh)
	if err != nil {
		return nil, nil, err
	}
	return c, m, nil
}

// Logger returns where to log: standard error with CLAUDEMESH_DEBUG set to 1
// or true, else nowhere.
func (e *Env) Logger() *slog.Logger {
	if v := e.Getenv("CLAUDEMESH_DEBUG"); v != "1" && v != "true" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(e.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
