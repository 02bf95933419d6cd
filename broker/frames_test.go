package broker

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"claudemesh/seal"
	"claudemesh/wire"
)

func TestFramesMayBeTextOrBinary(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice := b.join("alice")
	p := b.dial()
	for _, f := range [][]byte{must(wire.Append(nil, "", alice.hello("a"))), []byte(`{"type":"mesh_info","_reqId":"r"}`)} {
		if err := p.ws.Write(t.Context(), websocket.MessageBinary, f); err != nil {
			t.Fatal(err)
		}
	}
	p.expect("hello_ack")
	p.expect("mesh_info_result")
}

// padded returns a frame of exactly n bytes.
func padded(n int) []byte {
	head := `{"type":"mesh_info","_reqId":"padded","pad":"`
	return []byte(head + strings.Repeat("x", n-len(head)-2) + `"}`)
}

func TestBigFramesEndTheConnection(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice := b.join("alice")
	for _, c := range []struct {
		name  string
		hello bool
		size  int
	}{
		{"over the hard limit", true, wire.MaxFrameBytes + 2},
		{"over the limit of ordinary frames", true, wire.MaxOrdinaryBytes + 1},
		{"before hello, over the limit of ordinary frames", false, wire.MaxOrdinaryBytes + 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := b.dial()
			if c.hello {
				p.write(must(wire.Append(nil, "", alice.hello(c.name))))
				p.expect("hello_ack")
			}
			p.ws.Write(t.Context(), websocket.MessageText, padded(c.size)) // fails where the broker has closed by then
			if how, _ := p.end(); how.Code != wire.CloseTooBig {
				t.Errorf("closed by %v", how)
			}
		})
	}
	p := alice.modern("a")
	p.write(padded(wire.MaxOrdinaryBytes))
	p.expect("mesh_info_result")
}

// bad are messages that are no frames.
var bad = []string{``, `{`, `[]`, `null`, `7`, `{}`, `{"type":""}`, `{"type":7}`, "{\"type\":\"\xff\"}", `{"_reqId":"r"}`}

func TestTenMalformedFramesInARowEndTheConnection(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice := b.join("alice")
	for _, in := range []bool{true, false} {
		p := b.dial()
		if in {
			p = alice.modern("a")
		}
		for round := range 2 {
			for i, f := range bad {
				if round == 0 && i == len(bad)-1 {
					break
				}
				p.write([]byte(f))
				if e := p.read(); e["code"] != "malformed" {
					t.Fatalf("%s: %v", f, e)
				}
			}
			if round == 0 {
				p.askAny(map[string]any{"type": "mesh_info"}) // a frame of any kind ends the row
			}
		}
		if how, _ := p.end(); how.Code != wire.CloseRefused || how.Reason != "malformed" {
			t.Errorf("hello said: %v, closed by %v", in, how)
		}
	}
}

func TestFramesThatCannotBeServedAreAnswered(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	p := b.join("alice").modern("a")
	for _, c := range []struct {
		frame string
		code  wire.Code
		reqID any
		id    any
	}{
		{`{"type":"fly","_reqId":"1"}`, wire.UnknownType, "1", nil},
		{`{"type":"hello_ack","_reqId":"2"}`, wire.UnknownType, "2", nil},
		{`{"type":"set_status","status":7,"_reqId":"3"}`, wire.BadRequest, "3", nil},
		{`{"type":"set_status","_reqId":"4"}`, wire.BadRequest, "4", nil},
		{`{"type":"set_visible","_reqId":"5"}`, wire.BadRequest, "5", nil},
		{`{"type":"send","id":"s1","targetSpec":["*"]}`, wire.BadRequest, nil, "s1"},
		{`{"type":"send","id":"s2","targetSpec":"#x","_reqId":"6"}`, wire.InvalidTarget, "6", "s2"},
		{`{"type":"mesh_info","_reqId":7}`, wire.BadRequest, nil, nil},
		{`{"type":"mesh_info","_reqId":"` + strings.Repeat("x", wire.MaxReqID+1) + `"}`, wire.BadRequest, nil, nil},
	} {
		p.write([]byte(c.frame))
		if f := p.read(); f["type"] != "error" || f["code"] != string(c.code) || f["_reqId"] != c.reqID || f["id"] != c.id {
			t.Errorf("%s is answered by %v", c.frame, f)
		}
	}
	long := strings.Repeat("é", wire.MaxReqID)
	p.write([]byte(`{"type":"mesh_info","_reqId":"` + long + `"}`))
	if f := p.read(); f["_reqId"] != long {
		t.Errorf("a long _reqId comes back as %v", f["_reqId"])
	}
}

