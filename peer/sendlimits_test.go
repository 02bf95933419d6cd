package peer

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

func TestSendTimesOutAfterTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPipeBroker(t, func(k *brokerConn, _ int) {
			k.hello()
			k.wait()
		})
		c := b.open()
		begin := time.Now()
		if _, err := c.Send(t.Context(), SendRequest{Target: newKey(t).Public().String(), Text: "x"}); !errors.Is(err, ErrTimeout) {
			t.Errorf("error is %v", err)
		}
		if d := time.Since(begin); d != sendTimeout {
			t.Errorf("after %v", d)
		}
		if len(c.sends) != 0 {
			t.Errorf("%d sends are left over", len(c.sends))
		}
	})
}

func TestManySendsMayBeUnderWay(t *testing.T) {
	const n = 256
	b := newTestBroker(t, func(k *brokerConn, _ int) {
		k.hello()
		var ids []string
		for range n {
			f, ok := k.read()
			if !ok {
				return
			}
			var s wire.Send
			k.decode(f, &s)
			ids = append(ids, s.ID)
		}
		for _, id := range ids {
			k.write("", wire.Ack{ID: id, MessageID: "m-" + id})
		}
		k.wait()
	})
	c := b.open()
	to := newKey(t).Public().String()
	var all []*Sending
	for range n {
		s, err := c.SendAsync(t.Context(), SendRequest{Target: to, Text: "x"})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	for _, s := range all {
		if ack, err := s.Wait(t.Context()); err != nil || ack.MessageID != "m-"+s.ID {
			t.Fatalf("%+v, %v", ack, err)
		}
	}
}

func TestBadMessagesAreRefusedBeforeTheyLeave(t *testing.T) {
	b := newTestBroker(t, func(k *brokerConn, _ int) {
		k.hello()
		k.wait()
	})
	c := b.open()
	to := newKey(t).Public().String()
	for name, tt := range map[string]struct {
		req  SendRequest
		code wire.Code
	}{
		"no target":      {SendRequest{Text: "x"}, wire.InvalidTarget},
		"channel":        {SendRequest{Target: "#x", Text: "x"}, wire.InvalidTarget},
		"no point":       {SendRequest{Target: strings.Repeat("0", 64), Text: "x"}, wire.InvalidTarget},
		"too large":      {SendRequest{Target: to, Text: strings.Repeat("x", wire.MaxOrdinaryBytes)}, wire.TooLarge},
		"id in use":      {SendRequest{Target: to, Text: "x", ID: "taken"}, wire.Conflict},
		"largest passes": {SendRequest{Target: to, Text: strings.Repeat("x", 48000)}, ""},
	} {
		if tt.req.ID != "" {
			if _, err := c.SendAsync(t.Context(), tt.req); err != nil {
				t.Fatal(err)
			}
		}
		_, err := c.SendAsync(t.Context(), tt.req)
		if tt.code == "" && err != nil || tt.code != "" && !errors.Is(err, &wire.Error{Code: tt.code}) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFrameThatIsTooBigIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPipeBroker(t, func(k *brokerConn, n int) {
			k.hello()
			if n == 1 {
				k.read()
				k.read()
				k.ws.Close(wire.CloseTooBig, "frame too big")
				return
			}
			k.serve(nil)
		})
		c := b.open()
		to := newKey(t).Public().String()
		small, err := c.SendAsync(t.Context(), SendRequest{Target: to, Text: "x"})
		if err != nil {
			t.Fatal(err)
		}
		big, err := c.SendAsync(t.Context(), SendRequest{Target: to, Text: strings.Repeat("x", 1000)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := big.Wait(t.Context()); !errors.Is(err, &wire.Error{Code: wire.TooLarge}) {
			t.Errorf("the large one: %v", err)
		}
		if _, err := small.Wait(t.Context()); err != nil {
			t.Errorf("the small one: %v", err)
		}
	})
}

func TestRequestThatIsTooBigSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPipeBroker(t, func(k *brokerConn, n int) {
			k.hello()
			if n == 1 {
				k.read()
				k.read()
				k.ws.Close(wire.CloseTooBig, "frame too big")
				return
			}
			k.serve(nil)
		})
		c := b.open()
		small, err := c.SendAsync(t.Context(), SendRequest{Target: newKey(t).Public().String(), Text: "x"})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Publish(t.Context(), "s", []byte(`"`+strings.Repeat("x", 1000)+`"`)); !errors.Is(err, &wire.Error{Code: wire.TooLarge}) {
			t.Errorf("the large request: %v", err)
		}
		if _, err := small.Wait(t.Context()); err != nil {
			t.Errorf("the message beside it: %v", err)
		}
	})
}

func TestBoxesAreKeptUpToALimit(t *testing.T) {
	b := newBoxes()
	mine := newKey(t)
	first := newKey(t).Public()
	box, err := b.get(mine, first)
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.get(mine, first)
	if err != nil || box != again {
		t.Errorf("computed twice: %v", err)
	}
	for i := range maxBoxes {
		b.put(pair{theirs: seal.PublicKey{1, byte(i), byte(i >> 8)}}, box)
	}
	if len(b.entries) != maxBoxes || b.order.Len() != maxBoxes {
		t.Errorf("%d are kept", len(b.entries))
	}
	if b.find(pair{mine.Public(), first}) != nil {
		t.Error("the oldest is kept")
	}
}
