package bench

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"claudemesh/peer"
	"claudemesh/seal"
	"claudemesh/wire"
)

// A fakeBroker keeps nothing and does to the n-th message what its test says.
type fakeBroker struct {
	t    *testing.T
	push func(n int, frame []byte) [][]byte // what to send instead of the frame

	mu   sync.Mutex
	by   map[string]*websocket.Conn // by address
	seen int
}

func (b *fakeBroker) serve(ws *websocket.Conn, r *http.Request) {
	ctx := r.Context()
	var address string
	for {
		_, p, err := ws.Read(ctx)
		if err != nil {
			return
		}
		h, err := wire.Peek(p)
		if err != nil {
			b.t.Errorf("%s: %v", p, err)
			return
		}
		switch h.Type {
		case "hello":
			var f wire.Hello
			_ = wire.Decode(p, &f)
			address = f.SessionPubkey
			b.mu.Lock()
			b.by[address] = ws
			b.mu.Unlock()
			b.answer(ws, r, "", wire.HelloAck{Proto: wire.Proto})
		case "client_ack":
			b.answer(ws, r, h.ReqID, wire.Ack{ID: h.ReqID})
		case "send":
			var f wire.Send
			_ = wire.Decode(p, &f)
			b.deliver(r, address, &f)
			b.answer(ws, r, h.ReqID, wire.Ack{ID: f.ID, MessageID: f.ID, Queued: true})
		}
	}
}

func (b *fakeBroker) answer(ws *websocket.Conn, r *http.Request, reqID string, f wire.Frame) {
	p, err := wire.Append(nil, reqID, f)
	if err != nil {
		b.t.Error(err)
		return
	}
	_ = ws.Write(r.Context(), websocket.MessageText, p)
}

func (b *fakeBroker) deliver(r *http.Request, sender string, f *wire.Send) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := wire.AppendPush(nil, &wire.Push{MessageID: f.ID, SenderPubkey: sender, Priority: f.Priority, Nonce: f.Nonce, Ciphertext: f.Ciphertext})
	b.seen++
	for _, p := range b.push(b.seen, p) {
		_ = b.by[f.TargetSpec].Write(r.Context(), websocket.MessageText, p)
	}
}

func TestRunFindsWhatABrokerDoesWrong(t *testing.T) {
	member := newKey(t)
	for name, c := range map[string]struct {
		push func() func(n int, frame []byte) [][]byte
		want Result
	}{
		"nothing": {
			func() func(int, []byte) [][]byte { return func(_ int, p []byte) [][]byte { return [][]byte{p} } },
			Result{Delivered: 20},
		},
		"it loses one": {
			func() func(int, []byte) [][]byte {
				return func(n int, p []byte) [][]byte {
					if n == 7 {
						return nil
					}
					return [][]byte{p}
				}
			},
			Result{Delivered: 19, Lost: 1},
		},
		"it sends one twice": {
			func() func(int, []byte) [][]byte {
				return func(n int, p []byte) [][]byte {
					if n == 7 {
						return [][]byte{p, p}
					}
					return [][]byte{p}
				}
			},
			Result{Delivered: 20, Duplicates: 1},
		},
		"it swaps two": {
			func() func(int, []byte) [][]byte {
				var kept []byte
				return func(n int, p []byte) [][]byte {
					switch n {
					case 7:
						kept = p
						return nil
					case 8:
						return [][]byte{p, kept}
					}
					return [][]byte{p}
				}
			},
			Result{Delivered: 20, Disordered: 1},
		},
		"it alters one": {
			func() func(int, []byte) [][]byte {
				return func(n int, p []byte) [][]byte {
					if n == 7 {
						text := field(p, `"ciphertext"`)
						text[len(text)-1] ^= 1
					}
					return [][]byte{p}
				}
			},
			Result{Delivered: 19, Lost: 1, Broken: 1},
		},
	} {
		for _, paced := range []bool{false, true} {
			if paced && name == "it swaps two" {
				continue // two are never under way
			}
			t.Run(fmt.Sprintf("%s, paced %v", name, paced), func(t *testing.T) {
				testRun(t, member, c.push(), paced, c.want, name == "nothing")
			})
		}
	}
}

