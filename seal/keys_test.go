package seal

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"filippo.io/edwards25519"
)

// wantIs fails unless err is nil exactly when want is, and wraps want.
func wantIs(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

func TestPublicKeyOfEitherCaseIsOneKey(t *testing.T) {
	lower := seeded(1).Public().String()
	key := mustPublic(t, strings.ToUpper(lower))
	if key != seeded(1).Public() || key.String() != lower {
		t.Errorf("upper case reads as %s, want %s", key, lower)
	}
	var decoded struct{ Key PublicKey }
	if err := json.Unmarshal([]byte(`{"key":"`+strings.ToUpper(lower)+`"}`), &decoded); err != nil || decoded.Key != key {
		t.Errorf("JSON reads as %s, %v", decoded.Key, err)
	}
	if got, err := json.Marshal(decoded); err != nil || string(got) != `{"Key":"`+lower+`"}` {
		t.Errorf("JSON writes %s, %v", got, err)
	}
}

func TestKeysOfWrongShapeAreRefused(t *testing.T) {
	good := seeded(1)
	for _, s := range []string{"", "00", strings.Repeat("g", 64), good.Public().String() + "00", " " + good.Public().String()[1:],
		strings.Repeat("é", 32)} {
		_, err := ParsePublicKey(s)
		wantIs(t, err, ErrKey)
		var k PublicKey
		wantIs(t, k.UnmarshalText([]byte(s)), ErrKey)
	}
	foreign := good.Hex()[:64] + seeded(2).Public().String()
	for _, s := range []string{"", good.Hex()[:64], strings.Repeat("x", 128), good.Hex() + "00", foreign, strings.Repeat("0", 128)} {
		_, err := ParsePrivateKey(s)
		wantIs(t, err, ErrKey)
		if s != "" && err != nil && strings.Contains(err.Error(), s[:32]) {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
}

// weakKeys are encodings that libsodium refuses, by what is wrong with them.
func weakKeys(t testing.TB) map[string]PublicKey {
	t.Helper()
	keys := map[string]PublicKey{}
	// The eight points of low order have these y; the sign bit gives the others.
	for name, y := range map[string]string{
		"identity": "0100000000000000000000000000000000000000000000000000000000000000",
		"order 2":  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"order 4":  "0000000000000000000000000000000000000000000000000000000000000000",
		"order 8":  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"order 8'": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	} {
		key := mustPublic(t, y)
		keys[name] = key
		key[31] |= 0x80
		keys[name+", sign bit"] = key
	}
	// y = p+k, the second spelling of y = k.
	for k := range byte(19) {
		key := PublicKey(bytes.Repeat([]byte{0xff}, 32))
		key[0], key[31] = 0xed+k, 0x7f
		keys[fmt.Sprintf("not canonical, y = p+%d", k)] = key
	}
	keys["not a point"] = PublicKey(bytes.Repeat([]byte{2}, 32))
	p, err := new(edwards25519.Point).SetBytes(publicBytes(seeded(1)))
	if err != nil {
		t.Fatal(err)
	}
	torsion, err := new(edwards25519.Point).SetBytes(bytesOf(keys["order 8"]))
	if err != nil {
		t.Fatal(err)
	}
	keys["mixed order"] = PublicKey(p.Add(p, torsion).Bytes())
	return keys
}

func publicBytes(k PrivateKey) []byte { return bytesOf(k.Public()) }
func bytesOf(k PublicKey) []byte      { return k[:] }

func TestUnsafeKeysAreNeitherSealedToNorStored(t *testing.T) {
	for name, key := range weakKeys(t) {
		t.Run(name, func(t *testing.T) {
			wantIs(t, key.Check(), ErrKey)
			_, err := NewBox(seeded(1), key)
			wantIs(t, err, ErrKey)
			_, err = SealAnonymous(key, []byte("x"))
			wantIs(t, err, ErrKey)
			if parsed, err := ParsePublicKey(key.String()); err != nil || parsed != key {
				t.Errorf("as an address it reads as %s, %v", parsed, err)
			}
		})
	}
	for b := range byte(20) {
		wantIs(t, seeded(b).Public().Check(), nil)
	}
}

// Under the identity as key, the signature R = identity, S = 0 satisfies the bare equation for every text.
func TestSignatureOfEveryTextIsRefused(t *testing.T) {
	identity := "01" + strings.Repeat("0", 62)
	if mustPublic(t, identity).Verify("any text", identity+strings.Repeat("0", 64)) {
		t.Error("a low-order key verifies a signature that nobody made")
	}
}

func TestVerifyAcceptsOnlyTheSignatureOfTheText(t *testing.T) {
	key := seeded(1)
	sig := key.Sign("text")
	flipped := []byte(sig)
	flipped[0] ^= 1
	for _, tt := range []struct {
		name, text, sig string
		want            bool
	}{
		{"the signature", "text", sig, true},
		{"upper case", "text", strings.ToUpper(sig), true},
		{"another text", "Text", sig, false},
		{"altered", "text", string(flipped), false},
		{"empty", "text", "", false},
		{"short", "text", sig[:126], false},
		{"long", "text", sig + "00", false},
		{"not hex", "text", strings.Repeat("z", 128), false},
		{"S not reduced", "text", sig[:64] + strings.Repeat("f", 64), false},
		{"of another key", "text", seeded(2).Sign("text"), false},
	} {
		if got := key.Public().Verify(tt.text, tt.sig); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestGeneratedKeysDifferAndReadBack(t *testing.T) {
	a, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	b, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	if a.Public() == b.Public() {
		t.Error("two generated keys are the same")
	}
	if got := mustPrivate(t, strings.ToUpper(a.Hex())); got.Hex() != a.Hex() {
		t.Error("a generated key does not read back")
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	key := seeded(1)
	box, err := NewBox(key, seeded(2).Public())
	if err != nil {
		t.Fatal(err)
	}
	cast, err := NewMulticast(testRootKey)
	if err != nil {
		t.Fatal(err)
	}
	type holder struct {
		key    PrivateKey
		shown  PrivateKey
		nested *Box
		cast   *Multicast
	}
	h := holder{key, key, box, cast}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U"} {
		for _, value := range []any{key, &key, box, *box, cast, *cast, h, &h, []any{key, box, cast}, map[string]any{"k": h}} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("keys", "key", key, "holder", h, "box", box, "exported", struct{ Key PrivateKey }{key})
	}
	for _, secret := range [][]byte{key.pair()[:8], key.x25519()[:8], box.shared()[:8], cast.key()[:8]} {
		decimal := strings.Trim(fmt.Sprint(secret), "[]")
		for _, form := range []string{string(secret), hex.EncodeToString(secret), strings.ToUpper(hex.EncodeToString(secret)), decimal,
			strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", secret), "[]byte{"), "}"), encode(secret)[:8]} {
			if strings.Contains(out.String(), form) {
				t.Errorf("a secret was printed as %q", form)
			}
		}
	}
	if _, err := json.Marshal(struct{ Key PrivateKey }{key}); err == nil {
		t.Error("a private key was encoded without anyone saying Hex")
	}
	if !strings.Contains(key.String(), key.Public().String()) {
		t.Errorf("%s does not say whose key it is", key)
	}
}

func TestZeroPrivateKeyIsRefused(t *testing.T) {
	var none PrivateKey
	if !none.IsZero() || seeded(1).IsZero() || none.String() == "" {
		t.Error("IsZero does not tell a key from none")
	}
	_, err := NewBox(none, seeded(1).Public())
	wantIs(t, err, ErrKey)
	_, err = OpenAnonymous(none, make([]byte, 100))
	wantIs(t, err, ErrKey)
	wantIs(t, new(Invite).Sign(none), ErrKey)
}

func BenchmarkVerify(b *testing.B) {
	key := seeded(1)
	public, sig := key.Public(), key.Sign("text")
	for b.Loop() {
		if !public.Verify("text", sig) {
			b.Fatal("does not verify")
		}
	}
}
