package peer

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"claudemesh/wire"
)

// key returns 64 hex digits that begin with prefix.
func key(prefix string) string { return prefix + strings.Repeat("0", 64-len(prefix)) }

// listing answers list_peers with what list returns and counts how often.
func listing(asked *atomic.Int64, list func(self string) wire.PeersList) script {
	return func(k *brokerConn, _ int) {
		self := k.hello().SessionPubkey
		k.serve(func(f received) wire.Frame {
			if f.Type != (wire.ListPeers{}).FrameType() {
				return nil
			}
			if asked.Add(1); !strings.Contains(string(f.data), `"members":true`) {
				k.t.Errorf("asked %s", f.data)
			}
			return list(self)
		})
	}
}

func TestResolve(t *testing.T) {
	hidden := false
	list := func(self string) wire.PeersList {
		return wire.PeersList{
			Peers: []wire.Peer{
				{Pubkey: self, DisplayName: "Me"},
				{Pubkey: key("a1"), DisplayName: "Alice"},
				{Pubkey: key("a2"), DisplayName: "Alice the second"},
				{Pubkey: key("b1"), DisplayName: "bob"},
				{Pubkey: key("b2"), DisplayName: "Bob"},
				{Pubkey: key("c1abcdef0"), DisplayName: "Carol", Visible: &hidden},
				{Pubkey: key("c1abcdef1"), DisplayName: "Dave"},
				{Pubkey: key("e1"), DisplayName: "deadbeef"},
			},
			Members: []wire.MemberBrief{
				{Pubkey: key("f1"), DisplayName: "Frank"},
				{Pubkey: key("f2"), DisplayName: "Carol"},
				{Pubkey: key("f3"), DisplayName: "Gus"},
				{Pubkey: key("f4"), DisplayName: "gus"},
			},
		}
	}
	var asked atomic.Int64
	c := newTestBroker(t, listing(&asked, list)).open()
	own := c.Address()
	if _, err := c.Peers(t.Context()); err != nil { // names of keys come from the list that is at hand
		t.Fatal(err)
	}
	full := strings.Repeat("9", 64)
	want := asked.Load()
	for _, tt := range []struct{ text, target, name, code string }{
		{full, full, "", ""},
		{strings.ToUpper(full[:63] + "a"), full[:63] + "a", "", ""},
		{own, own, "Me", ""},
		{"@eng/backend", "@eng/backend", "", ""},
		{"*", "*", "", ""},
		{"@all", "*", "", ""},
		{"#chan", "", "", "invalid_target"},
		{"@", "", "", "invalid_target"},
		{"  ", "", "", "invalid_target"},
		{"alice", key("a1"), "Alice", ""},
		{" Alice ", key("a1"), "Alice", ""},
		{"second", key("a2"), "Alice the second", ""},
		{"lice", "", "", "ambiguous"},
		{"BOB", "", "", "ambiguous"},
		{"aro", key("c1abcdef0"), "Carol", ""},
		{"carol", key("c1abcdef0"), "Carol", ""},
		{"frank", key("f1"), "Frank", ""},
		{"fran", "", "", "unknown_recipient"},
		{"gus", "", "", "ambiguous"},
		{"me", "", "", "unknown_recipient"},
		{"nobody", "", "", "unknown_recipient"},
		{"c1abcdef0", key("c1abcdef0"), "Carol", ""},
		{"C1ABCDEF1", key("c1abcdef1"), "Dave", ""},
		{"c1abcdef", "", "", "ambiguous"},
		{"deadbeef", key("e1"), "deadbeef", ""},
		{"12345678", "", "", "unknown_recipient"},
	} {
		r, err := c.Resolve(t.Context(), tt.text)
		if tt.code == "unknown_recipient" {
			want++ // before it is said
		}
		if n := asked.Load(); n != want {
			t.Fatalf("%q: the list was asked for %d times, want %d", tt.text, n, want)
		}
		if tt.code != "" {
			if !errors.Is(err, &wire.Error{Code: wire.Code(tt.code)}) {
				t.Errorf("%q: error is %v, want %s", tt.text, err, tt.code)
			}
			continue
		}
		if err != nil || r.Target.String() != tt.target || r.Name != tt.name || r.Target.Kind == wire.ToPrefix {
			t.Errorf("%q: %+v, %v", tt.text, r, err)
		}
	}

	_, err := c.Resolve(t.Context(), "bob")
	if e, ok := errors.AsType[*wire.Error](err); !ok || len(e.Candidates) != 2 || !strings.Contains(e.Message, key("b1")[:12]) {
		t.Errorf("the keys are not listed: %v", err)
	}
	if _, err = c.Resolve(t.Context(), "nobody"); !strings.Contains(err.Error(), "Alice") || strings.Contains(err.Error(), "Me (") {
		t.Errorf("those online are not listed: %v", err)
	}
	if _, err = c.Resolve(t.Context(), "me"); !strings.Contains(err.Error(), "that is you") {
		t.Errorf("one's own name: %v", err)
	}
}

