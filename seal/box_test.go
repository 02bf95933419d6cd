package seal

import (
	"bytes"
	"strings"
	"testing"
)

func newBox(t testing.TB, mine PrivateKey, theirs PublicKey) *Box {
	t.Helper()
	b, err := NewBox(mine, theirs)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBoxOpensAtTheOtherEndOnly(t *testing.T) {
	a, b, c := seeded(1), seeded(2), seeded(3)
	for _, plaintext := range []string{"", "hello", strings.Repeat("long ", 100_000)} {
		nonce, ciphertext, err := newBox(t, a, b.Public()).Seal([]byte(plaintext))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := newBox(t, b, a.Public()).Open(nonce, ciphertext); err != nil || string(got) != plaintext {
			t.Errorf("%d bytes do not arrive: %v", len(plaintext), err)
		}
		_, err = newBox(t, c, a.Public()).Open(nonce, ciphertext)
		wantIs(t, err, ErrOpen)
	}
}

func TestBoxNoncesAreFresh(t *testing.T) {
	box := newBox(t, seeded(1), seeded(2).Public())
	n1, c1, err1 := box.Seal([]byte("x"))
	n2, c2, err2 := box.Seal([]byte("x"))
	if err1 != nil || err2 != nil || n1 == n2 || c1 == c2 {
		t.Errorf("two messages share a nonce: %s %s %v %v", n1, n2, err1, err2)
	}
}

func TestBoxRefusesWhatIsNoBox(t *testing.T) {
	box := newBox(t, seeded(1), seeded(2).Public())
	nonce, ciphertext, err := box.Seal([]byte("hello mesh"))
	if err != nil {
		t.Fatal(err)
	}
	for name, fields := range map[string][2]string{
		"empty":              {"", ""},
		"no nonce":           {"", ciphertext},
		"no ciphertext":      {nonce, ""},
		"shorter than a tag": {nonce, encode(make([]byte, 15))},
		"a tag alone":        {nonce, encode(make([]byte, 16))},
		"nonce of 23":        {encode(make([]byte, 23)), ciphertext},
		"nonce of 25":        {encode(make([]byte, 25)), ciphertext},
		"other nonce":        {encode(make([]byte, 24)), ciphertext},
		"no padding":         {nonce, strings.TrimRight(ciphertext, "=")},
		"line end":           {nonce, ciphertext[:8] + "\n" + ciphertext[8:]},
		"base64url":          {nonce, strings.Repeat("_-", 16)},
		"plain text":         {nonce, encode([]byte("this is readable text, not a box"))},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := box.Open(fields[0], fields[1])
			wantIs(t, err, ErrOpen)
			if got != nil {
				t.Errorf("an error and yet %q", got)
			}
		})
	}
}

func TestEveryAlteredByteOfABoxIsNoticed(t *testing.T) {
	box := newBox(t, seeded(1), seeded(2).Public())
	nonce, ciphertext, err := box.Seal([]byte("hello mesh"))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := decode(ciphertext)
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		altered := bytes.Clone(sealed)
		altered[i] ^= 0x80
		_, err := box.Open(nonce, encode(altered))
		wantIs(t, err, ErrOpen)
	}
}

func TestSecretsAndSealedKeysOpenForTheirKeyOnly(t *testing.T) {
	key := NewSecretKey()
	nonce, sealed := SealSecret(key, []byte("file body"))
	if len(sealed) != len("file body")+SecretOverhead {
		t.Errorf("%d bytes sealed", len(sealed))
	}
	if got, err := OpenSecret(key, nonce, sealed); err != nil || string(got) != "file body" {
		t.Errorf("OpenSecret = %q, %v", got, err)
	}
	_, err := OpenSecret(NewSecretKey(), nonce, sealed)
	wantIs(t, err, ErrOpen)
	_, err = OpenSecret(key, nonce, nil)
	wantIs(t, err, ErrOpen)

	wrapped, err := SealAnonymous(seeded(2).Public(), key[:])
	if err != nil || len(wrapped) != 80 {
		t.Fatalf("a sealed key has %d bytes, want 80: %v", len(wrapped), err)
	}
	if got, err := OpenAnonymous(seeded(2), wrapped); err != nil || !bytes.Equal(got, key[:]) {
		t.Errorf("OpenAnonymous: %v", err)
	}
	_, err = OpenAnonymous(seeded(1), wrapped)
	wantIs(t, err, ErrOpen)
	_, err = OpenAnonymous(seeded(2), wrapped[:47])
	wantIs(t, err, ErrOpen)
}

func FuzzBoxOpen(f *testing.F) {
	for _, e := range readVectors(f).Box {
		f.Add(e.Nonce, e.Ciphertext)
	}
	f.Add("", "")
	f.Add("AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", "Y47lAy8pOoiBEyt5eCDYeasdsc4zQcGHs88=")
	keys := readVectors(f)
	box := newBox(f, keys.key(f, 1), keys.key(f, 0).Public())
	f.Fuzz(func(t *testing.T, nonce, ciphertext string) {
		plaintext, err := box.Open(nonce, ciphertext)
		if err != nil {
			wantIs(t, err, ErrOpen)
			return
		}
		n, err := decodeNonce(nonce)
		if err != nil {
			t.Fatal(err)
		}
		if encode(box.seal(plaintext, n)) != ciphertext {
			t.Error("two ciphertexts open to one text under one nonce")
		}
	})
}

func BenchmarkBoxSealPrecomputed(b *testing.B) {
	box, plaintext := newBox(b, seeded(1), seeded(2).Public()), make([]byte, 500)
	for b.Loop() {
		if _, _, err := box.Seal(plaintext); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBoxSealCold(b *testing.B) {
	mine, theirs, plaintext := seeded(1), seeded(2).Public(), make([]byte, 500)
	for b.Loop() {
		if _, _, err := newBox(b, mine, theirs).Seal(plaintext); err != nil {
			b.Fatal(err)
		}
	}
}
