package peer

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"claudemesh/wire"
)

// told returns a script that collects, per connection, the requests a peer
// makes after its hello, which is answered with acks[n-1], or the last one.
func told(ch chan<- string, acks ...wire.HelloAck) script {
	return func(k *brokerConn, n int) {
		k.readHello()
		k.write("", acks[min(n, len(acks))-1])
		k.serve(func(f received) wire.Frame {
			ch <- fmt.Sprintf("%d %s", n, f.data)
			if f.Type == (wire.MeshInfo{}).FrameType() { // the end of a connection
				k.ws.CloseNow()
			}
			return nil
		})
	}
}

// requestsOf returns the frames of a connection without their _reqId.
func requestsOf(ch chan string, n int) (out []string) {
	for range len(ch) {
		line := <-ch
		var conn int
		fmt.Sscan(line, &conn)
		if conn != n {
			continue
		}
		h, err := wire.Peek([]byte(line[2:]))
		if err != nil {
			panic(err)
		}
		out = append(out, fmt.Sprintf("%s %s", h.Type, line[2+len(`{"type":"","_reqId":""}`)+len(h.Type)+len(h.ReqID):]))
	}
	return out
}

func TestWishesAreToldAgainAfterAReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ch := make(chan string, 100)
		fresh := wire.HelloAck{Proto: 2}
		restored := wire.HelloAck{Proto: 2, Restored: true, RestoredGroups: []wire.Group{{Name: "eng"}, {Name: "ops", Role: "old"}, {Name: "left"}}}
		b := newPipeBroker(t, told(ch, fresh, restored))
		c := b.open(func(o *Options) { o.Groups = []wire.Group{{Name: "@eng"}, {Name: "left"}, {Name: "bad name"}} })
		synctest.Wait()
		ctx := t.Context()
		title, bio := "T", "B"
		for _, err := range []error{
			c.JoinGroup(ctx, wire.Group{Name: "ops", Role: "new"}),
			c.LeaveGroup(ctx, "@left"),
			c.SetSummary(ctx, "first"),
			c.SetSummary(ctx, "second"),
			c.SetStatus(ctx, wire.Working),
			c.InferStatus(ctx, wire.Idle),
			c.SetVisible(ctx, false),
			c.SetProfile(ctx, wire.SetProfile{Title: &title}),
			c.SetProfile(ctx, wire.SetProfile{Bio: &bio}),
			c.SetStats(ctx, wire.Stats{ToolCalls: 3}),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if got := requestsOf(ch, 1)[:2]; !slices.Equal(got, []string{`join_group "name":"eng"}`, `join_group "name":"left"}`}) {
			t.Errorf("first told %q", got)
		}
		if _, err := Call(ctx, c, wire.MeshInfo{}); !errors.Is(err, ErrLost) {
			t.Fatal(err)
		}
		if err := c.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want := []string{
			`join_group "name":"ops","role":"new"}`,
			`leave_group "name":"left"}`,
			`set_summary "summary":"second"}`,
			`set_status "status":"working"}`,
			`set_visible "visible":false}`,
			`set_profile "title":"T","bio":"B"}`,
			`set_stats "stats":{"toolCalls":3}}`,
		}
		if got := requestsOf(ch, 2); !slices.Equal(got, want) {
			t.Errorf("then told\n%q, want\n%q", got, want)
		}
	})
}

func TestWishesMadeOfflineAreToldLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ch := make(chan string, 100)
		open := make(chan struct{})
		play := told(ch, wire.HelloAck{Proto: 2})
		b := newPipeBroker(t, func(k *brokerConn, n int) {
			<-open
			play(k, n)
		})
		c := b.start()
		if err := c.SetSummary(t.Context(), "later"); !errors.Is(err, ErrNotConnected) {
			t.Errorf("error is %v", err)
		}
		close(open)
		if err := c.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := len(ch); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestRefusedWishesAreForgotten(t *testing.T) {
	b := newTestBroker(t, func(k *brokerConn, _ int) {
		k.hello()
		n := 0
		k.serve(func(f received) wire.Frame {
			if n++; n > 1 {
				return wire.Errorf(wire.BadRequest, "no")
			}
			return nil
		})
	})
	c := b.open()
	ctx := t.Context()
	if err := c.SetSummary(ctx, "good"); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		c.SetSummary(ctx, "bad"),
		c.SetStatus(ctx, "bad"),
		c.JoinGroup(ctx, wire.Group{Name: "g"}),
	} {
		if !errors.Is(err, &wire.Error{Code: wire.BadRequest}) {
			t.Errorf("error is %v", err)
		}
	}
	got := c.desired.wishes(&wire.HelloAck{})
	if len(got) != 1 || got[0] != wish(wire.SetSummary{Summary: "good"}) {
		t.Errorf("wishes are %+v", got)
	}
}

func TestTransientClientsHaveNoWishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ch := make(chan string, 10)
		b := newPipeBroker(t, told(ch, wire.HelloAck{Proto: 2}))
		b.open(func(o *Options) { o.Transient, o.Groups = true, []wire.Group{{Name: "eng"}} })
		synctest.Wait()
		if len(ch) != 0 {
			t.Errorf("told %s", <-ch)
		}
	})
}

func TestBadGroupNamesAreRefusedLocally(t *testing.T) {
	c, err := newClient((&testBroker{t: t}).options())
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{c.JoinGroup(t.Context(), wire.Group{Name: "a b"}), c.LeaveGroup(t.Context(), "")} {
		if !errors.Is(err, &wire.Error{Code: wire.BadRequest}) {
			t.Errorf("error is %v", err)
		}
	}
}

func TestGroupsAreLimited(t *testing.T) {
	var d desired
	for i := range 2 * wire.MaxGroups {
		d.join(wire.Group{Name: fmt.Sprint("j", i)})
		d.leave(fmt.Sprint("l", i))
	}
	if len(d.joined) != wire.MaxGroups || len(d.left) != wire.MaxGroups {
		t.Errorf("%d joined, %d left", len(d.joined), len(d.left))
	}
}
