package peer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

const (
	sessionsName = "sessions"
	// touchEvery is how old the recorded last use of a key gets before it is
	// written anew: each hook of a session loads its key.
	touchEvery = time.Hour
	// maxKeyBytes is far above the size of a key file.
	maxKeyBytes = 16 << 10
)

// ErrNoSessionKey says that no session of this machine has the key asked for.
var ErrNoSessionKey = errors.New("no session of this machine has that key")

// SessionKeys keeps the key of each session in a file of its own, 0600, so
// that a resumed session is the same peer again and can read what was sealed
// to it. Files are at <dir>/<mesh id>/<hash of the session id>.json. Several
// processes may use one directory.
type SessionKeys struct {
	dir string
}

// NewSessionKeys returns the keys kept below the configuration directory.
func NewSessionKeys(configDir string) *SessionKeys {
	return &SessionKeys{dir: filepath.Join(configDir, sessionsName)}
}

// SessionKeys returns the session keys that belong to c: those in SessionsDir
// if it is set, else those below the directory of c.
func (c *Config) SessionKeys() *SessionKeys {
	if c.SessionsDir != "" {
		return &SessionKeys{dir: c.SessionsDir}
	}
	return NewSessionKeys(c.dir)
}

// Dir returns the directory of the keys: what SessionsDir of another
// configuration must be to share them.
func (s *SessionKeys) Dir() string { return s.dir }

// sessionKey is the content of a key file.
type sessionKey struct {
	SessionID string    `json:"sessionId"`
	SecretKey string    `json:"secretKey"` // 128 hex digits
	Pubkey    string    `json:"pubkey"`    // 64 hex digits
	CreatedAt wire.Time `json:"createdAt"`
	UsedAt    wire.Time `json:"usedAt"` // within touchEvery
}

func (k sessionKey) String() string { return "session key " + k.Pubkey }

// Format implements fmt.Formatter, so that no verb prints the secret.
func (k sessionKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }

