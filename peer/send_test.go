package peer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

// sends returns a script that accepts the hello, hands every send to ch and
// answers it as reply says.
func sends(ch chan<- wire.Send, reply func(wire.Send) wire.Frame) script {
	return func(k *brokerConn, _ int) {
		k.hello()
		k.serve(func(f received) wire.Frame {
			if f.Type != (wire.Send{}).FrameType() {
				return nil
			}
			var s wire.Send
			k.decode(f, &s)
			ch <- s
			if reply == nil {
				return nil
			}
			return reply(s)
		})
	}
}

func TestDirectMessageIsSealedByTheSession(t *testing.T) {
	ch := make(chan wire.Send, 1)
	b := newTestBroker(t, sends(ch, nil))
	c := b.open()
	bob := newKey(t)
	ack, err := c.Send(t.Context(), SendRequest{
		Target: strings.ToUpper(bob.Public().String()), Text: "hello mesh", ReplyTo: "r", Receipt: wire.StateSeen, ID: "c1",
	})
	if err != nil || ack.MessageID != "m-c1" || ack.Outcome != wire.Sent {
		t.Fatalf("%+v, %v", ack, err)
	}
	s := receive(t, ch)
	if s.ID != "c1" || s.TargetSpec != bob.Public().String() || s.Priority != wire.Next || s.ReplyTo != "r" || s.Receipt != wire.StateSeen {
		t.Errorf("sent %+v", s)
	}
	sender, err := seal.ParsePublicKey(c.Address())
	if err != nil {
		t.Fatal(err)
	}
	box, err := seal.NewBox(bob, sender)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := box.Open(s.Nonce, s.Ciphertext); err != nil || string(text) != "hello mesh" {
		t.Errorf("opened %q, %v", text, err)
	}
	if _, out := c.Counters(); out != 1 {
		t.Errorf("%d messages counted", out)
	}
}

func TestMulticastIsSealedOnlyIfEveryoneReadsIt(t *testing.T) {
	mine := wire.Peer{Pubkey: "mine"} // replaced by the address
	modern, older := wire.Peer{Pubkey: "b", Proto: 2}, wire.Peer{Pubkey: "c"}
	tests := map[string]struct {
		policy MulticastPolicy
		root   string
		proto  int
		peers  []wire.Peer
		listed bool
		sealed bool
	}{
		"all are of this version":      {MulticastAuto, testRoot, 2, []wire.Peer{mine, modern}, true, true},
		"an older session is online":   {MulticastAuto, testRoot, 2, []wire.Peer{modern, older}, true, false},
		"the broker is older":          {MulticastAuto, testRoot, 0, []wire.Peer{modern}, true, false},
		"no root key":                  {MulticastAuto, "", 2, []wire.Peer{modern}, true, false},
		"the list is refused":          {MulticastAuto, testRoot, 2, nil, false, false},
		"plain is asked for":           {MulticastPlain, testRoot, 2, []wire.Peer{modern}, true, false},
		"sealed is asked for":          {MulticastSealed, testRoot, 0, []wire.Peer{older}, true, true},
		"sealed but there is no key":   {MulticastSealed, "", 2, nil, true, false},
		"plain where nobody is online": {MulticastPlain, testRoot, 2, nil, true, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ch := make(chan wire.Send, 1)
			var address string
			b := newTestBroker(t, func(k *brokerConn, _ int) {
				address = k.readHello().SessionPubkey
				k.write("", wire.HelloAck{Proto: tt.proto})
				k.serve(func(f received) wire.Frame {
					switch f.Type {
					case (wire.Send{}).FrameType():
						var s wire.Send
						k.decode(f, &s)
						ch <- s
					case (wire.ListPeers{}).FrameType():
						if !tt.listed {
							return wire.Errorf(wire.Internal, "no")
						}
						list := wire.PeersList{}
						for _, p := range tt.peers {
							if p.Pubkey == "mine" {
								p.Pubkey = address
							}
							list.Peers = append(list.Peers, p)
						}
						return list
					}
					return nil
				})
			})
			c := b.open(func(o *Options) { o.Mesh.RootKey, o.EncryptMulticast = tt.root, tt.policy })
			_, err := c.Send(t.Context(), SendRequest{Target: "@eng", Text: "hi", Exclude: []string{"x"}})
			if tt.policy == MulticastSealed && tt.root == "" {
				if err == nil {
					t.Error("sent without a key")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			s := receive(t, ch)
			if s.TargetSpec != "@eng" || len(s.Exclude) != 1 {
				t.Errorf("sent %+v", s)
			}
			if got := seal.IsMulticast(s.Ciphertext); got != tt.sealed {
				t.Errorf("sealed: %v", got)
			}
			if tt.sealed {
				m, err := seal.NewMulticast(testRoot)
				if err != nil {
					t.Fatal(err)
				}
				text, sender, err := m.Open(testMesh, "@eng", s.Nonce, s.Ciphertext)
				if err != nil || text != "hi" || sender.String() != c.Address() {
					t.Errorf("opened %q of %s: %v", text, sender, err)
				}
			} else if text, err := seal.OpenPlainEnvelope(s.Ciphertext); err != nil || text != "hi" {
				t.Errorf("read %q: %v", text, err)
			}
		})
	}
}

func TestUnansweredSendsAreRepeatedWithTheSameBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen [2][]string
		b := newPipeBroker(t, func(k *brokerConn, n int) {
			k.hello()
			for range 3 {
				f, ok := k.read()
				if !ok {
					return
				}
				if n <= 2 {
					seen[n-1] = append(seen[n-1], string(f.data))
				}
				if n == 1 {
					continue
				}
				var s wire.Send
				k.decode(f, &s)
				k.write("", wire.Ack{ID: s.ID, MessageID: "m"})
			}
			if n > 1 {
				k.wait()
			}
		})
		c := b.open()
		to := newKey(t).Public().String()
		var under []*Sending
		for i := range 3 {
			s, err := c.SendAsync(t.Context(), SendRequest{Target: to, Text: fmt.Sprint(i)})
			if err != nil {
				t.Fatal(err)
			}
			under = append(under, s)
		}
		for _, s := range under {
			if ack, err := s.Wait(t.Context()); err != nil || ack.MessageID != "m" {
				t.Errorf("%+v, %v", ack, err)
			}
		}
		if len(seen[0]) != 3 || fmt.Sprint(seen[0]) != fmt.Sprint(seen[1]) {
			t.Errorf("first %q\nthen  %q", seen[0], seen[1])
		}
	})
}

