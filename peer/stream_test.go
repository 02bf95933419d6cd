package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"claudemesh/wire"
)

// A scriptedStream is what a broker has of a stream.
type scriptedStream struct {
	mu    sync.Mutex
	k     *brokerConn // the newest connection
	first int64
	last  int64
	page  int64 // entries that an answer holds
	asked []string
}

func (s *scriptedStream) play(k *brokerConn, _ int) {
	k.hello()
	s.mu.Lock()
	s.k = k
	s.mu.Unlock()
	k.serve(func(f received) wire.Frame {
		if f.Type != (wire.Subscribe{}).FrameType() {
			return nil
		}
		var req wire.Subscribe
		k.decode(f, &req)
		return s.answer(&req)
	})
}

func (s *scriptedStream) answer(req *wire.Subscribe) wire.Frame {
	s.mu.Lock()
	defer s.mu.Unlock()
	res := wire.Subscribed{Stream: req.Stream, First: s.first, Last: s.last}
	if req.From == nil {
		s.asked = append(s.asked, "now")
		return res
	}
	s.asked = append(s.asked, fmt.Sprint(*req.From))
	for seq := max(*req.From, s.first); seq <= s.last; seq++ {
		if int64(len(res.Entries)) == s.page {
			res.More = true
			break
		}
		res.Entries = append(res.Entries, wire.StreamEntry{Seq: seq, Data: json.RawMessage(fmt.Sprint(seq)), PublishedAt: at(seq)})
	}
	return res
}

func at(seq int64) wire.Time {
	var t wire.Time
	t.UnmarshalJSON(fmt.Appendf(nil, `"2030-01-01T00:%02d:%02d.000Z"`, seq/60, seq%60))
	return t
}

// publish adds entries up to that number, and sends those that are among sent.
func (s *scriptedStream) publish(last int64, sent ...int64) {
	s.mu.Lock()
	k := s.k
	s.last = last
	s.mu.Unlock()
	for _, seq := range sent {
		t := at(seq)
		k.write("", wire.StreamData{Stream: "s", Seq: seq, Data: json.RawMessage(fmt.Sprint(seq)), PublishedAt: &t})
	}
}

// read returns the entries that come without more happening.
func read(t *testing.T, s *Subscription) string {
	t.Helper()
	var got []string
	for {
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan string, 1)
		go func() {
			e, err := s.Next(ctx)
			switch {
			case errors.Is(err, context.Canceled):
				result <- ""
			case err != nil:
				result <- err.Error()
			case e.Missed > 0:
				result <- fmt.Sprintf("-%d %s", e.Missed, e.Data)
			default:
				result <- string(e.Data)
			}
		}()
		synctest.Wait()
		cancel()
		one := <-result
		if one == "" {
			return strings.Join(got, " ")
		}
		got = append(got, one)
	}
}

