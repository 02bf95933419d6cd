package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
	"time"
)

// vectors is testdata/vectors.json, made with libsodium.
type vectors struct {
	Keys []struct {
		Seed      string `json:"seed"`
		Public    string `json:"public_key"`
		Secret    string `json:"secret_key"`
		X25519Pub string `json:"x25519_public"`
		X25519Sec string `json:"x25519_secret"`
	} `json:"keys"`
	Hello []struct {
		MeshID    string `json:"meshId"`
		MemberID  string `json:"memberId"`
		Pubkey    string `json:"pubkey"`
		Timestamp int64  `json:"timestamp"`
		Canonical string `json:"canonical"`
		Signature string `json:"signature"`
		Valid     bool   `json:"valid"`
		Why       string `json:"why"`
	} `json:"hello"`
	Invites []struct {
		Payload        json.RawMessage `json:"payload"`
		Canonical      string          `json:"canonical"`
		Token          string          `json:"token"`
		SignatureValid bool            `json:"signature_valid"`
		Expired        bool            `json:"expired"`
	} `json:"invites"`
	Box []struct {
		Sender     int    `json:"sender"`
		Recipient  int    `json:"recipient"`
		Plaintext  string `json:"plaintext"`
		Nonce      string `json:"nonce"`
		Ciphertext string `json:"ciphertext"`
		Valid      bool   `json:"valid"`
		Why        string `json:"why"`
	} `json:"crypto_box"`
	Secretbox []struct {
		Key        []byte `json:"key"`
		Nonce      []byte `json:"nonce"`
		Plaintext  []byte `json:"plaintext_b64"`
		Ciphertext []byte `json:"ciphertext"`
	} `json:"crypto_secretbox"`
	BoxSeal []struct {
		Recipient  int    `json:"recipient"`
		Plaintext  []byte `json:"plaintext_b64"`
		Ciphertext []byte `json:"ciphertext"`
	} `json:"crypto_box_seal"`
}

func readVectors(t testing.TB) vectors {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	for list, n := range map[string]int{"keys": len(v.Keys), "hello": len(v.Hello), "invites": len(v.Invites),
		"crypto_box": len(v.Box), "crypto_secretbox": len(v.Secretbox), "crypto_box_seal": len(v.BoxSeal)} {
		if n < 2 {
			t.Fatalf("%s has %d entries; the file is not what the tests expect", list, n)
		}
	}
	return v
}

func (v vectors) key(t testing.TB, i int) PrivateKey {
	t.Helper()
	return mustPrivate(t, v.Keys[i].Secret)
}

