package bench

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strconv"

	"claudemesh/peer"
	"claudemesh/seal"
	"claudemesh/wire"
)

// A note is what a message of the bench says: who wrote it, the how many-th of
// its sender it is, and when it left. Its text is 32 hex digits, a stop, and
// filling up to the size that is asked for.
type note struct {
	sender, seq uint32
	at          int64 // nanoseconds since the run's epoch
}

// headSize is how long a note is without filling: a multiple of 3, so that its
// base64 ends where that of the filling begins.
const headSize = 33

func (n note) appendHead(dst []byte) []byte {
	var b [16]byte
	binary.BigEndian.PutUint32(b[0:], n.sender)
	binary.BigEndian.PutUint32(b[4:], n.seq)
	binary.BigEndian.PutUint64(b[8:], uint64(n.at))
	return append(hex.AppendEncode(dst, b[:]), '.')
}

// readHead reads what appendHead wrote.
func readHead(p []byte) (n note, ok bool) {
	var b [16]byte
	if len(p) < headSize || p[headSize-1] != '.' {
		return n, false
	}
	if _, err := hex.Decode(b[:], p[:headSize-1]); err != nil {
		return n, false
	}
	return note{binary.BigEndian.Uint32(b[0:]), binary.BigEndian.Uint32(b[4:]), int64(binary.BigEndian.Uint64(b[8:]))}, true
}

// filling returns what follows the head of a text of size bytes.
func filling(size int) []byte { return bytes.Repeat([]byte("x"), max(0, size-headSize)) }

// An envelope makes and reads the nonce and ciphertext of notes.
type envelope struct {
	fill    []byte // of the text
	fill64  []byte // the same in base64
	encrypt bool
	mesh    *peer.Mesh
	cast    *seal.Multicast // with encrypt
}

func newEnvelope(mesh *peer.Mesh, size int, encrypt bool) (*envelope, error) {
	e := &envelope{fill: filling(size), encrypt: encrypt, mesh: mesh}
	e.fill64 = base64.StdEncoding.AppendEncode(nil, e.fill)
	if !encrypt {
		return e, nil
	}
	var err error
	e.cast, err = seal.NewMulticast(mesh.RootKey)
	return e, err
}

// A target is where a sender's messages go.
type target struct {
	spec       string
	recipients int
	box        *seal.Box // of a single recipient, with encryption
}

// plainNonce stands where the broker wants a nonce and nobody reads one.
const plainNonce = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// appendSend appends the send frame of a note. Nothing in it needs escaping.
func (e *envelope) appendSend(dst []byte, from seal.PrivateKey, to *target, n note) ([]byte, error) {
	dst = append(dst, `{"type":"send","id":"`...)
	dst = strconv.AppendUint(dst, uint64(n.seq), 10)
	dst = append(dst, `","targetSpec":"`...)
	dst = append(dst, to.spec...)
	dst = append(dst, `","priority":"next","nonce":"`...)
	if !e.encrypt {
		var head [headSize]byte
		dst = append(dst, plainNonce+`","ciphertext":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, n.appendHead(head[:0]))
		dst = append(dst, e.fill64...)
		return append(dst, '"', '}'), nil
	}
	text := append(n.appendHead(make([]byte, 0, headSize+len(e.fill))), e.fill...)
	nonce, ciphertext, err := e.seal(from, to, text)
	if err != nil {
		return nil, err
	}
	dst = append(append(dst, nonce...), `","ciphertext":"`...)
	return append(append(dst, ciphertext...), '"', '}'), nil
}

func (e *envelope) seal(from seal.PrivateKey, to *target, text []byte) (nonce, ciphertext string, err error) {
	if to.box != nil {
		return to.box.Seal(text)
	}
	return e.cast.Seal(from, e.mesh.MeshID, to.spec, string(text))
}

// open reads the note of a push, and reports whether it is whole. box is of
// its sender and its recipient.
func (e *envelope) open(push []byte, box func(sender []byte) *seal.Box) (note, bool) {
	ciphertext := field(push, `"ciphertext"`)
	if !e.encrypt {
		const head64 = headSize / 3 * 4
		var head [headSize]byte
		if len(ciphertext) < head64 {
			return note{}, false
		}
		if _, err := base64.StdEncoding.Decode(head[:], ciphertext[:head64]); err != nil {
			return note{}, false
		}
		n, ok := readHead(head[:])
		return n, ok && bytes.Equal(ciphertext[head64:], e.fill64)
	}
	text, err := e.unseal(push, string(field(push, `"nonce"`)), string(ciphertext), box)
	if err != nil {
		return note{}, false
	}
	n, ok := readHead(text)
	return n, ok && bytes.Equal(text[headSize:], e.fill)
}

func (e *envelope) unseal(push []byte, nonce, ciphertext string, box func([]byte) *seal.Box) ([]byte, error) {
	if seal.IsMulticast(ciphertext) {
		text, _, err := e.cast.Open(e.mesh.MeshID, string(field(push, `"targetSpec"`)), nonce, ciphertext)
		return []byte(text), err
	}
	b := box(field(push, `"senderPubkey"`))
	if b == nil {
		return nil, seal.ErrKey
	}
	return b.Open(nonce, ciphertext)
}

// acknowledgement is a client_ack of delivered messages.
func acknowledgement(reqID string, ids []string) ([]byte, error) {
	return wire.Append(nil, reqID, wire.ClientAck{MessageIDs: ids, State: wire.StateDelivered})
}
