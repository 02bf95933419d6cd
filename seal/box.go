package seal

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/nacl/box"
)

// NonceSize is the length in bytes of the nonce of every box.
const NonceSize = 24

// ErrOpen reports that a box did not open: it was sealed by or to another key, was altered, or never was a box.
var ErrOpen = errors.New("cannot decrypt")

// Box seals and opens direct messages between one pair of keys. It holds the key that both compute (crypto_box_beforenm),
// which makes a message some fifty times cheaper than starting from the pair, so keep one Box per pair. Both ends
// of a pair hold the same key: a message proves that one of the two wrote it, not which. It is safe for concurrent
// use.
type Box struct {
	shared hidden[[32]byte]
}

// NewBox computes the shared key of mine and theirs. It refuses a key that Check refuses; the error wraps ErrKey.
func NewBox(mine PrivateKey, theirs PublicKey) (*Box, error) {
	if mine.IsZero() {
		return nil, fmt.Errorf("%w: there is no private key to seal with", ErrKey)
	}
	u, err := theirs.x25519()
	if err != nil {
		return nil, err
	}
	var shared [32]byte
	box.Precompute(&shared, u, mine.x25519())
	return &Box{hide(&shared)}, nil
}

// Seal encrypts plaintext under a fresh random nonce and returns the fields nonce and ciphertext of a direct
// message: standard base64 of 24 bytes, and of tag ‖ ciphertext (the crypto_box_easy layout).
func (b *Box) Seal(plaintext []byte) (nonce, ciphertext string, err error) {
	nonce, ciphertext = b.SealWith(NewNonce(), plaintext)
	return nonce, ciphertext, nil
}

// SealWith is Seal under a nonce that the caller has: see RepeatableNonce.
func (b *Box) SealWith(n Nonce, plaintext []byte) (nonce, ciphertext string) {
	return encode(n[:]), encode(b.seal(plaintext, (*[NonceSize]byte)(&n)))
}

func (b *Box) seal(plaintext []byte, nonce *[NonceSize]byte) []byte {
	return box.SealAfterPrecomputation(make([]byte, 0, len(plaintext)+box.Overhead), plaintext, nonce, b.shared())
}

// Open decrypts the fields that Seal returns. The error wraps ErrOpen.
func (b *Box) Open(nonce, ciphertext string) ([]byte, error) {
	n, err := decodeNonce(nonce)
	if err != nil {
		return nil, err
	}
	sealed, err := decode(ciphertext)
	if err != nil {
		return nil, err
	}
	plaintext, ok := box.OpenAfterPrecomputation(nil, sealed, n, b.shared())
	if !ok {
		return nil, fmt.Errorf("%w: the message was not sealed between these two keys, or was altered", ErrOpen)
	}
	return plaintext, nil
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// decode reads standard base64 with padding and admits one spelling of each value: encoding/base64 alone skips line
// ends and ignores unused bits. The error wraps ErrOpen.
func decode(s string) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") {
		return nil, fmt.Errorf("%w: not standard base64 with padding", ErrOpen)
	}
	return b, nil
}

func decodeNonce(s string) (*[NonceSize]byte, error) {
	if len(s) != base64.StdEncoding.EncodedLen(NonceSize) {
		return nil, fmt.Errorf("%w: the nonce is not base64 of %d bytes", ErrOpen, NonceSize)
	}
	b, err := decode(s)
	if err != nil {
		return nil, err
	}
	if len(b) != NonceSize {
		return nil, fmt.Errorf("%w: the nonce has %d bytes, not %d", ErrOpen, len(b), NonceSize)
	}
	return (*[NonceSize]byte)(b), nil
}
