package seal

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestWhatIsKeptOpensWithItsKeyAlone(t *testing.T) {
	seed := [32]byte{1}
	mine, err := NewAtRest(seed, "automation-v1")
	if err != nil {
		t.Fatal(err)
	}
	again, _ := NewAtRest(seed, "automation-v1")
	purpose, _ := NewAtRest(seed, "other-v1")
	other, _ := NewAtRest([32]byte{2}, "automation-v1")
	sealed := mine.Seal([]byte("secret"))
	if bytes.Contains(sealed, []byte("secret")) || bytes.Equal(sealed, mine.Seal([]byte("secret"))) {
		t.Error("what is sealed shows")
	}
	if got, err := again.Open(sealed); err != nil || string(got) != "secret" {
		t.Errorf("after a restart: %q, %v", got, err)
	}
	altered := bytes.Clone(sealed)
	altered[len(altered)-1]++
	nonce, ciphertext := SealSecret(mine.key(), []byte("before"))
	if got, err := mine.Open(append(nonce[:], ciphertext...)); err != nil || string(got) != "before" {
		t.Errorf("what has the older form: %q, %v", got, err)
	}
	for what, open := range map[string]func() ([]byte, error){
		"another purpose": func() ([]byte, error) { return purpose.Open(sealed) },
		"another broker":  func() ([]byte, error) { return other.Open(sealed) },
		"altered":         func() ([]byte, error) { return mine.Open(altered) },
		"cut":             func() ([]byte, error) { return mine.Open(sealed[:NonceSize-1]) },
		"nothing":         func() ([]byte, error) { return mine.Open(nil) },
	} {
		if got, err := open(); !errors.Is(err, ErrOpen) {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v", mine, mine, *mine); strings.Contains(text, "1 0 0") {
		t.Errorf("it prints its key: %s", text)
	}
}

func TestARingSealsUnderItsFirstKeyAndOpensUnderAll(t *testing.T) {
	var keys []*AtRest
	for i := range 3 {
		key, err := NewAtRest([32]byte{byte(i)}, "automation-v1")
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	nonce, ciphertext := SealSecret(keys[1].key(), []byte("old form"))
	ring := NewRestRing(keys[0], keys[1])
	for want, sealed := range map[string][]byte{"now": ring.Seal([]byte("now")), "older": keys[1].Seal([]byte("older")), "old form": append(nonce[:], ciphertext...)} {
		if got, err := ring.Open(sealed); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", want, got, err)
		}
		if ring.IsCurrent(sealed) != (want == "now") {
			t.Errorf("%s: current is %v", want, ring.IsCurrent(sealed))
		}
	}
	if got, err := ring.Open(keys[2].Seal([]byte("foreign"))); !errors.Is(err, ErrOpen) {
		t.Errorf("under a key that is not there: %q, %v", got, err)
	}
	if ring.ID() != keys[0].ID() || keys[0].ID() == keys[1].ID() || len(keys[0].ID().String()) != 16 {
		t.Errorf("ids are %s and %s", keys[0].ID(), keys[1].ID())
	}
	if id := ring.ID(); !bytes.HasPrefix(ring.Seal(nil), append([]byte("cmrest1\n"), id[:]...)) {
		t.Error("what is sealed does not name its key")
	}
}
