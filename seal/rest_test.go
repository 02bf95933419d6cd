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