// TestWhoHasJustComeIsFound has a peer come whose news are on their way still.
func TestWhoHasJustComeIsFound(t *testing.T) {
	var asked atomic.Int64
	c := newTestBroker(t, listing(&asked, func(string) wire.PeersList {
		if asked.Load() == 1 {
			return wire.PeersList{}
		}
		return wire.PeersList{Peers: []wire.Peer{{Pubkey: key("a1"), DisplayName: "Alice"}}}
	})).open()
	if list, err := c.Peers(t.Context()); err != nil || len(list.Peers) != 0 {
		t.Fatalf("at first there are %+v, %v", list.Peers, err)
	}
	if r, err := c.Resolve(t.Context(), "alice"); err != nil || r.Target.Name != key("a1") {
		t.Errorf("alice is %+v, %v", r, err)
	}
	if r, err := c.Resolve(t.Context(), "alice"); err != nil || r.Name != "Alice" || asked.Load() != 2 {
		t.Errorf("a second time: %+v, %v, and the list was asked for %d times", r, err, asked.Load())
	}
}

func TestNamesAreAskedForAgainAfterHalfAMinuteOrNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		news := make(chan struct{})
		b := newPipeBroker(t, func(k *brokerConn, n int) {
			go func() {
				for range news {
					k.write("", wire.Push{MessageID: "e", MeshID: testMesh, SenderPubkey: wire.SystemSender, Subtype: wire.SubtypeSystem, Event: wire.EventPeerJoined})
				}
			}()
			listing(&asked, func(string) wire.PeersList {
				return wire.PeersList{
					Peers:   []wire.Peer{{Pubkey: key("a1"), DisplayName: "Alice"}},
					Members: []wire.MemberBrief{{Pubkey: key("f1"), DisplayName: "Frank"}},
				}
			})(k, n)
		})
		t.Cleanup(func() { close(news) })
		c := b.open()
		names := func(want int64, why string) {
			t.Helper()
			for pubkey, name := range map[string]string{key("a1"): "Alice", key("f1"): "Frank", key("0123456789"): "peer-01234567", "x": "peer-x"} {
				if got := c.Name(t.Context(), pubkey); got != name {
					t.Errorf("%s is called %s", pubkey, got)
				}
			}
			if n := asked.Load(); n != want {
				t.Errorf("%s: asked %d times, want %d", why, n, want)
			}
		}
		names(1, "at first")
		time.Sleep(peersFor - time.Second)
		names(1, "soon after")
		time.Sleep(time.Second)
		names(2, "half a minute later")
		news <- struct{}{}
		synctest.Wait()
		names(3, "after news")
	})
}

func TestNameFallsBackToTheKey(t *testing.T) {
	c, err := newClient((&testBroker{t: t}).options())
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Name(t.Context(), key("abcdef0123")); got != "peer-abcdef01" {
		t.Errorf("called %s", got)
	}
}

func TestOneMessageReachesNobodyTwice(t *testing.T) {
	hidden := false
	list := func(self string) wire.PeersList {
		group := func(names ...string) (gs []wire.Group) {
			for _, n := range names {
				gs = append(gs, wire.Group{Name: n})
			}
			return gs
		}
		return wire.PeersList{Peers: []wire.Peer{
			{Pubkey: self, DisplayName: "Me", Groups: group("eng")},
			{Pubkey: key("a1"), DisplayName: "Alice", MemberPubkey: key("aa"), Groups: group("eng/backend", "ops")},
			{Pubkey: key("b1"), DisplayName: "Bob", MemberPubkey: key("bb"), Groups: group("ops")},
			{Pubkey: key("c1"), DisplayName: "Carol", MemberPubkey: key("cc"), Groups: group("eng"), Visible: &hidden},
			{Pubkey: key("dd"), DisplayName: "Dave", MemberPubkey: key("dd"), Groups: group("eng")},
			{Pubkey: key("d2"), DisplayName: "Dave 2", MemberPubkey: key("dd"), Groups: group("eng")},
		}}
	}
	var asked atomic.Int64
	c := newTestBroker(t, listing(&asked, list)).open()
	for _, tt := range []struct{ in, want string }{
		{"Alice Alice", "ALICE ALICE<ALICE"},
		{"Alice @eng", "ALICE<@eng @eng"},
		{"@eng Alice", "@eng ALICE<@eng"},
		{"Bob @eng", "BOB @eng"},
		{"Carol @eng", "CAROL @eng"},
		{"Carol *", "CAROL *"},
		{"@eng @ops", "@eng @ops-ALICE"},
		{"@ops @eng", "@ops @eng-ALICE"},
		{"@eng @eng/backend", "@eng @eng/backend<@eng"},
		{"@eng/backend @eng Bob *", "@eng/backend<@eng @eng<* BOB<* *"},
		{"SELF *", "SELF *"},
		{"MEMBER @eng", "MEMBER<@eng @eng"},
		{"nobody Alice", "! ALICE"},
	} {
		names := strings.NewReplacer(key("a1"), "ALICE", key("b1"), "BOB", key("c1"), "CAROL", c.Address(), "SELF", key("aa"), "MEMBER")
		in := strings.Fields(strings.NewReplacer("SELF", c.Address(), "MEMBER", key("aa")).Replace(tt.in))
		var got []string
		for _, r := range c.ResolveAll(t.Context(), in) {
			s := r.Target.String()
			switch {
			case r.Err != nil:
				s = "!"
			case r.CoveredBy != "":
				s += "<" + r.CoveredBy
			case len(r.Exclude) > 0:
				s += "-" + strings.Join(r.Exclude, "-")
			}
			got = append(got, names.Replace(s))
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %s, want %s", tt.in, strings.Join(got, " "), tt.want)
		}
	}
}

func TestListAskedForBeforeNewsIsNotKept(t *testing.T) {
	var p peerCache
	_, epoch, _ := p.get()
	p.forget()
	p.put(wire.PeersList{}, epoch)
	if _, _, ok := p.get(); ok {
		t.Error("a list from before the news is kept")
	}
}
