package peer

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"claudemesh/wire"
)

func TestCallGetsTheAnswerWithItsReqID(t *testing.T) {
	b := newTestBroker(t, func(k *brokerConn, _ int) {
		k.hello()
		f, _ := k.read()
		k.write("", wire.MeshInfoResult{Slug: "without id"})
		k.write("unknown", wire.MeshInfoResult{Slug: "with another id"})
		k.write("unknown", wire.Errorf(wire.Internal, "of another"))
		k.write("", wire.Errorf(wire.Internal, "of nobody"))
		k.raw("no frame")
		k.raw(`{"type":"of_the_future"}`)
		k.write(f.ReqID, wire.MeshInfoResult{Slug: "mine"})
		k.write(f.ReqID, wire.MeshInfoResult{Slug: "mine again"})
		k.wait()
	})
	c := b.open()
	res, err := Call(t.Context(), c, wire.MeshInfo{})
	if err != nil || res.Slug != "mine" {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestCallsAnsweredOutOfOrderGetTheirOwn(t *testing.T) {
	const n = 20
	b := newTestBroker(t, func(k *brokerConn, _ int) {
		k.hello()
		var all []received
		for range n {
			f, ok := k.read()
			if !ok {
				return
			}
			all = append(all, f)
		}
		for i := n - 1; i >= 0; i-- {
			var q wire.GetMessageStatus
			k.decode(all[i], &q)
			k.write(all[i].ReqID, wire.MessageStatus{MessageID: q.MessageID})
		}
		k.wait()
	})
	c := b.open()
	var wg sync.WaitGroup
	for i := range n {
		id := string(rune('a' + i))
		wg.Go(func() {
			res, err := Call(t.Context(), c, wire.GetMessageStatus{MessageID: id})
			if err != nil || res.MessageID != id {
				t.Errorf("asked for %s: %+v, %v", id, res, err)
			}
		})
	}
	wg.Wait()
}

func TestFailuresOfACallAreToldApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPipeBroker(t, func(k *brokerConn, n int) {
			if n > 1 {
				return
			}
			k.hello()
			f, _ := k.read()
			k.write(f.ReqID, wire.Errorf(wire.Forbidden, "no"))
			f, _ = k.read()
			k.write(f.ReqID, wire.PeersList{})
			f, _ = k.read()
			k.raw(`{"type":"mesh_info_result","_reqId":"` + f.ReqID + `","peers":"many"}`)
			k.read() // not answered
			k.read() // not answered
			k.read() // the connection ends before an answer
		})
		c := b.open()
		_, err := Call(t.Context(), c, wire.MeshInfo{})
		if e, ok := errors.AsType[*wire.Error](err); !ok || e.Code != wire.Forbidden {
			t.Errorf("refused: %v", err)
		}
		if _, err = Call(t.Context(), c, wire.MeshInfo{}); err == nil {
			t.Error("an answer of another type is taken")
		}
		_, err = Call(t.Context(), c, wire.MeshInfo{})
		if _, refused := errors.AsType[*wire.Error](err); err == nil || refused {
			t.Errorf("answer that cannot be read: %v", err)
		}
		begin := time.Now()
		if _, err = Call(t.Context(), c, wire.MeshInfo{}); !errors.Is(err, ErrTimeout) {
			t.Errorf("no answer: %v", err)
		}
		if d := time.Since(begin); d != callTimeout {
			t.Errorf("timed out after %v", d)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err = Call(ctx, c, wire.MeshInfo{}); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		if _, err = Call(t.Context(), c, wire.MeshInfo{}); !errors.Is(err, ErrLost) {
			t.Errorf("lost: %v", err)
		}
		until(t, c, func(s Status) bool { return s.State == StateReconnecting })
		if _, err = Call(t.Context(), c, wire.MeshInfo{}); !errors.Is(err, ErrNotConnected) {
			t.Errorf("not connected: %v", err)
		}
		c.Close(t.Context())
		if _, err = Call(t.Context(), c, wire.MeshInfo{}); !errors.Is(err, ErrClosed) {
			t.Errorf("closed: %v", err)
		}
		if len(c.calls) != 0 {
			t.Errorf("%d calls are left over", len(c.calls))
		}
	})
}

func TestPendingCallsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPipeBroker(t, func(k *brokerConn, _ int) {
			k.hello()
			k.wait()
		})
		c := b.open()
		var wg sync.WaitGroup
		for range maxCalls {
			wg.Go(func() {
				if _, err := Call(t.Context(), c, wire.MeshInfo{}); !errors.Is(err, ErrTimeout) {
					t.Errorf("error is %v", err)
				}
			})
		}
		synctest.Wait()
		if _, err := Call(t.Context(), c, wire.MeshInfo{}); !errors.Is(err, ErrBusy) {
			t.Errorf("error is %v", err)
		}
		wg.Wait()
	})
}

func TestCallRefusesAFrameOverTheLimit(t *testing.T) {
	b := newTestBroker(t, func(k *brokerConn, _ int) {
		k.hello()
		k.wait()
	})
	c := b.open()
	big := string(make([]byte, wire.MaxFrameBytes))
	if _, err := Call(t.Context(), c, wire.SetSummary{Summary: big}); !errors.Is(err, &wire.Error{Code: wire.TooLarge}) {
		t.Errorf("error is %v", err)
	}
}

// Every frame that the broker sends of its own accord must have a handler.
func TestEveryPushIsHandled(t *testing.T) {
	answers := map[wire.Type]bool{(*wire.Error)(nil).FrameType(): true}
	for _, e := range wire.Index() {
		answers[e.Answer] = true
	}
	handlers := pushHandlers()
	for _, e := range wire.Index() {
		if e.Direction != wire.ToPeer || answers[e.Type] {
			continue
		}
		if handlers[e.Type] == nil {
			t.Errorf("nothing is done with %s: give it a line in pushHandlers", e.Type)
		}
		delete(handlers, e.Type)
	}
	for typ := range handlers {
		t.Errorf("%s is handled but is no frame that a broker sends of its own accord", typ)
	}
}

func FuzzReceive(f *testing.F) {
	for _, e := range wire.Index() {
		if p, err := wire.Append(nil, "r1", e.Frame); err == nil {
			f.Add(p)
		}
		if p, err := json.Marshal(map[string]any{"type": e.Type, "meshId": testMesh, "messageId": "m", "id": "i", "nonce": "AAAA", "ciphertext": "v1:AAAA", "targetSpec": "*"}); err == nil {
			f.Add(p)
		}
	}
	b := &testBroker{}
	f.Fuzz(func(t *testing.T, p []byte) {
		b.t = t
		c, err := newClient(b.options())
		if err != nil {
			t.Fatal(err)
		}
		c.calls["r1"] = &call{want: (wire.Ack{}).FrameType(), answer: make(chan answer, 1)}
		if h, err := wire.Peek(p); err == nil {
			c.receive(h, p)
			c.receive(h, p)
		}
		if n := len(c.Unseen()); n > 1 {
			t.Errorf("the same frame twice made %d records", n)
		}
	})
}
