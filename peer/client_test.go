package peer

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"claudemesh/seal"
	"claudemesh/wire"
)

func TestHelloProvesMemberAndSession(t *testing.T) {
	hellos := make(chan wire.Hello, 1)
	b := newTestBroker(t, func(k *brokerConn, _ int) {
		hellos <- k.hello()
		k.wait()
	})
	c := b.open(func(o *Options) {
		o.DisplayName, o.Cwd, o.PID, o.Hostname = "Ann", "/work", os.Getpid(), "box"
		o.PeerType, o.Channel, o.Model, o.Role = "ai", "cli", "m", "lead"
	})
	h := receive(t, hellos)
	if h.Proto != wire.Proto || h.Instance == "" || h.MeshID != testMesh || h.MemberID != "member01" ||
		h.DisplayName != "Ann" || h.Cwd != "/work" || h.PID != os.Getpid() || h.SessionID != "s-1" || h.Role != "lead" {
		t.Errorf("hello is %+v", h)
	}
	if h.SessionPubkey != c.Address() {
		t.Errorf("session key %s is not the address %s", h.SessionPubkey, c.Address())
	}
	text, err := seal.HelloText(h.MeshID, h.MemberID, h.Pubkey, int64(h.Timestamp))
	if err != nil || !c.member.Public().Verify(text, h.Signature) {
		t.Errorf("member signature does not verify: %v", err)
	}
	text, err = seal.SessionText(h.MeshID, h.MemberID, h.Pubkey, h.SessionPubkey, int64(h.Timestamp))
	if err != nil || !c.own.Public().Verify(text, h.SessionSignature) {
		t.Errorf("session signature does not verify: %v", err)
	}
	if c.Hello().PresenceID != "p" || c.Hello().MemberDisplayName != "me" {
		t.Errorf("answer is %+v", c.Hello())
	}
}

func TestWithoutSessionKeyTheMemberIsTheAddress(t *testing.T) {
	hellos := make(chan wire.Hello, 1)
	b := newTestBroker(t, func(k *brokerConn, _ int) {
		hellos <- k.hello()
		k.wait()
	})
	c := b.open(func(o *Options) { o.SessionKey, o.Transient, o.Drain = seal.PrivateKey{}, true, true })
	if h := receive(t, hellos); h.SessionPubkey != "" || h.SessionSignature != "" || !h.Transient || !h.Drain {
		t.Errorf("hello is %+v", h)
	}
	if c.Address() != c.Mesh().Pubkey {
		t.Errorf("address is %s", c.Address())
	}
}

func TestKeysThatDoNotFitAreRefusedBeforeConnecting(t *testing.T) {
	b := newTestBroker(t, func(k *brokerConn, _ int) { t.Error("the client connected") })
	for name, change := range map[string]func(*Mesh){
		"no secret key":    func(m *Mesh) { m.SecretKey = "" },
		"another's pubkey": func(m *Mesh) { m.Pubkey = newKey(t).Public().String() },
		"bad root key":     func(m *Mesh) { m.RootKey = "x" },
	} {
		o := b.options()
		secret := o.Mesh.SecretKey
		change(&o.Mesh)
		_, err := Start(t.Context(), o)
		if err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error shows the secret", name)
		}
	}
}

func TestFirstRefusalIsReportedWithItsCode(t *testing.T) {
	for _, code := range []wire.Code{wire.Unauthorized, wire.BadSignature, wire.Malformed, wire.Capacity} {
		b := newTestBroker(t, func(k *brokerConn, _ int) {
			k.readHello()
			k.refuse(code)
		})
		_, err := Open(t.Context(), b.options())
		if !errors.Is(err, &wire.Error{Code: code}) {
			t.Errorf("%s: error is %v", code, err)
		}
	}
}

func TestRefusalWithoutErrorFrameIsReadFromTheCloseReason(t *testing.T) {
	b := newTestBroker(t, func(k *brokerConn, _ int) {
		k.readHello()
		k.ws.Close(wire.CloseRefused, string(wire.Unauthorized))
	})
	if _, err := Open(t.Context(), b.options()); !errors.Is(err, &wire.Error{Code: wire.Unauthorized}) {
		t.Errorf("error is %v", err)
	}
}

