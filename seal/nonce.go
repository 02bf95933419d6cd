package seal

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
)

// Nonce makes one box differ from every other of the same keys. Two different messages must never share one.
type Nonce [NonceSize]byte

// NewNonce returns a random nonce: right for every message that is sealed once.
func NewNonce() (n Nonce) {
	rand.Read(n[:]) // never fails: crypto/rand ends the program instead
	return n
}

// RepeatableNonce returns the nonce of a message that its sender may seal again later, in another process, with the
// same bytes as the result: it is HMAC-SHA-256 under the sender's secret over all that the message consists of, which
// the caller must give in full, the text above all, and an id that the sender chose. Messages that differ in
// anything have different nonces, which nobody else can foresee.
func RepeatableNonce(sender PrivateKey, parts ...string) (n Nonce) {
	mac := hmac.New(sha256.New, sender.pair()[:])
	mac.Write([]byte("repeatable nonce v1"))
	for _, p := range parts {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(p)))
		mac.Write(length[:])
		mac.Write([]byte(p))
	}
	copy(n[:], mac.Sum(nil))
	return n
}