// LogValue implements slog.LogValuer without the secret.
func (k sessionKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Key returns the key of a host session in a mesh, and creates it the first
// time. Processes that ask at the same time get the same key. A key file that
// others can read is refused with a hint, and so is one that is damaged: a new
// key in its place could not read the old one's mail. The session id must have
// 1 to wire.MaxSessionID bytes.
func (s *SessionKeys) Key(meshID, sessionID string) (seal.PrivateKey, error) {
	if sessionID == "" || len(sessionID) > wire.MaxSessionID {
		return seal.PrivateKey{}, fmt.Errorf("session key: the session id must have 1 to %d bytes", wire.MaxSessionID)
	}
	path := s.path(meshID, sessionID)
	k, key, err := readKey(path)
	if err == nil && k.SessionID == sessionID && time.Since(k.UsedAt.Std()) < touchEvery {
		return key, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return seal.PrivateKey{}, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return seal.PrivateKey{}, fmt.Errorf("create directory of session keys: %w", err)
	}
	key, err = createKey(path, sessionID)
	if err != nil {
		return seal.PrivateKey{}, fmt.Errorf("session key: %w", err)
	}
	return key, nil
}

// createKey makes the key file, or records the use of the one that another
// process made meanwhile.
func createKey(path, sessionID string) (seal.PrivateKey, error) {
	unlock, err := acquire(context.Background(), filepath.Join(filepath.Dir(path), lockName))
	if err != nil {
		return seal.PrivateKey{}, err
	}
	defer unlock()

	now := wire.Time(time.Now())
	k, key, err := readKey(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if key, err = seal.Generate(); err != nil {
			return seal.PrivateKey{}, err
		}
		k = sessionKey{SessionID: sessionID, SecretKey: key.Hex(), Pubkey: key.Public().String(), CreatedAt: now}
	case err != nil:
		return seal.PrivateKey{}, err
	}
	k.UsedAt = now
	data, err := encodeFile(k)
	if err != nil {
		return seal.PrivateKey{}, err
	}
	return key, replaceFile(path, data)
}

// ByPubkey returns the key of whichever session of this machine has that
// public key, 64 hex digits, in the mesh, so that mail sealed to a session
// that is gone can be opened. The error is ErrNoSessionKey if there is none.
func (s *SessionKeys) ByPubkey(meshID, pubkey string) (seal.PrivateKey, error) {
	dir := s.meshDir(meshID)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return seal.PrivateKey{}, fmt.Errorf("search session keys: %w", err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		// A damaged key is no reason not to find the others.
		if k, key, err := readKey(filepath.Join(dir, e.Name())); err == nil && k.Pubkey == pubkey {
			return key, nil
		}
	}
	return seal.PrivateKey{}, ErrNoSessionKey
}

// Finder returns ByPubkey for one mesh, as Options.KeyByPubkey has it.
func (s *SessionKeys) Finder(meshID string) func(pubkey string) (seal.PrivateKey, error) {
	return func(pubkey string) (seal.PrivateKey, error) { return s.ByPubkey(meshID, pubkey) }
}

// Prune removes the keys, of all meshes, that have not been used for longer
// than that and returns how many, until ctx ends. What was sealed to them can no
// longer be read. Files it cannot read are left alone.
func (s *SessionKeys) Prune(ctx context.Context, olderThan time.Duration) (removed int, err error) {
	names, err := fs.Glob(os.DirFS(s.dir), "*/*.json")
	if err != nil {
		return 0, fmt.Errorf("prune session keys: %w", err)
	}
	limit := time.Now().Add(-olderThan)
	for _, name := range names {
		gone, err := removeUnused(ctx, filepath.Join(s.dir, filepath.FromSlash(name)), limit)
		if err != nil {
			return removed, fmt.Errorf("prune session keys: %w", err)
		}
		if gone {
			removed++
		}
	}
	return removed, nil
}

// Forget removes the keys of a mesh that was left. What was sealed to them can
// no longer be read.
func (s *SessionKeys) Forget(meshID string) error {
	if err := os.RemoveAll(s.meshDir(meshID)); err != nil {
		return fmt.Errorf("remove session keys: %w", err)
	}
	return nil
}

// removeUnused removes the key file if its last use was before limit. It looks
// again under the lock, for the session may just have come back.
func removeUnused(ctx context.Context, path string, limit time.Time) (bool, error) {
	if info, err := os.Stat(path); err != nil || !info.ModTime().Before(limit) {
		return false, nil // its use was recorded since
	}
	if k, _, err := readKey(path); err != nil || !k.UsedAt.Std().Before(limit) {
		return false, nil
	}
	unlock, err := acquire(ctx, filepath.Join(filepath.Dir(path), lockName))
	if err != nil {
		return false, err
	}
	defer unlock()
	if k, _, err := readKey(path); err != nil || !k.UsedAt.Std().Before(limit) {
		return false, nil
	}
	return true, os.Remove(path)
}

func readKey(path string) (sessionKey, seal.PrivateKey, error) {
	var k sessionKey
	f, err := os.Open(path)
	if err != nil {
		return k, seal.PrivateKey{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return k, seal.PrivateKey{}, err
	}
	if exposed(info.Mode().Perm()) {
		return k, seal.PrivateKey{}, fmt.Errorf("session key %s can be read by others (mode %04o): run `chmod 600 %s`", path, info.Mode().Perm(), path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyBytes))
	if err != nil {
		return k, seal.PrivateKey{}, err
	}
	var key seal.PrivateKey
	err = json.Unmarshal(data, &k)
	if err == nil {
		key, err = seal.ParsePrivateKey(k.SecretKey)
	}
	if err == nil && key.Public().String() != k.Pubkey {
		err = errors.New("its halves do not belong together")
	}
	if err != nil {
		return k, seal.PrivateKey{}, fmt.Errorf("session key %s is damaged: %w; remove it and the session becomes a new peer", path, err)
	}
	return k, key, nil
}

var plainID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// meshDir returns the directory of a mesh. A mesh id comes from an invite: one
// that could lead elsewhere is replaced by its hash.
func (s *SessionKeys) meshDir(meshID string) string {
	if !plainID.MatchString(meshID) {
		meshID = hashName(meshID)
	}
	return filepath.Join(s.dir, meshID)
}

// path returns the file of a key. The mesh id is hashed too, because two of
// them can differ only in case, which some file systems ignore.
func (s *SessionKeys) path(meshID, sessionID string) string {
	return filepath.Join(s.meshDir(meshID), hashName(meshID+"\x00"+sessionID)+".json")
}

func hashName(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}
