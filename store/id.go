package store

import (
	"crypto/rand"
	"math/bits"
	"strings"
)

// digits are those of ids: base62, in the order of ASCII.
const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

const (
	idLen   = 32              // characters of an id
	seqLen  = 8               // of them, those that hide the seq of a message
	seqSpan = 218340105584896 // 62^8
	// seqFactor spreads consecutive seqs over the span: the span divided by
	// the golden ratio, made coprime to 62.
	seqFactor  = 134941606358707
	seqInverse = 216302537455227 // seqFactor · seqInverse = 1 modulo the span
)

// NewID returns 32 random characters of [0-9A-Za-z]: 190 bits.
func NewID() string { return string(appendDigits(make([]byte, 0, idLen), idLen)) }

// appendDigits appends n random digits.
func appendDigits(b []byte, n int) []byte {
	var raw [48]byte
	for n > 0 {
		rand.Read(raw[:])
		for _, r := range raw {
			// The low six bits are kept if they name a digit: no digit is likelier than another.
			if r &= 63; int(r) < len(digits) && n > 0 {
				b = append(b, digits[r])
				n--
			}
		}
	}
	return b
}

// messageID returns an id for the message seq. Its first 8 characters are
// seq·seqFactor modulo 62^8 in base62, so that they look random, differ from
// those of any other message, and lead back to the seq without an index.
func messageID(seq int64) string {
	b := make([]byte, seqLen, idLen)
	v := mulmod(uint64(seq)%seqSpan, seqFactor)
	for i := range b {
		b[seqLen-1-i] = digits[v%62]
		v /= 62
	}
	return string(appendDigits(b, idLen-seqLen))
}

// MessageSeq returns the seq that a message must have whose id begins with s,
// 8 to 32 characters of [0-9A-Za-z]. Whether there is such a message, and the
// rest of its id is that of s, only [Rx.Message] can tell.
func MessageSeq(s string) (seq int64, ok bool) {
	if len(s) < seqLen || len(s) > idLen {
		return 0, false
	}
	var v uint64
	for i := range len(s) {
		d := strings.IndexByte(digits, s[i])
		if d < 0 {
			return 0, false
		}
		if i < seqLen {
			v = v*62 + uint64(d)
		}
	}
	return int64(mulmod(v, seqInverse)), true
}

// mulmod is a·b modulo seqSpan, for a and b below it.
func mulmod(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	_, rem := bits.Div64(hi, lo, seqSpan)
	return rem
}
