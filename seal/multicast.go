package seal

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/nacl/secretbox"
)

// multicastPrefix marks an encrypted multicast. ':' is no base64 digit, so plain text never begins with it.
const multicastPrefix = "v1:"

// ErrMulticastSignature reports a multicast that a holder of the mesh root key sealed, but not with these words to
// this target in the name of its sender: it was forged, or taken from elsewhere.
var ErrMulticastSignature = errors.New("the sender's signature does not fit the multicast")

// PlainEnvelope returns the fields of a multicast that old peers can read: a nonce that means nothing, and base64 of
// the text. It is neither secret nor authenticated.
func PlainEnvelope(n Nonce, text string) (nonce, ciphertext string) {
	return encode(n[:]), encode([]byte(text))
}

// OpenPlainEnvelope returns the text of a plain multicast. Nothing about it is authenticated: anyone on the path
// could have written it. The error wraps ErrOpen.
func OpenPlainEnvelope(ciphertext string) (string, error) {
	text, err := decode(ciphertext)
	if err != nil {
		return "", err
	}
	if !utf8.Valid(text) {
		return "", fmt.Errorf("%w: the message is not UTF-8 text", ErrOpen)
	}
	return string(text), nil
}

// IsMulticast reports whether ciphertext is an encrypted multicast, to be opened with Multicast.Open.
func IsMulticast(ciphertext string) bool { return strings.HasPrefix(ciphertext, multicastPrefix) }

// NewRootKey makes the root key of a new mesh: base64url without padding of 32 random bytes.
func NewRootKey() string {
	return base64.RawURLEncoding.EncodeToString(NewSecretKey()[:])
}

func decodeRootKey(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != 32 || strings.ContainsAny(s, "\r\n") {
		return nil, fmt.Errorf("%w: a mesh root key is base64url without padding of 32 bytes", ErrKey)
	}
	return b, nil
}

// Multicast seals and opens multicasts among the members of one mesh. It is safe for concurrent use.
//
// The fields on the wire are
//
//	nonce       b64 of 24 random bytes
//	ciphertext  "v1:" + b64(crypto_secretbox_easy(plaintext, nonce, key))
//	key         HKDF-SHA-256(the 32 bytes of mesh_root_key, no salt, info "multicast-v1", 32 bytes)
//	plaintext   sender public key (32 bytes) ‖ signature (64 bytes) ‖ text (UTF-8)
//	signature   Ed25519 by the sender over
//	            multicast|<mesh_id>|<sender, lower-case hex>|<nonce as sent>|<target as sent>|<SHA-256 of text, lower-case hex>
//
// The sender key is the sender's address, its session key if it has one. The target may hold '|', since all other
// fields have a fixed shape or must not.
type Multicast struct {
	key hidden[[32]byte]
}

// NewMulticast derives the key from the mesh root key as it stands in an invite: base64url without padding of 32
// bytes. The error wraps ErrKey and shows nothing of the key.
func NewMulticast(rootKey string) (*Multicast, error) {
	secret, err := decodeRootKey(rootKey)
	if err != nil {
		return nil, err
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "multicast-v1", 32)
	if err != nil {
		return nil, fmt.Errorf("derive the multicast key: %w", err)
	}
	return &Multicast{hide((*[32]byte)(key))}, nil
}

// Seal encrypts text for every member of the mesh and signs it for exactly this mesh and target.
func (m *Multicast) Seal(sender PrivateKey, meshID, target, text string) (nonce, ciphertext string, err error) {
	return m.SealWith(NewNonce(), sender, meshID, target, text)
}

// SealWith is Seal under a nonce that the caller has: see RepeatableNonce.
func (m *Multicast) SealWith(n Nonce, sender PrivateKey, meshID, target, text string) (nonce, ciphertext string, err error) {
	if sender.IsZero() {
		return "", "", fmt.Errorf("%w: there is no private key to sign the multicast with", ErrKey)
	}
	if !utf8.ValidString(text) {
		return "", "", errors.New("seal a multicast: the message is not UTF-8 text")
	}
	nonce = encode(n[:])
	signed, err := multicastText(meshID, sender.Public(), nonce, target, text)
	if err != nil {
		return "", "", err
	}
	public := sender.Public()
	plaintext := append(append(public[:], sender.sign(signed)...), text...)
	return nonce, multicastPrefix + encode(secretbox.Seal(nil, plaintext, (*[NonceSize]byte)(&n), m.key())), nil
}

// Open decrypts a multicast and verifies that sender addressed text to target in meshID. The caller compares sender
// with the address the push names. A copy of the whole message opens again: whoever must not take it twice
// remembers nonces, which the signature covers. The error wraps ErrOpen where the box did not open, and
// ErrMulticastSignature where it did.
func (m *Multicast) Open(meshID, target, nonce, ciphertext string) (text string, sender PublicKey, err error) {
	encoded, ok := strings.CutPrefix(ciphertext, multicastPrefix)
	if !ok {
		return "", PublicKey{}, fmt.Errorf("%w: the multicast is not encrypted", ErrOpen)
	}
	n, err := decodeNonce(nonce)
	if err != nil {
		return "", PublicKey{}, err
	}
	sealed, err := decode(encoded)
	if err != nil {
		return "", PublicKey{}, err
	}
	plaintext, ok := secretbox.Open(nil, sealed, n, m.key())
	if !ok {
		return "", PublicKey{}, fmt.Errorf("%w: the multicast was not sealed with this mesh's root key, or was altered", ErrOpen)
	}
	return openSigned(meshID, target, nonce, plaintext)
}

// openSigned takes the plaintext of a multicast apart and verifies its signature.
func openSigned(meshID, target, nonce string, plaintext []byte) (string, PublicKey, error) {
	const head = ed25519.PublicKeySize + ed25519.SignatureSize
	if len(plaintext) < head || !utf8.Valid(plaintext[head:]) {
		return "", PublicKey{}, fmt.Errorf("%w: the multicast holds no key, signature and UTF-8 text", ErrOpen)
	}
	sender := PublicKey(plaintext[:ed25519.PublicKeySize])
	text := string(plaintext[head:])
	signed, err := multicastText(meshID, sender, nonce, target, text)
	if err != nil {
		return "", PublicKey{}, fmt.Errorf("%w: %w", ErrMulticastSignature, err)
	}
	if !sender.verify(signed, plaintext[ed25519.PublicKeySize:head]) {
		return "", PublicKey{}, ErrMulticastSignature
	}
	return text, sender, nil
}

func multicastText(meshID string, sender PublicKey, nonce, target, text string) (string, error) {
	sum := sha256.Sum256([]byte(text))
	return join(field{text: tagMulticast}, field{name: "mesh id", text: meshID}, field{text: sender.String()},
		field{text: nonce}, field{name: "target", text: target, free: true}, field{text: hex.EncodeToString(sum[:])})
}
