package peer

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"

	"claudemesh/seal"
	"claudemesh/wire"
)

// A FileFetch says where a fetched file goes.
type FileFetch struct {
	// Dir is the directory it is written to; nothing outside of it is touched.
	Dir *os.Root
	// Name is what it is called there; if empty, what the sharer called it, made
	// safe by LocalFileName.
	Name string
	// Overwrite replaces a file that is there. Nothing but a regular file is
	// ever replaced.
	Overwrite bool
	// Progress is told how many bytes of how many, 0 if unknown, have come. It may be nil.
	Progress func(done, total int64)
}

// A FetchedFile is a file that was written to disk.
type FetchedFile struct {
	ID        string
	Name      string // in the directory
	GivenName string // as the sharer called it
	Size      int64
	Encrypted bool
	SHA256    string // of the file as it was stored, lower-case hex
}

// FetchFile writes a shared file to disk in constant memory and opens it if it
// is sealed. A connection that breaks is made again, and the download goes on
// where it was. The file appears under its name when it is complete, its
// SHA-256 is the broker's, and it is on disk; until then, and after an error,
// nothing is there. A refusal is a *wire.Error; os.ErrExist says that there is
// such a file.
func (c *Client) FetchFile(ctx context.Context, id string, f FileFetch) (FetchedFile, error) {
	at, err := Call(ctx, c, wire.GetFile{FileID: id})
	if err != nil {
		return FetchedFile{}, err
	}
	out := FetchedFile{ID: at.FileID, Name: f.Name, GivenName: wire.CleanFileName(at.Name), Encrypted: at.Encrypted}
	if out.Name == "" {
		out.Name = LocalFileName(at.Name)
	}
	if err := mayWrite(f.Dir, out.Name, f.Overwrite); err != nil {
		return out, err
	}
	key, err := c.openFileKey(&at)
	if err != nil {
		return out, err
	}
	d := &download{client: c, at: at, progress: f.Progress, sum: sha256.New()}
	defer d.close()
	out.Size, err = writeWhole(f.Dir, out.Name, f.Overwrite, at.Encrypted, func(w io.Writer) (int64, error) {
		n, err := unsealTo(w, readerFunc(func(p []byte) (int, error) { return d.read(ctx, p) }), key)
		if err != nil {
			return n, err
		}
		return n, d.check()
	})
	out.SHA256 = hex.EncodeToString(d.sum.Sum(nil))
	return out, err
}

// openFileKey returns the key of a sealed file, nil for one that is not.
func (c *Client) openFileKey(at *wire.FileURL) (*[32]byte, error) {
	if !at.Encrypted {
		return nil, nil
	}
	sealed, err := base64.StdEncoding.DecodeString(at.SealedKey)
	if err != nil || len(sealed) == 0 {
		return nil, fmt.Errorf("%s is encrypted, and the broker has no key of it for you", wire.CleanFileName(at.Name))
	}
	for _, key := range c.keysFor(at.SealedTo) {
		if opened, err := seal.OpenAnonymous(key, sealed); err == nil && len(opened) == 32 {
			return (*[32]byte)(opened), nil
		}
	}
	return nil, fmt.Errorf("%s is encrypted for a key that this machine does not have: ask who shared it to grant you access", wire.CleanFileName(at.Name))
}

// unsealTo copies a file in whatever form it is to w, opened if there is
// a key, and returns how many bytes w got.
func unsealTo(w io.Writer, r io.Reader, key *[32]byte) (int64, error) {
	buf := make([]byte, 256<<10)
	if key == nil {
		return io.CopyBuffer(w, r, buf)
	}
	head := make([]byte, seal.NonceSize)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return 0, err
	}
	whole := io.MultiReader(bytes.NewReader(head[:n]), r)
	if seal.IsStream(head[:n]) {
		stream, err := seal.NewStreamReader(whole, key)
		if err != nil {
			return 0, err
		}
		return io.CopyBuffer(w, stream, buf)
	}
	sealed, err := io.ReadAll(io.LimitReader(whole, wire.MaxOldFileBytes+1))
	switch {
	case err != nil:
		return 0, err
	case len(sealed) > wire.MaxOldFileBytes:
		return 0, fmt.Errorf("it is encrypted in one box of more than %d MiB, which cannot be opened without holding it in memory: ask who shared it to share it again with a newer version", wire.MaxOldFileBytes>>20)
	case len(sealed) < seal.NonceSize:
		return 0, fmt.Errorf("%w: the file is cut off", seal.ErrOpen)
	}
	plain, err := seal.OpenSecret(key, [seal.NonceSize]byte(sealed), sealed[seal.NonceSize:])
	if err != nil {
		return 0, err
	}
	n, err = w.Write(plain)
	return int64(n), err
}

// mayWrite refuses a name that must not be written to, before anything is
// fetched.
func mayWrite(dir *os.Root, name string, overwrite bool) error {
	info, err := dir.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is there and no regular file: give another name", name)
	case !overwrite:
		return fmt.Errorf("%s: %w", name, fs.ErrExist)
	}
	return nil
}

// writeWhole makes a file with what write writes, which appears under its
// name when it is complete and on disk. A private one is for its owner alone.
func writeWhole(dir *os.Root, name string, overwrite, private bool, write func(io.Writer) (int64, error)) (n int64, err error) {
	mode := fs.FileMode(0o666) // less what the user's mask takes away
	if private {
		mode = 0o600
	}
	temp := ".claudemesh-" + rand.Text() + ".part"
	f, err := dir.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return 0, err
	}
	defer dir.Remove(temp) // is gone if all went well
	w := &syncing{file: f}
	n, err = write(w)
	if err = errors.Join(err, w.settle()); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return n, err
	}
	if overwrite {
		if err := mayWrite(dir, name, true); err != nil {
			return n, err
		}
		err = dir.Rename(temp, name)
	} else {
		err = placeNew(dir, temp, name)
	}
	if err != nil {
		return n, err
	}
	return n, syncRoot(dir)
}

// syncEvery is how many bytes are written between two syncs.
const syncEvery = 32 << 20

// A syncing writer brings a file to disk while it is written, so that little is
// left to wait for at the end.
type syncing struct {
	file   *os.File
	dirty  int64
	synced chan error // holds the result of a sync under way; nil if there is none
}

// Write implements io.Writer.
func (s *syncing) Write(p []byte) (int, error) {
	n, err := s.file.Write(p)
	if s.dirty += int64(n); err != nil || s.dirty < syncEvery {
		return n, err
	}
	if err := s.settle(); err != nil {
		return n, err
	}
	s.dirty = 0
	synced := make(chan error, 1)
	s.synced = synced
	go func() { synced <- s.file.Sync() }() // settle waits for it
	return n, nil
}

// settle waits for a sync under way.
func (s *syncing) settle() error {
	if s.synced == nil {
		return nil
	}
	err := <-s.synced
	s.synced = nil
	return err
}

// placeNew gives a file its name unless there is one of it. A link fails then
// by itself; where the file system has none a look must do.
func placeNew(dir *os.Root, temp, name string) error {
	err := dir.Link(temp, name)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := mayWrite(dir, name, false); err != nil {
		return err
	}
	return dir.Rename(temp, name)
}

// syncRoot makes what was renamed in a directory durable. Windows has no such
// call and needs none.
func syncRoot(dir *os.Root) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := dir.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// readerFunc makes a reader of a function.
type readerFunc func(p []byte) (int, error)

// Read implements io.Reader.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
