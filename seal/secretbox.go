package seal

import (
	"crypto/rand"
	"fmt"

	"golang.org/x/crypto/nacl/box"
	"golang.org/x/crypto/nacl/secretbox"
)

// SecretOverhead is by how many bytes a secretbox is longer than what it holds.
const SecretOverhead = secretbox.Overhead

// AnonymousOverhead is by how many bytes what SealAnonymous makes is longer than what it holds.
const AnonymousOverhead = box.AnonymousOverhead

// NewSecretKey makes a random key for SealSecret.
func NewSecretKey() *[32]byte {
	var key [32]byte
	rand.Read(key[:]) // never fails: crypto/rand ends the program instead
	return &key
}

// SealSecret encrypts plaintext, a file body or a vault value, under key and a fresh random nonce
// (crypto_secretbox_easy). The ciphertext is tag ‖ ciphertext, SecretOverhead bytes longer than plaintext. An
// uploaded file is nonce ‖ ciphertext.
func SealSecret(key *[32]byte, plaintext []byte) (nonce [NonceSize]byte, ciphertext []byte) {
	rand.Read(nonce[:]) // never fails: crypto/rand ends the program instead
	out := make([]byte, 0, len(plaintext)+SecretOverhead)
	return nonce, secretbox.Seal(out, plaintext, &nonce, key)
}

// OpenSecret decrypts what SealSecret returned. The error wraps ErrOpen.
func OpenSecret(key *[32]byte, nonce [NonceSize]byte, ciphertext []byte) ([]byte, error) {
	plaintext, ok := secretbox.Open(nil, ciphertext, &nonce, key)
	if !ok {
		return nil, fmt.Errorf("%w: the data was not sealed under this key and nonce, or was altered", ErrOpen)
	}
	return plaintext, nil
}

// SealAnonymous encrypts plaintext, the key of a file or vault entry, to the X25519 form of a public key
// (crypto_box_seal): 48 bytes longer, of which the first 32 are a throw-away public key. Nothing tells the
// recipient who sealed it. It refuses a key that Check refuses; the error wraps ErrKey.
func SealAnonymous(to PublicKey, plaintext []byte) ([]byte, error) {
	u, err := to.x25519()
	if err != nil {
		return nil, err
	}
	sealed, err := box.SealAnonymous(nil, plaintext, u, rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("seal to %s: %w", to, err)
	}
	return sealed, nil
}

// OpenAnonymous decrypts what was sealed to the public half of key. The error wraps ErrOpen, or
// ErrKey where there is no key.
func OpenAnonymous(key PrivateKey, sealed []byte) ([]byte, error) {
	if key.IsZero() {
		return nil, fmt.Errorf("%w: there is no private key to open with", ErrKey)
	}
	u, err := key.Public().x25519()
	if err != nil {
		return nil, err
	}
	plaintext, ok := box.OpenAnonymous(nil, sealed, u, key.x25519())
	if !ok {
		return nil, fmt.Errorf("%w: the data was not sealed to %s, or was altered", ErrOpen, key.Public())
	}
	return plaintext, nil
}
