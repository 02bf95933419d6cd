package seal

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/nacl/secretbox"
)

const testRootKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

func newMulticast(t testing.TB, rootKey string) *Multicast {
	t.Helper()
	m, err := NewMulticast(rootKey)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// sealRaw encrypts any plaintext as a holder of the root key can.
func sealRaw(m *Multicast, nonce string, plaintext []byte) string {
	n, err := decodeNonce(nonce)
	if err != nil {
		panic(err)
	}
	return multicastPrefix + encode(secretbox.Seal(nil, plaintext, n, m.key()))
}

// openRaw decrypts without verifying, as a holder of the root key can.
func openRaw(t testing.TB, m *Multicast, nonce, ciphertext string) []byte {
	t.Helper()
	n, err := decodeNonce(nonce)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := decode(strings.TrimPrefix(ciphertext, multicastPrefix))
	if err != nil {
		t.Fatal(err)
	}
	plaintext, ok := secretbox.Open(nil, sealed, n, m.key())
	if !ok {
		t.Fatal("does not open")
	}
	return plaintext
}

func TestMulticastKeyIsHKDF(t *testing.T) {
	root, err := decodeRootKey(testRootKey)
	if err != nil {
		t.Fatal(err)
	}
	// RFC 5869 with a salt of zeros and one block of output.
	extract := hmac.New(sha256.New, make([]byte, 32))
	extract.Write(root)
	expand := hmac.New(sha256.New, extract.Sum(nil))
	expand.Write([]byte("multicast-v1\x01"))
	if [32]byte(expand.Sum(nil)) != *newMulticast(t, testRootKey).key() {
		t.Error("the key is not HKDF-SHA-256 of the root key")
	}
}

func TestMulticastNamesItsSender(t *testing.T) {
	m := newMulticast(t, testRootKey)
	for _, tt := range []struct{ target, text string }{
		{"*", "hello all"}, {"@a/b", ""}, {"#room", "ünïcödé | ✓"}, {"@odd|name", strings.Repeat("x", 100_000)},
	} {
		nonce, ciphertext, err := m.Seal(seeded(1), "mesh01", tt.target, tt.text)
		if err != nil {
			t.Fatal(err)
		}
		if !IsMulticast(ciphertext) {
			t.Error("the ciphertext is not marked")
		}
		text, sender, err := newMulticast(t, testRootKey).Open("mesh01", tt.target, nonce, ciphertext)
		if err != nil || text != tt.text || sender != seeded(1).Public() {
			t.Errorf("%s: %q from %s, %v", tt.target, text, sender, err)
		}
	}
}

func TestMulticastHoldsForItsMeshTargetAndNonceOnly(t *testing.T) {
	m := newMulticast(t, testRootKey)
	nonce, ciphertext, err := m.Seal(seeded(1), "mesh01", "@ops", "deploy")
	if err != nil {
		t.Fatal(err)
	}
	signed := openRaw(t, m, nonce, ciphertext)
	otherNonce := encode(make([]byte, NonceSize))
	otherSender := append(publicBytes(seeded(2)), signed[32:]...)
	otherText := append(signed[:96:96], "destroy"...)
	tampered := []byte(ciphertext)
	tampered[10] ^= 1
	for _, tt := range []struct {
		name, mesh, target, nonce, ciphertext string
		want                                  error
	}{
		{"as it was sent", "mesh01", "@ops", nonce, ciphertext, nil},
		{"another target", "mesh01", "*", nonce, ciphertext, ErrMulticastSignature},
		{"a mesh that cannot be signed for", "mesh|01", "@ops", nonce, ciphertext, ErrMulticastSignature},
		{"another mesh", "mesh02", "@ops", nonce, ciphertext, ErrMulticastSignature},
		{"sealed again under another nonce", "mesh01", "@ops", otherNonce, sealRaw(m, otherNonce, signed), ErrMulticastSignature},
		{"another sender's name", "mesh01", "@ops", nonce, sealRaw(m, nonce, otherSender), ErrMulticastSignature},
		{"other words", "mesh01", "@ops", nonce, sealRaw(m, nonce, otherText), ErrMulticastSignature},
		{"no signature", "mesh01", "@ops", nonce, sealRaw(m, nonce, []byte("deploy")), ErrOpen},
		{"not UTF-8", "mesh01", "@ops", nonce, sealRaw(m, nonce, append(signed[:96:96], 0xff)), ErrOpen},
		{"altered", "mesh01", "@ops", nonce, string(tampered), ErrOpen},
		{"nonce of another", "mesh01", "@ops", otherNonce, ciphertext, ErrOpen},
		{"short nonce", "mesh01", "@ops", "AAAA", ciphertext, ErrOpen},
		{"not base64", "mesh01", "@ops", nonce, "v1:*", ErrOpen},
		{"not marked", "mesh01", "@ops", nonce, ciphertext[3:], ErrOpen},
		{"another version", "mesh01", "@ops", nonce, "v2:" + ciphertext[3:], ErrOpen},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, sender, err := m.Open(tt.mesh, tt.target, tt.nonce, tt.ciphertext)
			wantIs(t, err, tt.want)
			if tt.want != nil && (text != "" || !sender.IsZero()) {
				t.Errorf("an error and yet %q from %s", text, sender)
			}
		})
	}
	_, _, err = newMulticast(t, NewRootKey()).Open("mesh01", "@ops", nonce, ciphertext)
	wantIs(t, err, ErrOpen)
}

