package seal

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
)

// AtRest encrypts what a broker keeps for its members and must read again, such as the secrets of other services, so
// that a copy of the database alone does not show it. What it makes is nonce ‖ tag ‖ ciphertext (crypto_secretbox). It
// is safe for concurrent use.
type AtRest struct {
	key hidden[[32]byte]
}

// NewAtRest derives the key for one purpose, with which info names it, from the seed of the broker's key:
// HKDF-SHA-256(seed, no salt, info, 32 bytes).
func NewAtRest(seed [32]byte, info string) (*AtRest, error) {
	key, err := hkdf.Key(sha256.New, seed[:], nil, info, 32)
	if err != nil {
		return nil, fmt.Errorf("derive the key for what is kept: %w", err)
	}
	return &AtRest{hide((*[32]byte)(key))}, nil
}

// Seal encrypts plaintext under a fresh random nonce.
func (a *AtRest) Seal(plaintext []byte) []byte {
	nonce, ciphertext := SealSecret(a.key(), plaintext)
	return append(nonce[:], ciphertext...)
}

// Open decrypts what Seal returned. The error wraps ErrOpen.
func (a *AtRest) Open(sealed []byte) ([]byte, error) {
	if len(sealed) < NonceSize {
		return nil, fmt.Errorf("%w: it is too short", ErrOpen)
	}
	return OpenSecret(a.key(), [NonceSize]byte(sealed), sealed[NonceSize:])
}