func TestEntriesOfAStreamComeInOrderAndOnce(t *testing.T) {
	for _, c := range []struct {
		name        string
		first, last int64 // when the client subscribes
		from        int64
		then        func(*scriptedStream)
		want, asked string
	}{
		{"from now on", 1, 3, 0, func(s *scriptedStream) { s.publish(5, 4, 5) }, "4 5", "now"},
		{"from a number on", 1, 3, 2, func(s *scriptedStream) { s.publish(4, 4) }, "2 3 4", "now 2"},
		{"the last ones", 1, 5, -2, func(s *scriptedStream) {}, "4 5", "now 4"},
		{"all of them, by pages", 1, 9, 1, func(s *scriptedStream) {}, "1 2 3 4 5 6 7 8 9", "now 1 5 9"},
		{"more than are kept", 4, 5, -9, func(s *scriptedStream) {}, "4 5", "now 4"},
		{"what a slow client did not get is fetched", 1, 1, 0, func(s *scriptedStream) { s.publish(5, 2, 5) }, "2 3 4 5", "now 3"},
		{"what is not kept is said to be missed", 1, 1, 0, func(s *scriptedStream) { s.first = 4; s.publish(6, 6) }, "-2 4 5 6", "now 2"},
		{"what nobody keeps too", 1, 1, 0, func(s *scriptedStream) { s.publish(1); s.publish(1, 4) }, "-2 4", "now 2"},
		{"what comes twice is returned once", 1, 3, 1, func(s *scriptedStream) { s.publish(4, 2, 3, 4) }, "1 2 3 4", "now 1"},
		{"an older broker does not number", 0, 0, 0, func(s *scriptedStream) {
			s.k.write("", wire.StreamData{Stream: "s", Data: json.RawMessage("7")})
			s.k.write("", wire.StreamData{Stream: "s", Data: json.RawMessage("7")})
		}, "7 7", "now"},
		{"a stream of another name is none of its own", 0, 0, 0, func(s *scriptedStream) {
			s.k.write("", wire.StreamData{Stream: "t", Data: json.RawMessage("7")})
		}, "", "now"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scriptedStream{first: c.first, last: c.last, page: 4}
				client := newPipeBroker(t, s.play).open()
				sub, err := client.Subscribe(t.Context(), "s", c.from)
				if err != nil {
					t.Fatal(err)
				}
				if again, err := client.Subscribe(t.Context(), "s", 1); again != sub || err != nil {
					t.Errorf("a second subscription: %v", err)
				}
				c.then(s)
				if got, asked := read(t, sub), strings.Join(s.asked, " "); got != c.want || asked != c.asked {
					t.Errorf("got %q by asking from %q, want %q from %q", got, asked, c.want, c.asked)
				}
			})
		})
	}
}

func TestMoreEntriesThanWaitAreFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scriptedStream{first: 1, page: 1000}
		sub, err := newPipeBroker(t, s.play).open().Subscribe(t.Context(), "s", 0)
		if err != nil {
			t.Fatal(err)
		}
		const many = maxEntries + 50
		for seq := int64(1); seq <= many; seq++ {
			s.publish(seq, seq)
		}
		if got := strings.Fields(read(t, sub)); len(got) != many || got[many-1] != fmt.Sprint(many) {
			t.Errorf("%d entries", len(got))
		}
	})
}

func TestASubscriptionSurvivesALostConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scriptedStream{first: 1, last: 1, page: 4}
		client := newPipeBroker(t, s.play).open()
		sub, err := client.Subscribe(t.Context(), "s", 0)
		if err != nil {
			t.Fatal(err)
		}
		s.publish(2, 2)
		if got := read(t, sub); got != "2" {
			t.Errorf("got %s", got)
		}
		s.k.ws.CloseNow()
		s.publish(4)
		until(t, client, func(st Status) bool { return st.State == StateReconnecting })
		until(t, client, func(st Status) bool { return st.State == StateOpen })
		if got := read(t, sub); got != "3 4" {
			t.Errorf("after it got %s", got)
		}
		s.mu.Lock()
		s.first, s.last = 1, 1 // it was deleted and made again
		s.mu.Unlock()
		s.k.ws.CloseNow()
		until(t, client, func(st Status) bool { return st.State == StateReconnecting })
		until(t, client, func(st Status) bool { return st.State == StateOpen })
		if got := read(t, sub); got != "1" {
			t.Errorf("of a stream made anew it got %s", got)
		}
		if err := sub.Close(t.Context()); err != nil {
			t.Error(err)
		}
		s.publish(2, 2)
		if got, err := sub.Next(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("after its end it got %v, %v", got, err)
		}
		if sub, err = client.Subscribe(t.Context(), "s", 0); err != nil {
			t.Error(err)
		}
		if err := client.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got, err := sub.Next(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("of a closed client it got %v, %v", got, err)
		}
	})
}

func TestARefusedSubscriptionIsAnError(t *testing.T) {
	b := newTestBroker(t, func(k *brokerConn, _ int) {
		k.hello()
		k.serve(func(received) wire.Frame { return wire.Errorf(wire.Limit, "enough") })
	})
	c := b.open()
	for range 2 {
		if _, err := c.Subscribe(t.Context(), "s", 0); !errors.Is(err, &wire.Error{Code: wire.Limit}) {
			t.Errorf("error %v", err)
		}
	}
	if _, _, err := c.Publish(t.Context(), "s", []byte("1")); !errors.Is(err, &wire.Error{Code: wire.Limit}) {
		t.Errorf("error %v", err)
	}
}
