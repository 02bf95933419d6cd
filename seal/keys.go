package seal

import (
	"crypto/ed25519"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"

	"filippo.io/edwards25519"
)

// ErrKey reports bytes or digits that are no key, or no key that is safe for what was asked.
var ErrKey = errors.New("not a usable key")

// PublicKey is an Ed25519 public key: a member's, a session's or a mesh owner's. It is a value, comparable and fit
// as a map key. The zero value is no valid key.
type PublicKey [ed25519.PublicKeySize]byte

// ParsePublicKey reads 64 hex digits of either case, so that keys that differ only in case are one key afterwards.
// It checks the shape only: an address need not be a point on the curve to be routed. Verify, NewBox and
// SealAnonymous check the point, and Check does when a key is to be stored. The error wraps ErrKey.
func ParsePublicKey(s string) (PublicKey, error) {
	var k PublicKey
	if len(s) != hex.EncodedLen(len(k)) {
		return PublicKey{}, fmt.Errorf("%w: a public key has 64 hex digits, this has %d characters", ErrKey, len(s))
	}
	if _, err := hex.Decode(k[:], []byte(s)); err != nil {
		return PublicKey{}, fmt.Errorf("%w: a public key has hex digits only", ErrKey)
	}
	return k, nil
}

// String returns the key as 64 lower-case hex digits, the form in which keys travel and are stored.
func (k PublicKey) String() string { return hex.EncodeToString(k[:]) }

// IsZero reports whether k is the zero value, which stands for "no key".
func (k PublicKey) IsZero() bool { return k == PublicKey{} }

// MarshalText returns the key as String does.
func (k PublicKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what ParsePublicKey reads.
func (k *PublicKey) UnmarshalText(text []byte) error {
	parsed, err := ParsePublicKey(string(text))
	if err != nil {
		return err
	}
	*k = parsed
	return nil
}

// Check reports whether k can sign and be sealed to: the canonical encoding of a point of the prime-order subgroup,
// other than its identity. This is what libsodium demands in crypto_sign_ed25519_pk_to_curve25519, and canonical
// encoding besides. The error wraps ErrKey.
func (k PublicKey) Check() error {
	_, err := k.x25519()
	return err
}

// point decodes k and refuses what signatures must not be verified under: a low-order key, for which anyone can
// make signatures of every text, and the second spelling of a key that would escape comparison.
func (k PublicKey) point() (*edwards25519.Point, error) {
	p, err := new(edwards25519.Point).SetBytes(k[:])
	if err != nil {
		return nil, fmt.Errorf("%w: %s is not a point on the curve", ErrKey, k)
	}
	if PublicKey(p.Bytes()) != k {
		return nil, fmt.Errorf("%w: %s is not the canonical form of its point", ErrKey, k)
	}
	if new(edwards25519.Point).MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return nil, fmt.Errorf("%w: %s has low order", ErrKey, k)
	}
	return p, nil
}

// x25519 converts k by the birational map u = (1+y)/(1-y).
func (k PublicKey) x25519() (*[32]byte, error) {
	p, err := k.point()
	if err != nil {
		return nil, err
	}
	if !inPrimeSubgroup(p) {
		return nil, fmt.Errorf("%w: %s is outside the prime-order subgroup", ErrKey, k)
	}
	u := [32]byte(p.BytesMontgomery())
	return &u, nil
}

// inPrimeSubgroup reports whether l·p is the identity, l being the order of the subgroup. Scalars are reduced
// modulo l, so it computes (l-1)·p + p.
func inPrimeSubgroup(p *edwards25519.Point) bool {
	one := [32]byte{1}
	minusOne, err := edwards25519.NewScalar().SetCanonicalBytes(one[:])
	if err != nil {
		panic(err) // 1 is a canonical scalar
	}
	minusOne.Negate(minusOne)
	q := new(edwards25519.Point).VarTimeDoubleScalarBaseMult(minusOne, p, edwards25519.NewScalar())
	return q.Add(q, p).Equal(edwards25519.NewIdentityPoint()) == 1
}

// Verify reports whether sigHex, 128 hex digits of either case, is the signature of exactly the bytes of text by k.
// Build text from the fields as they were sent, the key in the case in which it was sent. Verify is false for keys
// that are no point or have low order, and never panics.
func (k PublicKey) Verify(text, sigHex string) bool {
	var sig [ed25519.SignatureSize]byte
	if len(sigHex) != hex.EncodedLen(len(sig)) {
		return false
	}
	if _, err := hex.Decode(sig[:], []byte(sigHex)); err != nil {
		return false
	}
	return k.verify(text, sig[:])
}

