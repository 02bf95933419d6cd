package bench

import (
	"bytes"
	"testing"

	"claudemesh/peer"
	"claudemesh/seal"
	"claudemesh/wire"
)

// push returns the push that a broker makes of a send.
func push(t *testing.T, send []byte, sender string) []byte {
	t.Helper()
	var f wire.Send
	if err := wire.Decode(send, &f); err != nil {
		t.Fatalf("%s: %v", send, err)
	}
	return wire.AppendPush(nil, &wire.Push{MessageID: "m", MeshID: "mesh", SenderPubkey: sender, SenderName: `a "ciphertext":"b"`,
		Priority: f.Priority, Nonce: f.Nonce, Ciphertext: f.Ciphertext, TargetSpec: f.TargetSpec})
}

func newKey(t *testing.T) seal.PrivateKey {
	t.Helper()
	key, err := seal.Generate()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newBox(t *testing.T, mine, theirs seal.PrivateKey) *seal.Box {
	t.Helper()
	box, err := seal.NewBox(mine, theirs.Public())
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func TestNoteComesOutAsItWentIn(t *testing.T) {
	from, to := newKey(t), newKey(t)
	mesh := &peer.Mesh{MeshID: "mesh", RootKey: seal.NewRootKey()}
	for name, c := range map[string]struct {
		encrypt bool
		target  target
	}{
		"in plain":           {false, target{spec: to.Public().String()}},
		"sealed to a key":    {true, target{spec: to.Public().String(), box: newBox(t, from, to)}},
		"sealed for a group": {true, target{spec: "@all-of-us"}},
	} {
		for _, size := range []int{headSize, headSize + 1, 100, 4096} {
			env, err := newEnvelope(mesh, size, c.encrypt)
			if err != nil {
				t.Fatal(err)
			}
			want := note{sender: 7, seq: 1 << 20, at: 1 << 50}
			send, err := env.appendSend(nil, from, &c.target, want)
			if err != nil {
				t.Fatal(err)
			}
			if h, err := wire.Peek(send); err != nil || h.Type != (wire.Send{}).FrameType() {
				t.Fatalf("%s, %d bytes: %s is no send: %v", name, size, send, err)
			}
			open := func(p []byte) (note, bool) {
				return env.open(p, func([]byte) *seal.Box { return newBox(t, to, from) })
			}
			p := push(t, send, from.Public().String())
			if got, ok := open(p); !ok || got != want {
				t.Errorf("%s, %d bytes: read %v %v, want %v", name, size, got, ok, want)
			}
			text := field(p, `"ciphertext"`)
			text[len(text)-5] ^= 1
			if _, ok := open(p); ok {
				t.Errorf("%s, %d bytes: an altered message passed as whole", name, size)
			}
		}
	}
}

func TestFieldIsNotFoundInsideAText(t *testing.T) {
	p := wire.AppendPush(nil, &wire.Push{MessageID: `","nonce":"x`, Nonce: "right"})
	if got := field(p, `"nonce"`); string(got) != "right" {
		t.Errorf("nonce of %s is %q", p, got)
	}
	for _, p := range []string{``, `"nonce"`, `{"nonce":`, `{"nonce":"`, `{"nonce":12}`, `{"nonce":"x`} {
		if got := field([]byte(p), `"nonce"`); len(got) != 0 {
			t.Errorf("nonce of %s is %q", p, got)
		}
	}
}

func TestHeadThatIsCutOrChangedIsNone(t *testing.T) {
	head := note{1, 2, 3}.appendHead(nil)
	if n, ok := readHead(head); !ok || n != (note{1, 2, 3}) {
		t.Fatalf("read %v %v", n, ok)
	}
	for _, bad := range [][]byte{nil, head[:headSize-1], bytes.ReplaceAll(head, []byte("."), []byte("x")), append([]byte("g"), head[1:]...)} {
		if _, ok := readHead(bad); ok {
			t.Errorf("%q passed", bad)
		}
	}
}
