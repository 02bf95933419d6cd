package store

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A Keyring holds the keys that a broker has made for what it keeps sealed, in
// <data>/keys.json (0600). Without that file it has none, and what is kept is
// sealed under a key made of the broker's own.
type Keyring struct {
	Keys []RestKey // newest first: what is sealed now is under the first
	// Resealing says that something may still be under another key.
	Resealing bool
}

// A RestKey is a seed of what seals. It is not shown when it is printed or logged.
type RestKey struct {
	Seed    [32]byte
	Created time.Time
}

// Format prints nothing secret, whatever the verb.
func (k RestKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, "key(secret)") }

// LogValue logs nothing secret.
func (k RestKey) LogValue() slog.Value { return slog.StringValue("key(secret)") }

// MarshalJSON encodes nothing secret.
func (k RestKey) MarshalJSON() ([]byte, error) { return []byte(`"key(secret)"`), nil }

const (
	keyringName = "keys.json"
	maxKeyring  = 64 << 10 // bytes; a key has some 130
)

// keyringFile is the shape of keys.json.
type keyringFile struct {
	Keys      []keyFile `json:"keys"`
	Resealing bool      `json:"resealing,omitempty"`
}

type keyFile struct {
	Key     string    `json:"key"` // hex
	Created time.Time `json:"createdAt"`
}

// OpenKeyring reads <dir>/keys.json. It refuses a file that others than its
// owner can read or write. The caller has locked dir with [LockDir].
func OpenKeyring(dir string) (*Keyring, error) {
	if err := removeUnfinished(dir); err != nil {
		return nil, err
	}
	var text keyringFile
	name := filepath.Join(dir, keyringName)
	err := readSecrets(name, maxKeyring, &text)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return new(Keyring), nil
	case errors.Is(err, errUnreadable):
		return nil, fmt.Errorf("store: %w: restore it from a backup, or remove it and set anew what the broker kept encrypted", err)
	case err != nil:
		return nil, fmt.Errorf("store: %w", err)
	}
	r := &Keyring{Resealing: text.Resealing}
	for _, k := range text.Keys {
		seed, err := hex.DecodeString(k.Key)
		if err != nil || len(seed) != 32 {
			return nil, fmt.Errorf("store: %s: a key must be 64 hex digits: restore it from a backup, or remove it and set anew what the broker kept encrypted", name)
		}
		r.Keys = append(r.Keys, RestKey{[32]byte(seed), k.Created})
	}
	return r, nil
}

// SaveKeyring replaces <dir>/keys.json: after a crash it has the old content
// or the new.
func SaveKeyring(dir string, r *Keyring) error {
	text := keyringFile{Keys: []keyFile{}, Resealing: r.Resealing}
	for _, k := range r.Keys {
		text.Keys = append(text.Keys, keyFile{hex.EncodeToString(k.Seed[:]), k.Created.UTC()})
	}
	b, err := json.MarshalIndent(text, "", "  ")
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	name := filepath.Join(dir, keyringName)
	if err := writeFile(name, append(b, '\n')); err != nil {
		return fmt.Errorf("store: write %s: %w", name, err)
	}
	return nil
}

// removeUnfinished removes what a crash has left of files that were to be
// replaced: they may hold keys that are no longer meant to be there.
func removeUnfinished(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !strings.HasPrefix(e.Name(), newPrefix) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("store: %w", err)
		}
	}
	return nil
}
