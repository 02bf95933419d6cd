package store

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// The errors that callers tell apart, always wrapped with what failed and on what.
var (
	// ErrNotFound reports that what was asked for is not in the store.
	ErrNotFound = errors.New("not found")
	// ErrConflict reports that something else already holds a unique value.
	ErrConflict = errors.New("conflict")
	// ErrLimit reports that a bound has been reached.
	ErrLimit = errors.New("limit reached")
	// ErrClosed reports the use of a closed DB.
	ErrClosed = errors.New("store is closed")
	// ErrUnavailable reports that the file system refused: a full disk, an I/O
	// error, a file that another process holds. Nothing of the write was kept;
	// the same write may succeed later.
	ErrUnavailable = errors.New("storage unavailable")
	// ErrNewer reports a file written by a newer version of this program.
	ErrNewer = errors.New("written by a newer version")
	// ErrCorrupt reports a file that is damaged, or is not a mesh at all.
	ErrCorrupt = errors.New("not a sound mesh file")
)

// classify wraps an error of SQLite with the one of ours that callers test for.
func classify(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return fmt.Errorf("%w: %w", ErrConflict, err)
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: the disk is full, make room: %w", ErrUnavailable, err)
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT,
		sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return err
}
