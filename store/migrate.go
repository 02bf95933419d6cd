package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"modernc.org/sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks a file as ours in the header of SQLite ("cmes").
const applicationID = 0x636d6573

// A migration brings a file from version number-1 to number.
type migration struct {
	number int
	name   string
	sql    string
}

// known lists the migrations of fsys by number. Their files are named
// NNNN_topic.sql and numbered from 1 without gaps.
func known(fsys fs.FS) ([]migration, error) {
	names, err := fs.Glob(fsys, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var all []migration
	for i, name := range names {
		digits, _, _ := strings.Cut(path.Base(name), "_")
		if n, err := strconv.Atoi(digits); err != nil || n != i+1 {
			return nil, fmt.Errorf("migration %s is not number %d", name, i+1)
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		all = append(all, migration{i + 1, path.Base(name), string(text)})
	}
	return all, nil
}

// openFile returns a connection to write to the file at name, which it has
// found sound and brought up to date, or made.
func openFile(ctx context.Context, name string) (*conn, error) {
	steps, err := known(migrations)
	if err != nil {
		return nil, err
	}
	if err := create(name); err != nil {
		return nil, err
	}
	if err := check(name, len(steps)); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, err := dial(dsn(name, writerPragmas))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	if err := migrate(ctx, c, steps); err != nil {
		c.close()
		return nil, fmt.Errorf("bring %s up to date: %w", name, err)
	}
	return c, nil
}

// create makes an empty file that only its owner may read, unless there is
// one. SQLite gives its companions (-wal, -shm) the same mode.
func create(name string) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// check looks at the file without writing to it.
func check(name string, newest int) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return unsound(name, errors.New("it is not a regular file"))
	}
	if info.Size() == 0 {
		return nil
	}
	c, err := dial(dsn(name, lookPragmas))
	if err != nil {
		return unsound(name, err)
	}
	defer c.close()
	var id, version int
	var verdict string
	if err := c.one("PRAGMA application_id", nil, &id); err != nil {
		return unsound(name, err)
	}
	if err := c.one("PRAGMA user_version", nil, &version); err != nil {
		return unsound(name, err)
	}
	var tables int
	if err := c.one("SELECT count(*) FROM sqlite_schema", nil, &tables); err != nil {
		return unsound(name, err)
	}
	if tables == 0 && version == 0 {
		return nil // made, but its first migration never committed
	}
	if id != applicationID {
		return unsound(name, errors.New("a database of another program"))
	}
	if version > newest {
		return fmt.Errorf("%s was %w: it has format %d, and this program knows up to %d: update claudemesh, or restore the backup made before the newer version ran",
			name, ErrNewer, version, newest)
	}
	if err := c.one("PRAGMA quick_check(1)", nil, &verdict); err != nil {
		return unsound(name, err)
	}
	if verdict != "ok" {
		return unsound(name, errors.New(verdict))
	}
	return nil
}

func unsound(name string, err error) error {
	if errors.Is(err, ErrUnavailable) {
		return fmt.Errorf("open %s: %w", name, err)
	}
	return &unsoundError{name, err}
}

// unsoundError is an ErrCorrupt about one file, which was left as it is.
type unsoundError struct {
	name  string
	cause error
}

func (e *unsoundError) Error() string {
	cause := e.cause.Error()
	if said, ok := errors.AsType[*sqlite.Error](e.cause); ok {
		cause = said.Error()
	}
	return fmt.Sprintf("%s is damaged, or is not the file of a mesh (%s). It was left as it is: restore it from a backup, or move the directory %s away", e.name, cause, filepath.Dir(e.name))
}

func (e *unsoundError) Unwrap() []error { return []error{ErrCorrupt, e.cause} }

// migrate runs the steps that the file has not seen, each in a transaction.
func migrate(ctx context.Context, c *conn, steps []migration) error {
	var version int
	if err := c.one("PRAGMA user_version", nil, &version); err != nil {
		return err
	}
	for _, m := range steps[min(version, len(steps)):] {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := m.apply(c); err != nil {
			c.script("ROLLBACK")
			return fmt.Errorf("migration %s: %w", m.name, err)
		}
	}
	return nil
}

func (m migration) apply(c *conn) error {
	for _, text := range []string{
		"BEGIN IMMEDIATE",
		m.sql,
		fmt.Sprintf("PRAGMA application_id = %d", applicationID),
		fmt.Sprintf("PRAGMA user_version = %d", m.number),
		"COMMIT",
	} {
		if err := c.script(text); err != nil {
			return err
		}
	}
	return nil
}
