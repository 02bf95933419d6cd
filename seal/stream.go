package seal

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/chacha20poly1305"
)

// The form of a stream: see NewStreamWriter.
const (
	streamMagic = "cmstrm1\n"
	streamSalt  = 16
	streamChunk = 64 << 10
	streamHead  = len(streamMagic) + streamSalt
	streamTag   = chacha20poly1305.Overhead
)

// StreamSize returns how many bytes the stream of n bytes has.
func StreamSize(n int64) int64 {
	chunks := max(1, (n+streamChunk-1)/streamChunk)
	return int64(streamHead) + n + chunks*int64(streamTag)
}

// IsStream reports whether the first bytes of a file, at least 8, are those of a stream. The nonce that begins a file of
// the older form, a single box, looks so once in 2⁶⁴ files.
func IsStream(head []byte) bool { return bytes.HasPrefix(head, []byte(streamMagic)) }

// A StreamWriter encrypts what is written to it, in constant memory.
type StreamWriter struct {
	to    io.Writer
	aead  cipher.AEAD
	nonce streamNonce
	buf   []byte // plaintext of the chunk that is being filled
	out   []byte
	err   error
}

// NewStreamWriter begins a stream to w under the file's key. Whoever writes calls Close at the end: a stream without
// its last chunk does not open. It is the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár over
// ChaCha20-Poly1305, as age lays out its payload:
//
//	stream  "cmstrm1\n" (8 bytes) ‖ salt (16 random bytes) ‖ chunk …
//	key     HKDF-SHA-256(the file's key, salt, info "file-stream-v1", 32 bytes)
//	chunk   ChaCha20-Poly1305 of 64 KiB, of the last chunk 1 byte to 64 KiB, without associated data: ciphertext ‖ tag (16 bytes)
//	nonce   number of the chunk from 0, big-endian (11 bytes) ‖ 1 for the last chunk, else 0 (1 byte)
//
// The last chunk is empty only if the file is. So nothing can be cut off, added, left out, repeated or moved.
func NewStreamWriter(w io.Writer, key *[32]byte) (*StreamWriter, error) {
	var salt [streamSalt]byte
	rand.Read(salt[:]) // never fails: crypto/rand ends the program instead
	return newStreamWriter(w, key, salt)
}

func newStreamWriter(w io.Writer, key *[32]byte, salt [streamSalt]byte) (*StreamWriter, error) {
	aead, err := streamCipher(key, salt[:])
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(append([]byte(streamMagic), salt[:]...)); err != nil {
		return nil, err
	}
	return &StreamWriter{to: w, aead: aead, buf: make([]byte, 0, streamChunk), out: make([]byte, 0, streamChunk+streamTag)}, nil
}

func streamCipher(key *[32]byte, salt []byte) (cipher.AEAD, error) {
	derived, err := hkdf.Key(sha256.New, key[:], salt, "file-stream-v1", chacha20poly1305.KeySize)
	if err != nil {
		return nil, fmt.Errorf("derive the key of a stream: %w", err)
	}
	return chacha20poly1305.New(derived)
}

// Write implements io.Writer.
func (s *StreamWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 && s.err == nil {
		if len(s.buf) == streamChunk {
			s.flush(false)
			continue
		}
		k := min(len(p), streamChunk-len(s.buf))
		s.buf = append(s.buf, p[:k]...)
		p, n = p[k:], n+k
	}
	return n, s.err
}

// Close writes the last chunk. It does not close what the stream is written to.
func (s *StreamWriter) Close() error {
	if errors.Is(s.err, errStreamClosed) {
		return nil
	}
	if s.err == nil {
		s.flush(true)
	}
	if s.err != nil {
		return s.err
	}
	s.err = errStreamClosed
	return nil
}

var errStreamClosed = errors.New("the stream is closed")

// flush writes the chunk in buf, which more follow unless it is the last.
func (s *StreamWriter) flush(last bool) {
	s.out = s.aead.Seal(s.out[:0], s.nonce.of(last), s.buf, nil)
	s.buf = s.buf[:0]
	if _, err := s.to.Write(s.out); err != nil {
		s.err = err
		return
	}
	s.err = s.nonce.next()
}

// A StreamReader decrypts a stream, in constant memory. What it has returned is authentic, but the stream is whole
// only when it has returned io.EOF.
type StreamReader struct {
	from  io.Reader
	aead  cipher.AEAD
	nonce streamNonce
	in    []byte // a chunk as it was read, and one byte that tells whether another follows
	ahead int    // bytes of in that were read already
	plain []byte // room for a chunk
	out   []byte // what of it is not returned yet
	err   error
}

// NewStreamReader begins to read the stream in r that NewStreamWriter made under the same key. Errors, its own and
// those of Read, wrap ErrOpen where the bytes are not such a stream, or not all of it.
func NewStreamReader(r io.Reader, key *[32]byte) (*StreamReader, error) {
	head := make([]byte, streamHead)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, cutOff(err)
	}
	if !IsStream(head) {
		return nil, fmt.Errorf("%w: it is no encrypted file of this program", ErrOpen)
	}
	aead, err := streamCipher(key, head[len(streamMagic):])
	if err != nil {
		return nil, err
	}
	return &StreamReader{from: r, aead: aead, in: make([]byte, streamChunk+streamTag+1), plain: make([]byte, 0, streamChunk)}, nil
}

// Read implements io.Reader.
func (s *StreamReader) Read(p []byte) (int, error) {
	for len(s.out) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		if len(p) == 0 {
			return 0, nil
		}
		s.out, s.err = s.chunk()
	}
	n := copy(p, s.out)
	s.out = s.out[n:]
	return n, nil
}

// chunk decrypts the next chunk, and returns io.EOF with the last.
func (s *StreamReader) chunk() ([]byte, error) {
	n, err := io.ReadFull(s.from, s.in[s.ahead:])
	n += s.ahead
	last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	if err != nil && !last {
		return nil, err
	}
	sealed := s.in[:min(n, streamChunk+streamTag)]
	first := s.nonce == streamNonce{}
	plain, err := s.aead.Open(s.plain[:0], s.nonce.of(last), sealed, nil)
	switch {
	case err != nil && last:
		return nil, fmt.Errorf("%w: the file is cut off, was altered, or is sealed under another key", ErrOpen)
	case err != nil:
		return nil, fmt.Errorf("%w: the file was altered, or is sealed under another key", ErrOpen)
	case last && len(plain) == 0 && !first:
		return nil, fmt.Errorf("%w: the file ends with an empty part", ErrOpen)
	case last:
		return plain, io.EOF
	}
	s.in[0], s.ahead = s.in[n-1], 1
	return plain, s.nonce.next()
}

// cutOff makes an error of a stream that ends in its head.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: the file is cut off at its beginning", ErrOpen)
	}
	return err
}

// A streamNonce counts chunks. Its last byte is the mark of the last one.
type streamNonce [chacha20poly1305.NonceSize]byte

func (n *streamNonce) of(last bool) []byte {
	out := *n
	if last {
		out[len(out)-1] = 1
	}
	return out[:]
}

func (n *streamNonce) next() error {
	for i := len(n) - 2; i >= 0; i-- {
		if n[i]++; n[i] != 0 {
			return nil
		}
	}
	return errors.New("the stream has too many chunks")
}
