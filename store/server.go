package store

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
)

// Server is the identity of a broker and the key to its administration, kept
// in <data>/server.json (0600). It shows neither when it is printed or logged.
type Server struct {
	Key        [32]byte // seed of the Ed25519 key that the broker proves itself with
	AdminToken string   // b64url of 32 random bytes
}

// maxServerFile bounds server.json, which has some 150 bytes.
const maxServerFile = 4096

// serverFile is the shape of server.json.
type serverFile struct {
	ServerKey  string `json:"serverKey"` // hex
	AdminToken string `json:"adminToken"`
}

// Format prints nothing secret, whatever the verb.
func (s Server) Format(f fmt.State, _ rune) { fmt.Fprint(f, "server(secret)") }

// LogValue logs nothing secret.
func (s Server) LogValue() slog.Value { return slog.StringValue("server(secret)") }

// MarshalJSON encodes nothing secret.
func (s Server) MarshalJSON() ([]byte, error) { return []byte(`"server(secret)"`), nil }

// OpenServer reads <dir>/server.json, or makes it with new secrets. It refuses
// a file that others than its owner can read or write. The caller has locked
// dir with [LockDir].
func OpenServer(dir string) (*Server, error) {
	name := filepath.Join(dir, "server.json")
	s, err := readServer(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s = new(Server)
	rand.Read(s.Key[:])
	var token [32]byte
	rand.Read(token[:])
	s.AdminToken = base64.RawURLEncoding.EncodeToString(token[:])
	b, err := json.MarshalIndent(serverFile{hex.EncodeToString(s.Key[:]), s.AdminToken}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := writeFile(name, append(b, '\n')); err != nil {
		return nil, fmt.Errorf("store: make %s: %w", name, err)
	}
	return s, nil
}

func readServer(name string) (*Server, error) {
	var text serverFile
	if err := readSecrets(name, maxServerFile, &text); errors.Is(err, errUnreadable) {
		return nil, fmt.Errorf("store: %w: restore it from a backup, or remove it to start with a new identity", err)
	} else if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s := &Server{AdminToken: text.AdminToken}
	key, err := hex.DecodeString(text.ServerKey)
	if err != nil || len(key) != len(s.Key) || len(s.AdminToken) < 43 {
		return nil, fmt.Errorf("store: %s: serverKey must be 64 hex digits and adminToken 43 characters: restore it from a backup, or remove it to start with a new identity", name)
	}
	copy(s.Key[:], key)
	return s, nil
}

// errUnreadable reports a file of secrets that is not what it should be.
var errUnreadable = errors.New("cannot be read")

// readSecrets decodes a file of JSON of at most limit bytes, which others than
// its owner must not be able to read or write.
func readSecrets(name string, limit int64, into any) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s holds secrets and others may access it (mode %#o): run chmod 600 %s", name, info.Mode().Perm(), name)
	}
	if err := json.NewDecoder(io.LimitReader(f, limit)).Decode(into); err != nil {
		return fmt.Errorf("%s %w: %w", name, errUnreadable, err)
	}
	return nil
}

// newPrefix begins the name of a file that is to take the place of another.
const newPrefix = ".new-"

// writeFile makes the file at name with that content at once: after a crash it
// is there in full or not at all.
func writeFile(name string, content []byte) (err error) {
	dir := filepath.Dir(name)
	f, err := os.CreateTemp(dir, newPrefix+"*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes renames in a directory durable. Windows has no such call and
// needs none.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
