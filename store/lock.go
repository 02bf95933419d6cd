package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// lockedError says who holds a data directory. It is an ErrConflict.
type lockedError struct{ dir, holder string }

func (e *lockedError) Error() string {
	return fmt.Sprintf("%s is in use by %s: stop it, or use another directory", e.dir, e.holder)
}

func (e *lockedError) Unwrap() error { return ErrConflict }

// errLocked is what lockFile returns when another process holds the lock.
var errLocked = errors.New("locked")

// DirLock holds a data directory for one process. The operating system
// releases it when the process dies, however it dies.
type DirLock struct {
	file *os.File
	note lockNote
}

// lockNote is what the lock file says, for people and for the next locker.
type lockNote struct {
	PID     int       `json:"pid"`
	Since   time.Time `json:"since"`
	Address string    `json:"address,omitempty"`
}

// LockDir locks the data directory dir, which it makes (0700) if need be, by
// <dir>/lock. If another process, or another DirLock of this one, holds it the
// error wraps ErrConflict and says who and since when.
func LockDir(dir string) (*DirLock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("the data directory %s cannot be made: %w", dir, err)
	}
	name := filepath.Join(dir, "lock")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the data directory %s cannot be written to: %w", dir, err)
	}
	if err := lockFile(f); err != nil {
		f.Close()
		if errors.Is(err, errLocked) {
			return nil, &lockedError{dir, holderOf(name)}
		}
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	l := &DirLock{file: f, note: lockNote{PID: os.Getpid(), Since: time.Now().UTC().Truncate(time.Second)}}
	if err := l.write(); err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

// SetAddress notes in the lock file where the process listens.
func (l *DirLock) SetAddress(address string) error {
	l.note.Address = address
	return l.write()
}

func (l *DirLock) write() error {
	b, err := json.Marshal(l.note)
	if err != nil {
		return fmt.Errorf("write the lock file %s: %w", l.file.Name(), err)
	}
	b = append(b, '\n')
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("write the lock file %s: %w", l.file.Name(), err)
	}
	if _, err := l.file.WriteAt(b, 0); err != nil {
		return fmt.Errorf("write the lock file %s: %w", l.file.Name(), err)
	}
	return nil
}

// Unlock releases the directory. The file stays: removing it would let two
// processes lock two files of that name.
func (l *DirLock) Unlock() error {
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("unlock: %w", err)
	}
	return nil
}

// holderOf describes the process that the lock file names.
func holderOf(name string) string {
	var n lockNote
	b, err := os.ReadFile(name)
	if err != nil || json.Unmarshal(b, &n) != nil || n.PID == 0 {
		return "another process"
	}
	who := fmt.Sprintf("process %d, since %s", n.PID, n.Since.Local().Format(time.DateTime))
	if n.Address != "" {
		who += fmt.Sprintf(", listening on %.100q", n.Address)
	}
	return who
}
