package launch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const (
	maxSettingsBytes = 64 << 20 // the host program keeps histories in its file
	// staleLock is the age from which the host program, too, takes a lock for
	// left behind by a process that died.
	staleLock = 10 * time.Second
	// lockWait is longer, so that a lock left behind just now is not in the way.
	lockWait = 20 * time.Second
)

// errChanged says that a settings file was written while it was being changed.
var errChanged = errors.New("it was changed by another program at the same time; run this again")

// editFile replaces the settings file at path by what change makes of its
// content, nil for a file that is not there. It holds the lock <path>.lock, a
// directory as the host program makes it, and looks again before it writes. A change that returns the same bytes writes nothing, one
// that returns nil removes the file. The mode is kept; a new file is 0600.
// A symbolic link stays one.
func editFile(ctx context.Context, path string, change func(data []byte) ([]byte, error)) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	unlock, err := lockFile(ctx, path)
	if err != nil {
		return err
	}
	defer unlock()
	data, mode, err := readSettings(path)
	if err != nil {
		return err
	}
	changed, err := change(data)
	if err != nil {
		return fmt.Errorf("%s is left as it is: %w", path, err)
	}
	if bytes.Equal(changed, data) && (changed == nil) == (data == nil) {
		return nil
	}
	return swap(path, data, changed, mode)
}

// swap puts changed in the place of data, if that is what the file still has.
func swap(path string, data, changed []byte, mode fs.FileMode) error {
	staged := fmt.Sprintf("%s.claudemesh-%d.tmp", path, os.Getpid())
	if changed != nil {
		if err := writeNew(staged, changed, mode); err != nil {
			return err
		}
		defer os.Remove(staged) // gone already once it is renamed
	}
	now, _, err := readSettings(path)
	switch {
	case err != nil:
		return err
	case !bytes.Equal(now, data):
		return fmt.Errorf("%s is left as it is: %w", path, errChanged)
	case changed == nil:
		return os.Remove(path)
	}
	return os.Rename(staged, path)
}

// readSettings reads a file that need not be there: then data is nil. A link that
// leads nowhere is an error, since a file in its place would cut it.
func readSettings(path string) (data []byte, mode fs.FileMode, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if to, linkErr := os.Readlink(path); linkErr == nil {
			return nil, 0, fmt.Errorf("%s is a link to %s, which is not there: make that file with {} in it, or remove the link", path, to)
		}
		return nil, 0o600, nil
	}
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	data, err = io.ReadAll(io.LimitReader(f, maxSettingsBytes+1))
	if err == nil && len(data) > maxSettingsBytes {
		err = fmt.Errorf("%s is larger than %d MiB", path, maxSettingsBytes>>20)
	}
	if data == nil {
		data = []byte{}
	}
	return data, info.Mode().Perm(), err
}

// writeNew writes a file durably under a name of ours.
func writeNew(path string, data []byte, mode fs.FileMode) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode) // what the umask would take away
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(path)
	}
	return err
}

// lockFile takes the lock of a settings file, waiting up to lockWait.
func lockFile(ctx context.Context, path string) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	dir := path + ".lock"
	for {
		err := os.Mkdir(dir, 0o700)
		switch {
		case err == nil:
			return func() { os.Remove(dir) }, nil
		case !errors.Is(err, fs.ErrExist):
			return nil, err
		}
		breakStale(dir)
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s is locked by another program for more than %v: end what changes it, or remove %s", path, lockWait, dir)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// breakStale removes a lock that a process left behind. Of several that find it
// stale one at a time looks again and removes it, under a lock of its own: whoever
// did not look again would remove the lock that another has taken since.
func breakStale(dir string) {
	if !isStale(dir) {
		return
	}
	turn := dir + ".break"
	if os.Mkdir(turn, 0o700) != nil {
		if isStale(turn) { // who had it died over it
			os.Remove(turn)
		}
		return
	}
	defer os.Remove(turn)
	if isStale(dir) {
		os.Remove(dir)
	}
}

func isStale(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && time.Since(info.ModTime()) >= staleLock
}