func TestPermanentRefusalsStopTheLoop(t *testing.T) {
	refuse := func(code wire.Code) script {
		return func(k *brokerConn, _ int) { k.readHello(); k.refuse(code) }
	}
	closeWith := func(code websocket.StatusCode, reason string) script {
		return func(k *brokerConn, _ int) { k.hello(); k.ws.Close(code, reason) }
	}
	tests := map[string]struct {
		play script
		want error
	}{
		"unauthorized":  {refuse(wire.Unauthorized), &wire.Error{Code: wire.Unauthorized}},
		"bad signature": {refuse(wire.BadSignature), &wire.Error{Code: wire.BadSignature}},
		"malformed":     {refuse(wire.Malformed), &wire.Error{Code: wire.Malformed}},
		"superseded":    {closeWith(wire.CloseSuperseded, "superseded"), ErrSuperseded},
		"revoked":       {closeWith(wire.CloseRevoked, "revoked"), ErrRevoked},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newPipeBroker(t, tt.play)
				c := b.start()
				s := until(t, c, func(s Status) bool { return s.State == StateClosed })
				time.Sleep(time.Hour)
				if n := b.connections(); n != 1 {
					t.Errorf("%d connections", n)
				}
				if !errors.Is(s.Err, tt.want) {
					t.Errorf("error is %v", s.Err)
				}
				if err := c.Ready(t.Context()); !errors.Is(err, tt.want) {
					t.Errorf("Ready says %v", err)
				}
				if err := c.SetSummary(t.Context(), "x"); !errors.Is(err, tt.want) {
					t.Errorf("a call says %v", err)
				}
				if _, err := c.Next(t.Context()); !errors.Is(err, tt.want) {
					t.Errorf("Next says %v", err)
				}
			})
		})
	}
}

func TestAttemptsBackOffUpToHalfAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		b := newPipeBroker(t, func(k *brokerConn, n int) {
			at = append(at, time.Now())
			if n == 8 {
				k.hello()
			}
		})
		c := b.start()
		time.Sleep(5 * time.Minute)
		c.Close(t.Context())
		var got []time.Duration
		for i := 1; i < 10; i++ {
			got = append(got, at[i].Sub(at[i-1]))
		}
		const s = time.Second
		want := []time.Duration{1 * s, 2 * s, 4 * s, 8 * s, 16 * s, 30 * s, 30 * s, 1 * s, 2 * s} // reset by the hello
		if !slices.Equal(got, want) {
			t.Errorf("waits are %v, want %v", got, want)
		}
	})
}

func TestCapacityIsRetriedWithTheLongestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPipeBroker(t, func(k *brokerConn, n int) {
			if n == 1 {
				k.readHello()
				k.refuse(wire.Capacity)
				return
			}
			k.hello()
			k.wait()
		})
		begin := time.Now()
		c := b.start()
		s := until(t, c, func(s Status) bool { return s.Err != nil })
		if s.State != StateConnecting || s.Failures != 1 || !s.RetryAt.Equal(begin.Add(longestDelay)) {
			t.Errorf("status is %+v", s)
		}
		if err := c.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begin); d != longestDelay {
			t.Errorf("open after %v", d)
		}
	})
}

func TestWrongClockIsCorrectedByTheBrokersDate(t *testing.T) {
	for name, tt := range map[string]struct {
		skew  time.Duration // of the broker's clock
		lies  bool          // the Date is of no help
		opens bool
	}{
		"broker ahead":       {10 * time.Minute, false, true},
		"broker behind":      {-3 * time.Hour, false, true},
		"corrected for none": {10 * time.Minute, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			play := func(k *brokerConn, _ int) {
				h := k.readHello()
				if !h.Timestamp.Within(wire.MaxSkew, time.Now().Add(tt.skew)) {
					k.refuse(wire.TimestampSkew)
					return
				}
				k.write("", wire.HelloAck{Proto: wire.Proto})
				k.wait()
			}
			b := newTestBroker(t, play)
			if !tt.lies {
				b.skew = tt.skew
			}
			c, err := Open(t.Context(), b.options())
			if opens := err == nil; opens != tt.opens {
				t.Fatalf("error is %v", err)
			}
			if b.connections() != 2 {
				t.Errorf("%d connections", b.connections())
			}
			if err != nil {
				if !errors.Is(err, &wire.Error{Code: wire.TimestampSkew}) {
					t.Errorf("error is %v", err)
				}
				return
			}
			c.Close(t.Context())
		})
	}
}

func TestSilentBrokerFailsTheAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPipeBroker(t, func(k *brokerConn, _ int) {
			k.readHello()
			k.wait()
		})
		begin := time.Now()
		if _, err := Open(t.Context(), b.options()); !errors.Is(err, errHello) {
			t.Errorf("error is %v", err)
		}
		if d := time.Since(begin); d != helloTimeout {
			t.Errorf("failed after %v", d)
		}
	})
}

func TestAnswersToPingsKeepAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPipeBroker(t, func(k *brokerConn, _ int) {
			k.hello()
			k.wait() // reading answers the pings
		})
		c := b.open()
		time.Sleep(time.Hour)
		if n := b.connections(); n != 1 || c.State() != StateOpen {
			t.Errorf("%d connections, now %v", n, c.State())
		}
	})
}

func TestConnectionWithoutAnswersIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPipeBroker(t, func(k *brokerConn, _ int) {
			k.hello()
			k.wait()
		})
		b.deaf = true
		c := b.open()
		begin := time.Now()
		s := until(t, c, func(s Status) bool { return s.State == StateReconnecting && s.Failures > 0 })
		if !errors.Is(s.Err, errDead) {
			t.Errorf("error is %v", s.Err)
		}
		if d := time.Since(begin); d != wire.DeadAfter {
			t.Errorf("given up after %v", d)
		}
	})
}

func TestStateIsObservable(t *testing.T) {
	again := make(chan struct{})
	b := newTestBroker(t, func(k *brokerConn, n int) {
		if n == 2 {
			<-again
		}
		k.hello()
		if n == 1 {
			k.ws.Close(wire.CloseShutdown, "shutting down")
			return
		}
		k.wait()
	})
	c := b.start()
	until(t, c, func(s Status) bool { return s.State == StateReconnecting && s.Err != nil })
	close(again)
	if s := until(t, c, func(s Status) bool { return s.State == StateOpen }); s.Err != nil || s.Failures != 0 {
		t.Errorf("status is %+v", s)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := c.Status(); s.State != StateClosed || !errors.Is(s.Err, ErrClosed) {
		t.Errorf("status is %+v", s)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

func TestOpenFailsWhereNobodyListens(t *testing.T) {
	b := newTestBroker(t, func(k *brokerConn, _ int) {})
	o := b.options()
	b.server.Close()
	if _, err := Open(t.Context(), o); err == nil {
		t.Error("opened")
	}
}

func TestFailuresAreJudged(t *testing.T) {
	closed := func(code websocket.StatusCode, reason string) error {
		return explain(websocket.CloseError{Code: code, Reason: reason})
	}
	for _, tt := range []struct {
		name string
		err  error
		want verdict
	}{
		{"network", errors.New("connection refused"), retry},
		{"unauthorized", wire.Errorf(wire.Unauthorized, "x"), giveUp},
		{"bad signature", wire.Errorf(wire.BadSignature, "x"), giveUp},
		{"malformed", wire.Errorf(wire.Malformed, "x"), giveUp},
		{"capacity", wire.Errorf(wire.Capacity, "x"), patient},
		{"skew", wire.Errorf(wire.TimestampSkew, "x"), refresh},
		{"repeated", wire.Errorf(wire.Replayed, "x"), retry},
		{"internal", wire.Errorf(wire.Internal, "x"), retry},
		{"shutdown", closed(wire.CloseShutdown, "shutting down"), retry},
		{"refused", closed(wire.CloseRefused, "unauthorized"), giveUp},
		{"refused for capacity", closed(wire.CloseRefused, "capacity"), patient},
		{"too big", closed(wire.CloseTooBig, ""), retry},
		{"superseded", closed(wire.CloseSuperseded, "superseded"), giveUp},
		{"slow", closed(wire.CloseSlow, "slow consumer"), retry},
		{"revoked", closed(wire.CloseRevoked, "revoked"), giveUp},
		{"no pong", closed(wire.CloseDead, "no pong"), retry},
		{"anything else", closed(1011, "oops"), retry},
	} {
		if got := judge(tt.err); got != tt.want {
			t.Errorf("%s: verdict %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestBackOffNeverExceedsItsTable(t *testing.T) {
	for n := range 40 {
		full, least := reconnectDelay(n, false, 0), reconnectDelay(n, false, 1)
		if full > longestDelay || least > full || least < full*3/4 {
			t.Errorf("after %d failures: %v to %v", n, least, full)
		}
		if d := resendDelay(n, 0); d <= 0 || d > 8*time.Second {
			t.Errorf("try %d is resent after %v", n, d)
		}
	}
}

func TestAnEndForGoodIsNotShownAsALostConnection(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want State
	}{
		"revoked":     {websocket.CloseError{Code: wire.CloseRevoked}, StateClosed},
		"superseded":  {websocket.CloseError{Code: wire.CloseSuperseded}, StateClosed},
		"shutting":    {websocket.CloseError{Code: wire.CloseShutdown}, StateReconnecting},
		"the network": {io.EOF, StateReconnecting},
	} {
		c := &Client{status: Status{State: StateOpen}}
		if c.lost(tt.err); c.State() != tt.want {
			t.Errorf("%s: %s, want %s", name, c.State(), tt.want)
		}
	}
}
