package store

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

const (
	blobDir     = "files"
	newBlob     = ".new-"
	blobSyncAt  = 32 << 20 // bytes between two syncs, so that a large file does not hold up the commits of the mesh at its end
	blobDirMode = 0o700
)

var blobPattern = regexp.MustCompile(`^[0-9A-Za-z]{1,64}$`)

// Blobs are the bytes of the shared files of a mesh: a directory with a file
// for each, named by its id and by nothing that a peer has said.
//
// The order of steps is what makes a crash harmless. Bytes are written to
// a temporary file, synced, renamed and their directory synced before the row
// of the file is committed; a row is deleted before its bytes. So a crash
// leaves bytes without a row at worst, which Sweep finds, and never a row
// without bytes.
type Blobs struct{ dir string }

// OpenBlobs returns the blobs that belong to the mesh file at path, the path
// given to [Open]. The directory is made when it is first needed.
func OpenBlobs(path string) *Blobs { return &Blobs{filepath.Join(filepath.Dir(path), blobDir)} }

// Dir returns the directory of the blobs, which need not be there.
func (b *Blobs) Dir() string { return b.dir }

// A Blob is one that is being written. It ends with Keep or Discard.
type Blob struct {
	id     string
	dir    string
	file   *os.File
	sum    hash.Hash
	size   int64
	dirty  int64      // bytes since the last sync began
	synced chan error // holds the result of a sync that runs beside the writing; nil if none does
}

// Create begins the blob with that id. An error wraps ErrUnavailable where the
// file system refused.
func (b *Blobs) Create(id string) (*Blob, error) {
	if !blobPattern.MatchString(id) {
		return nil, fmt.Errorf("store: blob id %.80q", id)
	}
	if err := os.MkdirAll(b.dir, blobDirMode); err != nil {
		return nil, unavailable("make the directory of files", err)
	}
	f, err := os.OpenFile(filepath.Join(b.dir, newBlob+id), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, unavailable("make a file", err)
	}
	return &Blob{id: id, dir: b.dir, file: f, sum: sha256.New()}, nil
}

// Write implements io.Writer. An error wraps ErrUnavailable.
func (w *Blob) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	w.sum.Write(p[:n])
	w.size += int64(n)
	w.dirty += int64(n)
	if err == nil && w.dirty >= blobSyncAt {
		w.dirty = 0
		err = w.syncBehind()
	}
	return n, unavailable("write a file", err)
}

// syncBehind begins to sync what was written, when the sync before has ended.
func (w *Blob) syncBehind() error {
	if err := w.settle(); err != nil {
		return err
	}
	synced := make(chan error, 1)
	w.synced = synced
	go func() { synced <- w.file.Sync() }() // settle waits for it
	return nil
}

// settle waits for a sync under way.
func (w *Blob) settle() error {
	if w.synced == nil {
		return nil
	}
	err := <-w.synced
	w.synced = nil
	return err
}

// Size returns how many bytes were written.
func (w *Blob) Size() int64 { return w.size }

// Sum returns the SHA-256 of what was written.
func (w *Blob) Sum() (sum [32]byte) { return [32]byte(w.sum.Sum(sum[:0])) }

// Keep makes the blob durable under its id. After an error it is discarded.
func (w *Blob) Keep() error {
	err := errors.Join(w.settle(), w.file.Sync())
	if err = errors.Join(err, w.file.Close()); err == nil {
		err = os.Rename(w.file.Name(), filepath.Join(w.dir, w.id))
	}
	if err == nil {
		err = syncDir(w.dir)
	}
	if err != nil {
		os.Remove(w.file.Name())
		os.Remove(filepath.Join(w.dir, w.id))
	}
	return unavailable("keep a file", err)
}

// Discard removes what was written.
func (w *Blob) Discard() error {
	w.settle() // whatever it and the next say, the bytes are not wanted
	w.file.Close()
	return os.Remove(w.file.Name())
}

// Open opens a blob to read: ErrNotFound if there is none.
func (b *Blobs) Open(id string) (*os.File, error) {
	if !blobPattern.MatchString(id) {
		return nil, fmt.Errorf("store: blob id %.80q: %w", id, ErrNotFound)
	}
	f, err := os.Open(filepath.Join(b.dir, id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("store: blob %s: %w", id, ErrNotFound)
	}
	return f, unavailable("open a file", err)
}

// Remove removes a blob. One that is not there is no error.
func (b *Blobs) Remove(id string) error {
	if !blobPattern.MatchString(id) {
		return fmt.Errorf("store: blob id %.80q", id)
	}
	return b.remove(id)
}

func (b *Blobs) remove(name string) error {
	if err := os.Remove(filepath.Join(b.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// Sweep removes every blob, finished or not, that is not wanted, and returns
// how many. It asks which ids are wanted when it has seen what is there, so that
// what is kept meanwhile is not taken for an orphan.
func (b *Blobs) Sweep(wanted func() (map[string]bool, error)) (removed int, err error) {
	entries, err := os.ReadDir(b.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("store: %w", err)
	}
	keep, err := wanted()
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, e := range entries {
		id := strings.TrimPrefix(e.Name(), newBlob)
		if !blobPattern.MatchString(id) || keep[id] {
			continue // what is not ours is left alone
		}
		if err := b.remove(e.Name()); err != nil {
			errs = append(errs, err)
			continue
		}
		removed++
	}
	return removed, errors.Join(errs...)
}

// Free returns how many bytes of the disk that holds the blobs the broker may
// still use, and false where the system does not say.
func (b *Blobs) Free() (bytes int64, known bool) {
	dir := b.dir
	if _, err := os.Stat(dir); err != nil {
		dir = filepath.Dir(dir)
	}
	return freeSpace(dir)
}

// unavailable makes an ErrUnavailable of a refusal of the file system.
func unavailable(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, errQuota):
		return fmt.Errorf("store: %s: %w: the disk is full, make room: %w", what, ErrUnavailable, err)
	}
	return fmt.Errorf("store: %s: %w: %w", what, ErrUnavailable, err)
}