func testRun(t *testing.T, member seal.PrivateKey, push func(int, []byte) [][]byte, paced bool, want Result, faultless bool) {
	broker := &fakeBroker{t: t, push: push, by: make(map[string]*websocket.Conn)}
	mesh := &peer.Mesh{
		MeshID: "mesh", MemberID: "member", Pubkey: member.Public().String(), SecretKey: member.Hex(),
		BrokerURL: serveSockets(t, broker.serve), RootKey: seal.NewRootKey(),
	}
	cr, err := assemble(t.Context(), mesh, workload{Senders: 1, Receivers: 1, Fanout: 1, Inflight: 4, Size: 64, Messages: 20, Paced: paced})
	if err != nil {
		t.Fatal(err)
	}
	defer cr.dismiss()
	if want.Lost > 0 {
		cr.patience = 300 * time.Millisecond
	}
	got, err := cr.run(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	sent := 20
	if paced && want.Lost > 0 {
		sent = got.Sent // it ends with the message that does not arrive
		want.Delivered = sent - want.Lost
	}
	if got.Sent != sent || got.Acked != sent || got.Delivered != want.Delivered || got.Lost != want.Lost ||
		got.Duplicates != want.Duplicates || got.Disordered != want.Disordered || got.Broken != want.Broken {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got.Faultless() != faultless || ((&Report{Result: got}).verdict() == nil) != faultless {
		t.Errorf("faultless: %v", got.Faultless())
	}
}

func TestASenderSendsOnceHoweverShortItsTime(t *testing.T) {
	cr := &crew{workload: workload{For: time.Nanosecond}}
	more := cr.more(&count{epoch: time.Now().Add(-time.Second), given: make(chan struct{})})
	if !more(0) || more(1) {
		t.Errorf("a first message: %v, a second: %v", more(0), more(1))
	}
}

func TestRunFailsWhenTheBrokerIsGone(t *testing.T) {
	member := newKey(t)
	broker := &fakeBroker{t: t, by: make(map[string]*websocket.Conn)}
	broker.push = func(n int, p []byte) [][]byte {
		if n == 5 {
			for _, ws := range broker.by {
				ws.CloseNow()
			}
		}
		return [][]byte{p}
	}
	mesh := &peer.Mesh{MeshID: "mesh", MemberID: "member", Pubkey: member.Public().String(), SecretKey: member.Hex(), BrokerURL: serveSockets(t, broker.serve)}
	cr, err := assemble(t.Context(), mesh, workload{Senders: 1, Receivers: 1, Fanout: 1, Inflight: 1, Size: 64, Messages: 20})
	if err != nil {
		t.Fatal(err)
	}
	defer cr.dismiss()
	if _, err := cr.run(t.Context(), nil); err == nil {
		t.Error("a run without a broker succeeded")
	}
}

func TestWorkloadThatCannotBeIsRefused(t *testing.T) {
	good := workload{Senders: 1, Receivers: 4, Fanout: 2, Inflight: 1, Size: 100, Messages: 1}
	if err := good.check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*workload){
		"no senders":        func(w *workload) { w.Senders = 0 },
		"no receivers":      func(w *workload) { w.Receivers = 0 },
		"no messages":       func(w *workload) { w.Messages = 0 },
		"nothing in flight": func(w *workload) { w.Inflight = 0 },
		"too small":         func(w *workload) { w.Size = headSize - 1 },
		"too big":           func(w *workload) { w.Size = maxText + 1 },
		"too wide":          func(w *workload) { w.Fanout = 5 },
		"does not go up":    func(w *workload) { w.Fanout = 3 },
	} {
		w := good
		change(&w)
		if w.check() == nil {
			t.Errorf("%s: passed", name)
		}
	}
}
