package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/user"
	"path/filepath"
	"time"
)

const (
	configName = "config.json"
	lockName   = "config.lock"
	// lockWait bounds how long an update waits for others. They hold the lock
	// for a few file operations.
	lockWait = 5 * time.Second
	// maxConfigBytes is far above any real file: it stops a device or a huge
	// file from being read into memory.
	maxConfigBytes = 16 << 20
)

// ConfigDir returns the configuration directory: $CLAUDEMESH_CONFIG_DIR, else
// .claudemesh in the home directory.
func ConfigDir() string {
	if dir := os.Getenv("CLAUDEMESH_CONFIG_DIR"); dir != "" {
		if abs, err := filepath.Abs(dir); err == nil {
			return abs
		}
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		if u, uerr := user.Current(); uerr == nil {
			home = u.HomeDir
		}
	}
	return filepath.Join(home, ".claudemesh")
}

func configPath(dir string) string { return filepath.Join(dir, configName) }

// LoadConfig reads config.json in dir. No file, and a file without a meshes
// array, is an empty configuration; anything that is not valid JSON is an
// error that names the file. A file that others can read is loaded
// nevertheless: see Config.Exposed.
func LoadConfig(dir string) (*Config, error) {
	c := &Config{Version: 1, dir: dir}
	f, err := os.Open(c.Path())
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if len(data) > maxConfigBytes {
		return nil, fmt.Errorf("configuration %s is larger than %d MiB", c.Path(), maxConfigBytes>>20)
	}
	if err := c.decode(data); err != nil {
		return nil, fmt.Errorf("configuration %s is not valid: %w; correct it, or move it away to start afresh", c.Path(), withPlace(data, err))
	}
	if info, err := f.Stat(); err == nil {
		c.mode = info.Mode().Perm()
	}
	return c, nil
}

// withPlace adds the line to a syntax error, which knows only the offset.
func withPlace(data []byte, err error) error {
	syntax, ok := errors.AsType[*json.SyntaxError](err)
	if !ok {
		return err
	}
	before := data[:min(int(syntax.Offset), len(data))]
	return fmt.Errorf("line %d: %w", 1+bytes.Count(before, []byte("\n")), err)
}

// UpdateConfig changes config.json in dir: under a lock that excludes other
// processes it reads the file, applies change, and replaces the file
// atomically. Nothing is written if change fails, and its error is returned.
// If the lock is not free within 5 s the error names it. The directory is
// created if missing, 0700, and the file is 0600.
func UpdateConfig(ctx context.Context, dir string, change func(*Config) error) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create configuration directory: %w", err)
	}
	unlock, err := acquire(ctx, filepath.Join(dir, lockName))
	if err != nil {
		return fmt.Errorf("change configuration: %w", err)
	}
	defer unlock()

	c, err := LoadConfig(dir)
	if err != nil {
		return err
	}
	if err := c.Fault(); err != nil {
		return err
	}
	if err := change(c); err != nil {
		return err
	}
	data, err := encodeFile(c)
	if err != nil {
		return fmt.Errorf("encode configuration: %w", err)
	}
	if err := replaceFile(c.Path(), data); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// encodeFile encodes v as our files have it: two spaces of indentation and a
// final newline.
func encodeFile(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return buf.Bytes(), err
}

// replaceFile puts data in the place of the file at path, 0600. A crash at any
// moment leaves the old content or the new. The caller holds the lock that
// guards path. A symbolic link stays one: the file it leads to is replaced.
func replaceFile(path string, data []byte) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	staged, err := stage(path, data)
	if err != nil {
		return err
	}
	if err := os.Rename(staged, path); err != nil {
		os.Remove(staged)
		return err
	}
	return syncDir(filepath.Dir(path))
}

// stage writes data durably beside path and returns the name. The name is
// always the same, so that what a crash left behind is replaced.
func stage(path string, data []byte) (name string, err error) {
	name = path + ".tmp"
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(name)
		return "", err
	}
	return name, nil
}

// acquire takes the lock file at path, created if missing, and returns what
// releases it. It waits up to lockWait. The kernel releases the lock of a
// process that dies.
func acquire(ctx context.Context, path string) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	deadline := time.NewTimer(lockWait)
	defer deadline.Stop()
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		got, err := tryLock(f)
		if got {
			return func() { f.Close() }, nil
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, context.Cause(ctx))
		case <-deadline.C:
			f.Close()
			return nil, fmt.Errorf("lock %s is held by another claudemesh process for more than %s; see what hangs and end it", path, lockWait)
		case <-time.After(pause/2 + rand.N(pause)):
		}
	}
}