func TestTooManyFramesAreRefusedAndCanBeRepeated(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		a, bb := b.join("alice").modern("a"), b.join("bob").modern("b")
		send := func() map[string]any { return a.send(bb.key, "hello", map[string]any{"id": "one"}) }
		for range 3 {
			a.ask("mesh_info_result", map[string]any{"type": "mesh_info"})
		}
		if e := send(); e["code"] != "rate_limited" || e["id"] != "one" {
			t.Fatalf("answered by %v", e)
		}
		a.write([]byte(`{"type":"mesh_info","_reqId":7}`))
		if e := a.expectAny("error"); e["code"] != "rate_limited" {
			t.Errorf("answered by %v", e)
		}
		pass(time.Second)
		if ack := send(); ack["type"] != "ack" || ack["duplicate"] != nil {
			t.Fatalf("the refused id is used up: %v", ack)
		}
		if m := bb.mail(); m["ciphertext"] != "hello" {
			t.Errorf("got %v", m)
		}
		pass(time.Minute)
		for i := range 5 { // a _reqId that is wrong is no way around the limit
			a.write([]byte(`{"type":"mesh_info","_reqId":7}`))
			if e := a.expectAny("error"); (e["code"] == "rate_limited") != (i >= 3) {
				t.Errorf("frame %d is answered by %v", i, e)
			}
		}
	}, func(c *Config) { c.Rate, c.Burst = 1, 3 })
}

func TestSocketsWithoutHelloAreBoundedByAddress(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		alice := b.join("alice")
		for i := range 5 { // who has said hello does not count
			alice.modern(fmt.Sprint(i))
		}
		first := b.dial()
		b.dial()
		if status := b.upgrade(nil); status != http.StatusTooManyRequests {
			t.Errorf("a third socket: %d", status)
		}
		b.from = netip.MustParseAddr("192.0.2.2")
		b.dial()
		b.from = netip.MustParseAddr("192.0.2.1")
		first.drop()
		pass(time.Second)
		b.dial()
	}, func(c *Config) { c.MaxSockets = 2 })
}

// upgrade asks for a WebSocket with those headers and returns the status of a refusal.
func (b *testBroker) upgrade(h http.Header) int {
	b.t.Helper()
	o := &websocket.DialOptions{HTTPClient: b.http, HTTPHeader: h}
	if host := h.Get("Host"); host != "" {
		o.Host = host
	}
	ws, res, err := websocket.Dial(b.t.Context(), "ws"+strings.TrimPrefix(b.base, "http")+"/ws", o)
	if err == nil {
		ws.CloseNow()
		return http.StatusSwitchingProtocols
	}
	if res == nil {
		b.t.Fatal(err)
	}
	return res.StatusCode
}

// A peer that reads nothing loses its connection, not its mail, and holds up nobody.
func TestSlowConsumersAreClosed(t *testing.T) {
	t.Parallel()
	b := newBroker(t, func(c *Config) { c.QueueFrames, c.QueueBytes, c.Rate, c.Burst = 8, 64<<10, 1e9, 1e9 })
	alice, bob := b.join("alice"), b.join("bob")
	a := alice.modern("a")
	slow := bob.modern("b")
	a.event("peer_joined")
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(func() { // for answers that nobody reads
		for slow.ws.Write(t.Context(), websocket.MessageText, []byte(`{"type":"list_peers","members":true}`)) == nil {
		}
	})
	for a.find(slow.key)["connection"] != "grace" {
	}
	ack := a.send(slow.key, "for later")
	if ack["outcome"] != "queued" {
		t.Errorf("ack %v", ack)
	}
	if m := bob.modern("b2"); m == nil {
		t.Error("bob cannot come back")
	}
}

