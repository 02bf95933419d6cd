package peer

import (
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"

	"claudemesh/wire"
)

// signatures refuses what was signed before.
type signatures struct {
	mu   sync.Mutex
	used map[string]bool
}

func (s *signatures) first(signature string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used == nil {
		s.used = make(map[string]bool)
	}
	if s.used[signature] {
		return false
	}
	s.used[signature] = true
	return true
}

func TestProcessesOfAMemberThatStartAtOnceAllConnect(t *testing.T) {
	const processes = 50
	var used signatures
	b := newTestBroker(t, func(k *brokerConn, _ int) {
		h := k.readHello()
		if !used.first(h.Signature) {
			k.refuse(wire.Replayed)
			return
		}
		k.write("", wire.HelloAck{PresenceID: "p", Proto: wire.Proto})
		k.wait()
	})
	o := b.options()
	o.Transient, o.jitter = true, rand.Float64
	clients := make([]*Client, processes)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			var err error
			if clients[i], err = Open(t.Context(), o); err != nil {
				t.Errorf("process %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	for _, c := range clients {
		if c != nil {
			b.closing(c)
		}
	}
}

func TestAHelloThatWasUsedIsSignedAnewAFewTimes(t *testing.T) {
	for _, tt := range []struct {
		refused int
		ok      bool
	}{{0, true}, {1, true}, {maxSignAnew, true}, {maxSignAnew + 1, false}} {
		b := newTestBroker(t, func(k *brokerConn, n int) {
			k.readHello()
			if n <= tt.refused {
				k.refuse(wire.Replayed)
				return
			}
			k.write("", wire.HelloAck{PresenceID: "p", Proto: wire.Proto})
			k.wait()
		})
		c, err := Open(t.Context(), b.options())
		if err == nil {
			b.closing(c)
		}
		if tt.ok && err != nil || !tt.ok && !errors.Is(err, &wire.Error{Code: wire.Replayed}) {
			t.Errorf("refused %d times: %v", tt.refused, err)
		}
	}
}

func TestALostConnectionIsMadeAgainPastAUsedHello(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPipeBroker(t, func(k *brokerConn, n int) {
			switch n {
			case 1:
				k.hello() // and the connection ends
			case 2:
				k.readHello()
				k.refuse(wire.Replayed)
			default:
				k.hello()
				k.wait()
			}
		})
		c := b.open()
		until(t, c, func(s Status) bool { return s.State == StateOpen && b.connections() == 3 })
	})
}

func TestARequestWhoseSignatureWasUsedIsSignedAnew(t *testing.T) {
	var used signatures
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !used.first(r.Header.Get(wire.HeaderSignature)) {
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"ok":false,"error":"replayed","message":"signed before"}`)
			return
		}
		io.WriteString(w, `{"ok":true,"members":[]}`)
	}))
	defer s.Close()
	key := newKey(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			api, err := NewAPI(s.URL, key)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := api.Members(t.Context(), "M"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
