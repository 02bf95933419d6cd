package seal

import "testing"

func TestRepeatableNonceFollowsFromTheMessageAndItsSender(t *testing.T) {
	a, b := seeded(1), seeded(2)
	n := RepeatableNonce(a, "id", "to", "text")
	if n != RepeatableNonce(a, "id", "to", "text") {
		t.Error("the same message has two nonces")
	}
	for what, other := range map[string]Nonce{
		"another sender": RepeatableNonce(b, "id", "to", "text"),
		"another text":   RepeatableNonce(a, "id", "to", "texts"),
		"moved limits":   RepeatableNonce(a, "id", "tot", "ext"),
		"fewer parts":    RepeatableNonce(a, "id", "totext"),
		"a random one":   NewNonce(),
		"nothing":        {},
	} {
		if other == n {
			t.Errorf("%s has the same nonce", what)
		}
	}
}

func TestMessagesSealedWithANonceOpen(t *testing.T) {
	a, b := seeded(1), seeded(2)
	n := RepeatableNonce(a, "id", "text")
	nonce, ciphertext := newBox(t, a, b.Public()).SealWith(n, []byte("text"))
	if got, err := newBox(t, b, a.Public()).Open(nonce, ciphertext); err != nil || string(got) != "text" {
		t.Errorf("box: %q, %v", got, err)
	}
	m, err := NewMulticast(NewRootKey())
	if err != nil {
		t.Fatal(err)
	}
	nonce, ciphertext, err = m.SealWith(n, a, "mesh", "@team", "text")
	again, sealedAgain, _ := m.SealWith(n, a, "mesh", "@team", "text")
	if err != nil || nonce != again || ciphertext != sealedAgain {
		t.Errorf("the same multicast has different bytes: %v", err)
	}
	if got, sender, err := m.Open("mesh", "@team", nonce, ciphertext); err != nil || got != "text" || sender != a.Public() {
		t.Errorf("multicast: %q, %v", got, err)
	}
	if nonce, ciphertext = PlainEnvelope(n, "text"); nonce != again {
		t.Errorf("plain: nonce %s", nonce)
	}
	if got, err := OpenPlainEnvelope(ciphertext); err != nil || got != "text" {
		t.Errorf("plain: %q, %v", got, err)
	}
}