func TestHostAndOrigin(t *testing.T) {
	t.Parallel()
	b := newBroker(t, func(c *Config) {
		c.PublicURL, c.AllowHosts, c.AllowOrigins = "https://mesh.example", "home.example,box", "https://app.example"
	})
	b.mesh = strings.Repeat("M", 32)
	port := b.base[strings.LastIndexByte(b.base, ':'):]
	for _, c := range []struct {
		host, origin string
		status       int
	}{
		{"127.0.0.1" + port, "", 200},
		{"127.0.0.1", "", 200},
		{"[::1]" + port, "", 200},
		{"192.168.7.7", "", 200},
		{"localhost" + port, "", 200},
		{"LOCALHOST.", "", 200},
		{"mesh.example", "", 200},
		{"home.example:1", "", 200},
		{"box", "", 200},
		{"evil.example", "", 421},
		{"evil.example" + port, "", 421},
		{"127.0.0.1.evil.example", "", 421},
		{"localhost.evil.example", "", 421},
		{"localhost", "https://evil.example", 403},
		{"localhost", "null", 403},
		{"localhost", "http://localhost", 403},
		{"localhost", b.base, 403},
		{"localhost", "https://app.example", 200},
		{"localhost", "https://mesh.example", 200},
		{"evil.example", "https://app.example", 421},
	} {
		for _, path := range []string{"/health", "/nowhere"} {
			req := must(http.NewRequestWithContext(t.Context(), "GET", b.base+path, nil))
			req.Host = c.host
			if c.origin != "" {
				req.Header.Set("Origin", c.origin)
			}
			want := c.status
			if path == "/nowhere" && want == 200 {
				want = 404
			}
			if status, res := b.do(req); status != want {
				t.Errorf("%s of %q for %q: %d %v, want %d", path, c.host, c.origin, status, res, want)
			}
		}
		want := c.status
		if want == 200 {
			want = http.StatusSwitchingProtocols
		}
		h := http.Header{"Host": {c.host}}
		if c.origin != "" {
			h.Set("Origin", c.origin)
		}
		if status := b.upgrade(h); status != want {
			t.Errorf("socket of %q for %q: %d, want %d", c.host, c.origin, status, want)
		}
	}
}

func TestOnlyAllowedOriginsGetCORS(t *testing.T) {
	t.Parallel()
	b := newBroker(t, func(c *Config) { c.AllowOrigins = "https://app.example" })
	for _, c := range []struct {
		method, origin string
		status         int
		allowed        string
	}{
		{"OPTIONS", "https://app.example", 204, "https://app.example"},
		{"GET", "https://app.example", 200, "https://app.example"},
		{"OPTIONS", "https://evil.example", 403, ""},
		{"OPTIONS", "", 404, ""},
		{"GET", "", 200, ""},
	} {
		req := must(http.NewRequestWithContext(t.Context(), c.method, b.base+"/health", nil))
		if c.origin != "" {
			req.Header.Set("Origin", c.origin)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := res.Header.Get("Access-Control-Allow-Origin"); res.StatusCode != c.status || got != c.allowed {
			t.Errorf("%s from %q: %d, allowed %q", c.method, c.origin, res.StatusCode, got)
		}
		if c.allowed != "" && !strings.Contains(res.Header.Get("Access-Control-Allow-Methods"), "PATCH") {
			t.Errorf("methods %q", res.Header.Get("Access-Control-Allow-Methods"))
		}
	}
}

func TestSecretsOfTheBrokerStayInIt(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	b := newBroker(t, func(c *Config) { c.Log = log.logger() })
	alice := b.join("alice")
	a := alice.modern("a")
	a.send("*", "the text of a message")
	a.write([]byte(`{"type":"send","targetSpec":7,"ciphertext":"the text of a message"}`))
	a.read()
	inv := b.invite(1, nil)
	b.call("POST", "/mesh/"+b.mesh+"/invites", alice.key, wire.AddInvite{Token: inv.Token()})
	b.post("/join", wire.JoinRequest{InviteToken: inv.Token(), InvitePayload: payload(inv), PeerPubkey: must(seal.Generate()).Public().String(), DisplayName: "x"})
	b.restart()
	text := log.String()
	for name, secret := range map[string]string{"admin token": b.srv.AdminToken(), "root key": b.root, "invite": inv.Token(), "owner key": b.owner.Hex(),
		"member key": alice.key.Hex(), "message": "the text of a message"} {
		if strings.Contains(text, secret) {
			t.Errorf("the log has the %s", name)
		}
	}
	if !strings.Contains(text, "mesh created") {
		t.Errorf("nothing is logged: %s", text)
	}
}