func mustPrivate(t testing.TB, s string) PrivateKey {
	t.Helper()
	k, err := ParsePrivateKey(s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustPublic(t testing.TB, s string) PublicKey {
	t.Helper()
	k, err := ParsePublicKey(s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// seeded returns the key whose seed is 32 times b, as the protocol's examples use them.
func seeded(b byte) PrivateKey { return fromSeed(bytes.Repeat([]byte{b}, 32)) }

func TestVectorKeysConvert(t *testing.T) {
	for _, e := range readVectors(t).Keys {
		k := mustPrivate(t, e.Secret)
		seed, err := hex.DecodeString(e.Seed)
		if err != nil {
			t.Fatal(err)
		}
		if got := fromSeed(seed).Hex(); got != e.Secret {
			t.Errorf("seed %s: secret key %s, want %s", e.Seed, got, e.Secret)
		}
		if k.Hex() != e.Secret || k.Public().String() != e.Public {
			t.Errorf("%s: does not read back: %s, %s", e.Secret, k.Hex(), k.Public())
		}
		pub, err := k.Public().x25519()
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(pub[:]); got != e.X25519Pub {
			t.Errorf("x25519 public %s, want %s", got, e.X25519Pub)
		}
		if got := hex.EncodeToString(k.x25519()[:]); got != e.X25519Sec {
			t.Errorf("x25519 secret %s, want %s", got, e.X25519Sec)
		}
	}
}

func TestVectorHellos(t *testing.T) {
	v := readVectors(t)
	for i, e := range v.Hello {
		text, err := HelloText(e.MeshID, e.MemberID, e.Pubkey, e.Timestamp)
		if err != nil {
			t.Fatal(err)
		}
		if e.Canonical != "" && text != e.Canonical {
			t.Errorf("hello %d: text %q, want %q", i, text, e.Canonical)
		}
		if got := mustPublic(t, e.Pubkey).Verify(text, e.Signature); got != e.Valid {
			t.Errorf("hello %d (%s): Verify = %v, want %v", i, e.Why, got, e.Valid)
		}
		if !e.Valid {
			continue
		}
		for _, k := range v.Keys {
			if k.Public == e.Pubkey && mustPrivate(t, k.Secret).Sign(text) != e.Signature {
				t.Errorf("hello %d: Sign gives another signature", i)
			}
		}
	}
}

func TestVectorInvites(t *testing.T) {
	now := time.Unix(1_767_225_600, 0)
	for n, e := range readVectors(t).Invites {
		i, err := DecodeToken(e.Token)
		if err != nil {
			t.Fatalf("invite %d: %v", n, err)
		}
		var payload Invite
		if err := json.Unmarshal(e.Payload, &payload); err != nil {
			t.Fatalf("invite %d: %v", n, err)
		}
		if !i.Equal(payload) {
			t.Errorf("invite %d: the token does not encode the payload", n)
		}
		if i.Token() != e.Token {
			t.Errorf("invite %d: Token() = %s, want %s", n, i.Token(), e.Token)
		}
		if e.Canonical != "" && i.text() != e.Canonical {
			t.Errorf("invite %d: text %q, want %q", n, i.text(), e.Canonical)
		}
		if i.Expired(now) != e.Expired {
			t.Errorf("invite %d: Expired = %v, want %v", n, i.Expired(now), e.Expired)
		}
		wantIs(t, i.Verify(), map[bool]error{false: ErrInviteSignature}[e.SignatureValid])
		want := map[bool]error{true: ErrInviteExpired}[e.Expired]
		if want == nil && !e.SignatureValid {
			want = ErrInviteSignature
		}
		wantIs(t, i.Validate(now), want)
	}
}

func TestVectorBoxes(t *testing.T) {
	v := readVectors(t)
	for n, e := range v.Box {
		sender, recipient := v.key(t, e.Sender), v.key(t, e.Recipient)
		b, err := NewBox(recipient, sender.Public())
		if err != nil {
			t.Fatal(err)
		}
		plaintext, err := b.Open(e.Nonce, e.Ciphertext)
		if !e.Valid {
			wantIs(t, err, ErrOpen)
			continue
		}
		if err != nil || string(plaintext) != e.Plaintext {
			t.Errorf("box %d: Open = %q, %v; want %q", n, plaintext, err, e.Plaintext)
		}
		back, err := NewBox(sender, recipient.Public())
		if err != nil {
			t.Fatal(err)
		}
		nonce, err := decodeNonce(e.Nonce)
		if err != nil {
			t.Fatal(err)
		}
		if got := encode(back.seal([]byte(e.Plaintext), nonce)); got != e.Ciphertext {
			t.Errorf("box %d: seal gives another ciphertext", n)
		}
	}
}

func TestVectorSecretboxesAndSealedBoxes(t *testing.T) {
	v := readVectors(t)
	for n, e := range v.Secretbox {
		got, err := OpenSecret((*[32]byte)(e.Key), [NonceSize]byte(e.Nonce), e.Ciphertext)
		if err != nil || !bytes.Equal(got, e.Plaintext) {
			t.Errorf("secretbox %d: %q, %v; want %q", n, got, err, e.Plaintext)
		}
		e.Ciphertext[0] ^= 1
		_, err = OpenSecret((*[32]byte)(e.Key), [NonceSize]byte(e.Nonce), e.Ciphertext)
		wantIs(t, err, ErrOpen)
	}
	for n, e := range v.BoxSeal {
		got, err := OpenAnonymous(v.key(t, e.Recipient), e.Ciphertext)
		if err != nil || !bytes.Equal(got, e.Plaintext) {
			t.Errorf("sealed box %d: %x, %v; want %x", n, got, err, e.Plaintext)
		}
		_, err = OpenAnonymous(v.key(t, (e.Recipient+1)%len(v.Keys)), e.Ciphertext)
		wantIs(t, err, ErrOpen)
	}
}

// TestProtocolExamples holds the examples printed in the protocol, computed there with two libraries.
func TestProtocolExamples(t *testing.T) {
	a, b, o := seeded(1), seeded(2), seeded(3)
	const nonce = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
	for name, pair := range map[string][2]string{
		"A":        {a.Public().String(), "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"},
		"B":        {b.Public().String(), "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394"},
		"O":        {o.Public().String(), "ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1"},
		"A x25519": {hex.EncodeToString(a.x25519()[:]), "58e86efb75fa4e2c410f46e16de9f6acae1a1703528651b69bc176c088bef36e"},
		"B x25519": {hex.EncodeToString(b.x25519()[:]), "a83c626bc9c38c8c201878ebb1d5b0b50ac40e8986c78793db1d4ef369fca14e"},
		"A public x25519": {hexPoint(t, a.Public()),
			"1b1b58dd50ea14b60da17b790cd02754d970c9bab864ebb3c0f3016fe51d3f57"},
		"B public x25519": {hexPoint(t, b.Public()),
			"60346e7c911a5f6ba154129174cafe75b294ac3bbd5549632f48cec6266f8410"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %s, want %s", name, pair[0], pair[1])
		}
	}

	hello, err := HelloText("mesh01", "member01", a.Public().String(), 1700000000000)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := a.Sign(hello), "7f2a1a8800cac7ad83c5d768158cd3ab6251bd963946b9355a60c9d13b0e3a6c8871be0dbd4012e203a59b8e4b82ac97e2f8e884fba061dfbd7b9f5ee2518003"; got != want {
		t.Errorf("hello: %s, want %s", got, want)
	}

	box, err := NewBox(a, b.Public())
	if err != nil {
		t.Fatal(err)
	}
	n, err := decodeNonce(nonce)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := encode(box.seal([]byte("hello mesh"), n)), "Y47lAy8pOoiBEyt5eCDYeasdsc4zQcGHs88="; got != want {
		t.Errorf("direct message: %s, want %s", got, want)
	}

	var key [32]byte
	for i := range key {
		key[i] = byte(0x40 + i)
	}
	sealed, err := base64.StdEncoding.DecodeString("it1MUDoUjkkseGtqYKHxC5p+ji6kENP8HA==")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenSecret(&key, *n, sealed); err != nil || string(got) != "file body" {
		t.Errorf("secretbox: %q, %v", got, err)
	}
	sealed, err = base64.StdEncoding.DecodeString("5iUDAnMSBKCGn8bpv1pS7A2jASPyg8AorIMmasLhYH/gZX78Vx3928r2tBTR2J10/6c1yN7fuinGpmL8j6f3VxFWUhGSyOigUpIU82APY6k=")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenAnonymous(b, sealed); err != nil || !bytes.Equal(got, key[:]) {
		t.Errorf("sealed key: %x, %v", got, err)
	}
}

func hexPoint(t *testing.T, k PublicKey) string {
	t.Helper()
	u, err := k.x25519()
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(u[:])
}
