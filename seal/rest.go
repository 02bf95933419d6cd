package seal

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// restMagic begins what AtRest seals.
const restMagic = "cmrest1\n"

// A RestID names a key of AtRest without showing anything of it.
type RestID [8]byte

// String returns the id in hex.
func (id RestID) String() string { return hex.EncodeToString(id[:]) }

// AtRest encrypts what a broker keeps for its members and must read again, such as the secrets of other services, so
// that a copy of the database alone does not show it. What it makes names its key:
//
//	sealed  "cmrest1\n" (8 bytes) ‖ id of the key (8 bytes) ‖ nonce (24 bytes) ‖ tag ‖ ciphertext (crypto_secretbox)
//
// The older form, which Open reads too, has no more than nonce ‖ tag ‖ ciphertext. It begins like the newer once in 2⁶⁴
// values. It is safe for concurrent use.
type AtRest struct {
	id  RestID
	key hidden[[32]byte]
}

// NewAtRest derives the key for one purpose, with which info names it, from a seed, which is that of the broker's key
// or a random one: HKDF-SHA-256(seed, no salt, info, 32 bytes). Its id is derived in the same way, by info and " id".
func NewAtRest(seed [32]byte, info string) (*AtRest, error) {
	key, err := hkdf.Key(sha256.New, seed[:], nil, info, 32)
	if err != nil {
		return nil, fmt.Errorf("derive the key for what is kept: %w", err)
	}
	id, err := hkdf.Key(sha256.New, seed[:], nil, info+" id", len(RestID{}))
	if err != nil {
		return nil, fmt.Errorf("derive the id of the key for what is kept: %w", err)
	}
	return &AtRest{RestID(id), hide((*[32]byte)(key))}, nil
}

// ID names the key.
func (a *AtRest) ID() RestID { return a.id }

// Seal encrypts plaintext under a fresh random nonce.
func (a *AtRest) Seal(plaintext []byte) []byte {
	nonce, ciphertext := SealSecret(a.key(), plaintext)
	return append(append(a.head(), nonce[:]...), ciphertext...)
}

// Open decrypts what Seal returned, in either form. The error wraps ErrOpen.
func (a *AtRest) Open(sealed []byte) ([]byte, error) {
	sealed = bytes.TrimPrefix(sealed, a.head())
	if len(sealed) < NonceSize {
		return nil, fmt.Errorf("%w: it is too short", ErrOpen)
	}
	return OpenSecret(a.key(), [NonceSize]byte(sealed), sealed[NonceSize:])
}

func (a *AtRest) head() []byte { return append([]byte(restMagic), a.id[:]...) }

// A RestRing is a key that what is kept is sealed under, with those from before it, which still open. It is safe for
// concurrent use.
type RestRing struct {
	keys []*AtRest // the first seals
}

// maxRing is how many keys a ring has at most; those that were added last stay.
const maxRing = 64

// NewRestRing returns a ring that seals under current.
func NewRestRing(current *AtRest, older ...*AtRest) *RestRing {
	return &RestRing{append([]*AtRest{current}, older...)}
}

// Renewed returns a ring that seals under key, and opens what r opens.
func (r *RestRing) Renewed(key *AtRest) *RestRing {
	return NewRestRing(key, r.keys[:min(len(r.keys), maxRing-1)]...)
}

// ID names the key that Seal uses.
func (r *RestRing) ID() RestID { return r.keys[0].id }

// Seal encrypts plaintext under the current key.
func (r *RestRing) Seal(plaintext []byte) []byte { return r.keys[0].Seal(plaintext) }

// Open decrypts what was sealed under any key of the ring. The error wraps ErrOpen.
func (r *RestRing) Open(sealed []byte) ([]byte, error) {
	named := bytes.HasPrefix(sealed, []byte(restMagic))
	for _, key := range r.keys {
		if named && !bytes.HasPrefix(sealed, key.head()) {
			continue
		}
		if plaintext, err := key.Open(sealed); err == nil {
			return plaintext, nil
		}
	}
	return nil, fmt.Errorf("%w: it was sealed under a key that is not here, or was altered", ErrOpen)
}

// IsCurrent reports whether sealed names the current key.
func (r *RestRing) IsCurrent(sealed []byte) bool { return bytes.HasPrefix(sealed, r.keys[0].head()) }