func (k PublicKey) verify(text string, sig []byte) bool {
	if _, err := k.point(); err != nil {
		return false
	}
	return ed25519.Verify(k[:], []byte(text), sig)
}

// hidden keeps a secret where fmt cannot reach it. A method is not enough, for fmt calls none on unexported fields,
// nor a pointer, which fmt follows when the verb does not fit (%s); it never calls a function.
type hidden[T any] func() *T

func hide[T any](secret *T) hidden[T] { return func() *T { return secret } }

// PrivateKey is an Ed25519 key pair. However it, or a value that holds it, is printed or logged, the secret is not
// shown; only Hex shows it. The zero value holds no key: IsZero reports it, NewBox and OpenAnonymous
// refuse it, and every other use of it panics.
type PrivateKey struct {
	pair hidden[[ed25519.PrivateKeySize]byte] // seed ‖ public key, as libsodium lays it out
}

// Generate makes a new key pair from the system's random source.
func Generate() (PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("generate a key: %w", err)
	}
	return fromSeed(key.Seed()), nil
}

func fromSeed(seed []byte) PrivateKey {
	pair := [ed25519.PrivateKeySize]byte(ed25519.NewKeyFromSeed(seed))
	return PrivateKey{hide(&pair)}
}

// ParsePrivateKey reads 128 hex digits, seed ‖ public key as libsodium lays it out, and refuses a public half that
// does not belong to the seed: signing with such a pair gives the secret away. The error wraps ErrKey and shows
// nothing of the input.
func ParsePrivateKey(s string) (PrivateKey, error) {
	var pair [ed25519.PrivateKeySize]byte
	if len(s) != hex.EncodedLen(len(pair)) {
		return PrivateKey{}, fmt.Errorf("%w: a secret key has 128 hex digits, this has %d characters", ErrKey, len(s))
	}
	if _, err := hex.Decode(pair[:], []byte(s)); err != nil {
		return PrivateKey{}, fmt.Errorf("%w: a secret key has hex digits only", ErrKey)
	}
	key := fromSeed(pair[:ed25519.SeedSize])
	if subtle.ConstantTimeCompare(key.pair()[:], pair[:]) != 1 {
		return PrivateKey{}, fmt.Errorf("%w: the public half of the secret key does not belong to its seed", ErrKey)
	}
	return key, nil
}

// IsZero reports whether k holds no key.
func (k PrivateKey) IsZero() bool { return k.pair == nil }

// Public returns the public half.
func (k PrivateKey) Public() PublicKey { return PublicKey(k.pair()[ed25519.SeedSize:]) }

// Hex returns the secret as ParsePrivateKey reads it, in lower case, for a file of mode 0600 and for nothing else.
func (k PrivateKey) Hex() string { return hex.EncodeToString(k.pair()[:]) }

// Sign returns the detached signature of the bytes of text as 128 lower-case hex digits.
func (k PrivateKey) Sign(text string) string { return hex.EncodeToString(k.sign(text)) }

func (k PrivateKey) sign(text string) []byte { return ed25519.Sign(k.pair()[:], []byte(text)) }

// x25519 converts k: SHA-512 of the seed, its first half, clamped (crypto_sign_ed25519_sk_to_curve25519).
func (k PrivateKey) x25519() *[32]byte {
	digest := sha512.Sum512(k.pair()[:ed25519.SeedSize])
	secret := [32]byte(digest[:32])
	secret[0] &= 248
	secret[31] = secret[31]&127 | 64
	return &secret
}

// String names the pair by its public half and never shows the secret.
func (k PrivateKey) String() string {
	if k.IsZero() {
		return "private key (none)"
	}
	return "private key of " + k.Public().String()
}

// GoString is String, for %#v.
func (k PrivateKey) GoString() string { return k.String() }

// LogValue is String, for log/slog.
func (k PrivateKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText always fails, so that a key reaches no file or log by being part of something that is encoded.
// Whoever stores a key writes Hex on purpose.
func (k PrivateKey) MarshalText() ([]byte, error) {
	return nil, errors.New("a private key is not encoded implicitly; store its Hex in a file of mode 0600")
}