func TestMulticastIsNotSealedWithoutKeyOrForAnAmbiguousMesh(t *testing.T) {
	m := newMulticast(t, testRootKey)
	_, _, err := m.Seal(PrivateKey{}, "mesh01", "*", "x")
	wantIs(t, err, ErrKey)
	if _, _, err := m.Seal(seeded(1), "a|b", "*", "x"); err == nil {
		t.Error("a mesh id with '|' was signed")
	}
	if _, _, err := m.Seal(seeded(1), "mesh01", "*", "\xff"); err == nil {
		t.Error("text that is not UTF-8 was sealed")
	}
}

func TestRootKeysAreThirtyTwoBytes(t *testing.T) {
	for _, s := range []string{"", "AAAA", testRootKey + "=", testRootKey + "AA", testRootKey[:42] + "9", testRootKey[:42], "\n" + testRootKey,
		strings.Repeat("+", 43)} {
		_, err := NewMulticast(s)
		wantIs(t, err, ErrKey)
	}
	if a, b := NewRootKey(), NewRootKey(); a == b || len(a) != 43 {
		t.Errorf("new root keys are %d and %d digits", len(a), len(b))
	}
}

func TestPlainEnvelopeIsReadableBase64(t *testing.T) {
	nonce, ciphertext := PlainEnvelope(NewNonce(), "hello ✓")
	if _, err := decodeNonce(nonce); err != nil {
		t.Errorf("the nonce does not look like one: %v", err)
	}
	if ciphertext != "aGVsbG8g4pyT" || IsMulticast(ciphertext) {
		t.Errorf("the text travels as %q", ciphertext)
	}
	if text, err := OpenPlainEnvelope(ciphertext); err != nil || text != "hello ✓" {
		t.Errorf("OpenPlainEnvelope = %q, %v", text, err)
	}
	for _, s := range []string{"*", "aGVsbG8", "/w==", "v1:AAAA"} {
		_, err := OpenPlainEnvelope(s)
		wantIs(t, err, ErrOpen)
	}
}

// FuzzMulticastOpen plays a member: it holds the root key, and must still not speak as another.
func FuzzMulticastOpen(f *testing.F) {
	m := newMulticast(f, testRootKey)
	nonce, ciphertext, err := m.Seal(seeded(1), "mesh01", "*", "hello")
	if err != nil {
		f.Fatal(err)
	}
	signed := openRaw(f, m, nonce, ciphertext)
	f.Add("mesh01", "*", nonce, ciphertext, signed)
	f.Add("mesh01", "@a|b", nonce, "v1:", []byte{})
	f.Add("a|b", "", "", "", signed[:95])
	f.Fuzz(func(t *testing.T, meshID, target, otherNonce, otherCiphertext string, plaintext []byte) {
		_, _, err := m.Open(meshID, target, otherNonce, otherCiphertext)
		if err != nil && !errors.Is(err, ErrOpen) && !errors.Is(err, ErrMulticastSignature) {
			t.Errorf("an error of no kind: %v", err)
		}
		text, sender, err := m.Open(meshID, target, nonce, sealRaw(m, nonce, plaintext))
		if err == nil && sender == seeded(1).Public() && (meshID != "mesh01" || target != "*" || text != "hello") {
			t.Errorf("%q to %q in %q was never signed", text, target, meshID)
		}
	})
}