func TestRefusalsThatPassAreRetriedWithinTheDeadline(t *testing.T) {
	for _, code := range []wire.Code{wire.RateLimited, wire.Unavailable} {
		synctest.Test(t, func(t *testing.T) {
			ch := make(chan wire.Send, 100)
			refusals := 3
			b := newPipeBroker(t, sends(ch, func(s wire.Send) wire.Frame {
				if refusals--; refusals >= 0 {
					return &wire.Error{Code: code, Message: "wait", ID: s.ID}
				}
				return nil
			}))
			c := b.open()
			to := newKey(t).Public().String()
			begin := time.Now()
			if _, err := c.Send(t.Context(), SendRequest{Target: to, Text: "x"}); err != nil {
				t.Errorf("%s: %v", code, err)
			}
			if d := time.Since(begin); d != 250*time.Millisecond+500*time.Millisecond+time.Second {
				t.Errorf("%s: accepted after %v", code, d)
			}
			first := <-ch
			for range 3 {
				if s := <-ch; s.ID != first.ID || s.Ciphertext != first.Ciphertext {
					t.Errorf("%s: repeated as %+v, first %+v", code, s, first)
				}
			}
			refusals = 1000
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			if _, err := c.Send(ctx, SendRequest{Target: to, Text: "y"}); !errors.Is(err, &wire.Error{Code: code}) {
				t.Errorf("%s: error is %v", code, err)
			}
		})
	}
}

func TestOtherRefusalsAreReported(t *testing.T) {
	ch := make(chan wire.Send, 10)
	b := newTestBroker(t, sends(ch, func(s wire.Send) wire.Frame {
		return &wire.Error{Code: wire.Limit, Message: "full", ID: s.ID}
	}))
	c := b.open()
	if _, err := c.Send(t.Context(), SendRequest{Target: "*", Text: "x"}); !errors.Is(err, &wire.Error{Code: wire.Limit}) {
		t.Errorf("error is %v", err)
	}
	if len(ch) != 1 {
		t.Errorf("sent %d times", len(ch))
	}
}

func TestSendsWaitForAConnectionUpToALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ch := make(chan wire.Send, 2*maxOfflineSend)
		open := make(chan struct{})
		b := newPipeBroker(t, func(k *brokerConn, n int) {
			<-open
			sends(ch, nil)(k, n)
		})
		c := b.start()
		to := newKey(t).Public().String()
		var waiting []*Sending
		for range maxOfflineSend {
			s, err := c.SendAsync(t.Context(), SendRequest{Target: to, Text: "x"})
			if err != nil {
				t.Fatal(err)
			}
			waiting = append(waiting, s)
		}
		if _, err := c.SendAsync(t.Context(), SendRequest{Target: to, Text: "x"}); !errors.Is(err, ErrBusy) || !errors.Is(err, ErrNotConnected) {
			t.Errorf("one too many: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := waiting[0].Wait(ctx); !errors.Is(err, ErrNotConnected) {
			t.Errorf("given up: %v", err)
		}
		close(open)
		for _, s := range waiting[1:] {
			if _, err := s.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(ch); n != maxOfflineSend-1 {
			t.Errorf("%d sent", n)
		}
		for i := range maxOfflineSend - 1 {
			if s := <-ch; s.ID != waiting[i+1].ID {
				t.Fatalf("send %d is out of order", i)
			}
		}
	})
}

func TestCloseFailsWhatIsUnderWay(t *testing.T) {
	b := newTestBroker(t, func(k *brokerConn, _ int) {
		k.hello()
		k.wait()
	})
	c := b.open()
	s, err := c.SendAsync(t.Context(), SendRequest{Target: newKey(t).Public().String(), Text: "x"})
	if err != nil {
		t.Fatal(err)
	}
	c.Close(t.Context())
	if _, err := s.Wait(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("error is %v", err)
	}
	if _, err := c.SendAsync(t.Context(), SendRequest{Target: "*", Text: "x"}); !errors.Is(err, ErrClosed) {
		t.Errorf("a new one: %v", err)
	}
}
