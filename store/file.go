package store

import (
	"fmt"
	"time"
)

const (
	fileColumns     = `id, name, size, type, sha256, tags, encrypted, owner, uploader, uploader_name, target, uploaded, expires`
	insertFile      = `INSERT INTO file (` + fileColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	selectFile      = `SELECT ` + fileColumns + ` FROM file WHERE id = ?`
	selectFiles     = `SELECT ` + fileColumns + ` FROM file ORDER BY uploaded DESC, id DESC`
	selectFileSizes = `SELECT id, size FROM file`
	selectFilesOver = `SELECT id, size FROM file WHERE expires <= ? ORDER BY expires LIMIT ?`
	deleteFile      = `DELETE FROM file WHERE id = ?`

	upsertFileKey  = `INSERT OR REPLACE INTO file_key (file, pubkey, sealed, granter, granted) VALUES (?, ?, ?, ?, ?)`
	selectFileKey  = `SELECT sealed FROM file_key WHERE file = ? AND pubkey = ?`
	countFileKeys  = `SELECT count(*) FROM file_key WHERE file = ?`
	insertAccess   = `INSERT INTO file_access (file, pubkey, name, at) VALUES (?, ?, ?, ?)`
	selectAccesses = `SELECT pubkey, name, at FROM file_access WHERE file = ? ORDER BY id DESC LIMIT ?`
	deleteAccesses = `DELETE FROM file_access WHERE file = ?1 AND id <= (SELECT id FROM file_access WHERE file = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)`
)

// File is what is kept of a shared file beside its bytes, which are a blob
// under its id: see Blobs.
type File struct {
	ID           string // NewID
	Name         string
	Size         int64  // bytes of the blob
	Type         string // "" for none
	SHA256       [32]byte
	Tags         []string
	Encrypted    bool
	Owner        string // public key, "" unless it is sealed
	Uploader     string // member, "" if not known
	UploaderName string
	Target       string // "" for everyone
	Uploaded     time.Time
	Expires      time.Time // zero for never
}

// FileSize is the id of a file and how much room it takes.
type FileSize struct {
	ID   string
	Size int64 // bytes
}

// FileAccess tells that a file's address was given out.
type FileAccess struct {
	PubKey string
	Name   string
	At     time.Time
}

// AddFile records a file whose bytes are on disk already.
func (tx *Tx) AddFile(f *File) error {
	tags, err := toJSON(f.Tags)
	if err != nil {
		return err
	}
	_, err = tx.exec(insertFile, f.ID, f.Name, f.Size, null(f.Type), f.SHA256[:], tags, f.Encrypted, null(f.Owner),
		null(f.Uploader), f.UploaderName, null(f.Target), f.Uploaded, f.Expires)
	return err
}

// File returns the file with that id, expired or not: ErrNotFound if there is none.
func (rx *Rx) File(id string) (*File, error) {
	var f File
	if err := rx.one(selectFile, []any{id}, f.columns()...); err != nil {
		return nil, fmt.Errorf("store: file %.40q: %w", id, err)
	}
	return &f, nil
}

// Files calls fn with each file, the newest first, until it returns false. fn
// may read, but not list the files again.
func (rx *Rx) Files(fn func(*File) (more bool, err error)) error {
	return rx.each(selectFiles, nil, func(r row) error {
		var f File
		if err := r.scan(f.columns()...); err != nil {
			return err
		}
		more, err := fn(&f)
		if err == nil && !more {
			err = errStop
		}
		return err
	})
}

func (f *File) columns() []any {
	return []any{&f.ID, &f.Name, &f.Size, &f.Type, &f.SHA256, fromJSON{&f.Tags}, &f.Encrypted, &f.Owner, &f.Uploader,
		&f.UploaderName, &f.Target, &f.Uploaded, &f.Expires}
}

// FileSizes lists all files.
func (rx *Rx) FileSizes() ([]FileSize, error) { return rx.fileSizes(selectFileSizes) }

// ExpiredFiles lists at most limit files whose time had run out by then.
func (rx *Rx) ExpiredFiles(then time.Time, limit int) ([]FileSize, error) {
	return rx.fileSizes(selectFilesOver, then, limit)
}

func (rx *Rx) fileSizes(query string, args ...any) ([]FileSize, error) {
	var all []FileSize
	err := rx.each(query, args, func(r row) error {
		var f FileSize
		err := r.scan(&f.ID, &f.Size)
		all = append(all, f)
		return err
	})
	return all, err
}

// DeleteFile removes the row of a file, its keys and accesses: ErrNotFound if
// there is none. Its bytes are removed after the commit.
func (tx *Tx) DeleteFile(id string) error { return tx.change("file "+id, deleteFile, id) }

// PutFileKey records the key of a file sealed to pubkey, in place of one that
// was there.
func (tx *Tx) PutFileKey(file, pubkey, sealed, granter string, at time.Time) error {
	_, err := tx.exec(upsertFileKey, file, pubkey, sealed, null(granter), at)
	return err
}

// FileKey returns the key of a file sealed to pubkey: ErrNotFound if there is none.
func (rx *Rx) FileKey(file, pubkey string) (sealed string, err error) {
	if err := rx.one(selectFileKey, []any{file, pubkey}, &sealed); err != nil {
		return "", fmt.Errorf("store: key of file %.40q for %.16s: %w", file, pubkey, err)
	}
	return sealed, nil
}

// FileKeys returns to how many public keys the key of a file is sealed.
func (rx *Rx) FileKeys(file string) (n int, err error) {
	err = rx.one(countFileKeys, []any{file}, &n)
	return n, err
}

// AddFileAccess notes that a file's address was given out, and forgets all
// but the newest keep of such notes.
func (tx *Tx) AddFileAccess(file string, a FileAccess, keep int) error {
	if _, err := tx.exec(insertAccess, file, a.PubKey, a.Name, a.At); err != nil {
		return err
	}
	_, err := tx.exec(deleteAccesses, file, keep)
	return err
}

// FileAccesses lists at most limit accesses of a file, the newest first.
func (rx *Rx) FileAccesses(file string, limit int) ([]FileAccess, error) {
	var all []FileAccess
	err := rx.each(selectAccesses, []any{file, limit}, func(r row) error {
		var a FileAccess
		err := r.scan(&a.PubKey, &a.Name, &a.At)
		all = append(all, a)
		return err
	})
	return all, err
}
