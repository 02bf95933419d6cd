package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

func streamKey() *[32]byte {
	key := sha256.Sum256([]byte("a file's key"))
	return &key
}

// pattern is n bytes that differ from one chunk to the next.
func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i ^ i>>8 ^ i>>16*7)
	}
	return p
}

func sealStream(t testing.TB, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := newStreamWriter(&out, streamKey(), [streamSalt]byte{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	for rest := plain; len(rest) > 0; { // in odd portions
		n := min(len(rest), 10_007)
		if _, err := w.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte{1}); err == nil {
		t.Fatal("a closed stream takes more")
	}
	return out.Bytes()
}

func openStream(sealed io.Reader, key *[32]byte) ([]byte, error) {
	r, err := NewStreamReader(sealed, key)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func TestAStreamOpensAsWhatItWas(t *testing.T) {
	for _, n := range []int{0, 1, streamChunk - 1, streamChunk, streamChunk + 1, 2*streamChunk - 1, 2 * streamChunk, 3*streamChunk + 5} {
		plain := pattern(n)
		sealed := sealStream(t, plain)
		if int64(len(sealed)) != StreamSize(int64(n)) || !IsStream(sealed) {
			t.Errorf("%d bytes became %d, want %d", n, len(sealed), StreamSize(int64(n)))
		}
		for name, r := range map[string]io.Reader{
			"whole": bytes.NewReader(sealed), "in halves": iotest.HalfReader(bytes.NewReader(sealed)), "with its end": iotest.DataErrReader(bytes.NewReader(sealed)),
		} {
			if got, err := openStream(r, streamKey()); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%d bytes %s: %d came back, %v", n, name, len(got), err)
			}
		}
	}
}

// The digests are of streams that an independent program made of the form that NewStreamWriter states.
func TestTheFormOfAStreamStays(t *testing.T) {
	for _, v := range []struct {
		n    int
		want string
	}{
		{0, "1c9f6ce83df6330fe28d016ffb41d354309d53f6b4354fd6cd0a7c43c0cf324f"},
		{1, "4da8fb17ce129f25d96ee9d169f35258550381bd0d2499fe5c6e49806c038194"},
		{65536, "6a78a2f0446d4dc0d2355a62e22337f20c874b722999d2f89c5259c803ef732c"},
		{131073, "8ced2804b6b6638fc8ab9c6e887d6293ac2c84ea190c8e1276f9a4423e867d70"},
	} {
		sum := sha256.Sum256(sealStream(t, pattern(v.n)))
		if got := hex.EncodeToString(sum[:]); got != v.want {
			t.Errorf("%d bytes: %s, want %s", v.n, got, v.want)
		}
	}
}

func TestAnAlteredStreamDoesNotOpen(t *testing.T) {
	const full = streamChunk + streamTag
	plain := pattern(3*streamChunk + 100)
	sealed := sealStream(t, plain)
	chunk := func(i int) []byte { return sealed[streamHead+i*full : min(streamHead+(i+1)*full, len(sealed))] }
	build := func(parts ...[]byte) []byte { return bytes.Join(append([][]byte{sealed[:streamHead]}, parts...), nil) }
	flip := func(at int) []byte {
		out := bytes.Clone(sealed)
		out[at] ^= 1
		return out
	}
	empty := sealStream(t, nil)
	for name, bad := range map[string][]byte{
		"nothing":                      nil,
		"cut in its head":              sealed[:streamHead-1],
		"head alone":                   sealed[:streamHead],
		"cut in a chunk":               sealed[:len(sealed)-1],
		"cut after a chunk":            build(chunk(0), chunk(1)),
		"cut before the last":          build(chunk(0), chunk(1), chunk(2)),
		"without its first":            build(chunk(1), chunk(2), chunk(3)),
		"reordered":                    build(chunk(1), chunk(0), chunk(2), chunk(3)),
		"a chunk left out":             build(chunk(0), chunk(2), chunk(3)),
		"a chunk twice":                build(chunk(0), chunk(0), chunk(1), chunk(2), chunk(3)),
		"the last alone":               build(chunk(3)),
		"the last twice":               build(chunk(0), chunk(1), chunk(2), chunk(3), chunk(3)),
		"something after it":           append(bytes.Clone(sealed), 0),
		"an empty last chunk after it": build(chunk(0), chunk(1), chunk(2), empty[streamHead:]),
		"another magic":                flip(0),
		"another salt":                 flip(len(streamMagic)),
		"a bit of the first chunk":     flip(streamHead),
		"a bit of a tag":               flip(streamHead + full - 1),
		"a bit of the last chunk":      flip(len(sealed) - streamTag - 1),
		"a bit of the last tag":        flip(len(sealed) - 1),
	} {
		got, err := openStream(bytes.NewReader(bad), streamKey())
		if !errors.Is(err, ErrOpen) {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.HasPrefix(plain, got) {
			t.Errorf("%s: what was read before the error is not the file's", name)
		}
	}
	if _, err := openStream(bytes.NewReader(sealed), NewSecretKey()); !errors.Is(err, ErrOpen) {
		t.Errorf("under another key: %v", err)
	}
	broken := errors.New("the disk is gone")
	if _, err := openStream(io.MultiReader(bytes.NewReader(sealed[:full]), iotest.ErrReader(broken)), streamKey()); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: %v", err)
	}
}

func FuzzStreamReader(f *testing.F) {
	good := sealStream(f, pattern(100))
	f.Add(good)
	f.Add(good[:40])
	f.Add([]byte(streamMagic))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		got, err := openStream(bytes.NewReader(sealed), streamKey())
		if err == nil && !bytes.Equal(sealed, good) {
			t.Errorf("%d bytes opened as %d", len(sealed), len(got))
		}
	})
}

func BenchmarkStream(b *testing.B) {
	plain := pattern(1 << 20)
	b.SetBytes(int64(len(plain)))
	for b.Loop() {
		w, err := NewStreamWriter(io.Discard, streamKey())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := w.Write(plain); err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
