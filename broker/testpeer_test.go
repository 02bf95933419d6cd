package broker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"claudemesh/seal"
	"claudemesh/wire"
)

// A testPeer is a bare WebSocket that speaks frames.
type testPeer struct {
	t   testing.TB
	b   *testBroker
	ws  *websocket.Conn
	key string // its address
	ack map[string]any
	n   int

	incoming chan []byte // in a bubble: what has come, closed at the end
	err      error       // that ended incoming

	backlog []map[string]any // came while an answer was awaited

	patience time.Duration // bounds a wait; 0 is patience
}

// dial opens a socket that has said nothing.
func (b *testBroker) dial() *testPeer {
	b.t.Helper()
	ws, _, err := websocket.Dial(b.t.Context(), "ws"+strings.TrimPrefix(b.base, "http")+"/ws", &websocket.DialOptions{HTTPClient: b.http})
	if err != nil {
		b.t.Fatal(err)
	}
	ws.SetReadLimit(4 << 20)
	b.t.Cleanup(func() { ws.CloseNow() })
	p := &testPeer{t: b.t, b: b, ws: ws}
	if b.bubble {
		p.incoming = make(chan []byte, 10_000)
		go p.readAll()
	}
	return p
}

// readAll reads ahead, so that pings are answered and no pipe blocks.
func (p *testPeer) readAll() {
	defer close(p.incoming)
	for {
		_, data, err := p.ws.Read(context.Background())
		if err != nil {
			p.err = err
			return
		}
		p.incoming <- data
	}
}

// connect says h and expects to be let in.
func (b *testBroker) connect(h wire.Hello) *testPeer {
	b.t.Helper()
	p := b.dial()
	p.write(must(wire.Append(nil, "", h)))
	p.ack = p.expect("hello_ack")
	p.key = h.Pubkey
	if h.SessionPubkey != "" {
		p.key = h.SessionPubkey
	}
	return p
}

// old connects m as an older client, modern as one that acknowledges.
func (m *testMember) old(session string) *testPeer {
	m.b.t.Helper()
	return m.b.connect(m.hello(session))
}

func (m *testMember) modern(session string) *testPeer {
	m.b.t.Helper()
	return m.b.connect(m.keyed(m.hello(session), must(seal.Generate())))
}

func (p *testPeer) write(data []byte) {
	p.t.Helper()
	if err := p.ws.Write(p.t.Context(), websocket.MessageText, data); err != nil {
		p.t.Fatal(err)
	}
}

// say sends a frame given as fields.
func (p *testPeer) say(fields map[string]any) {
	p.t.Helper()
	p.write(must(json.Marshal(fields)))
}

// ask sends a frame with a _reqId and returns its answer, which must be typ.
func (p *testPeer) ask(typ string, fields map[string]any) map[string]any {
	p.t.Helper()
	f := p.askAny(fields)
	if f["type"] != typ {
		p.t.Fatalf("%v was answered by %v", fields, f)
	}
	return f
}

// askAny asks and returns whatever the answer is.
func (p *testPeer) askAny(fields map[string]any) map[string]any {
	p.t.Helper()
	p.n++
	fields["_reqId"] = fmt.Sprintf("r%d", p.n)
	p.say(fields)
	return p.answer(func(f map[string]any) bool { return f["_reqId"] == fields["_reqId"] })
}

// answer reads until a frame is the one, and keeps the others for read.
func (p *testPeer) answer(is func(map[string]any) bool) map[string]any {
	p.t.Helper()
	for {
		f, err := p.tryRead()
		if err != nil {
			p.t.Fatal("read:", err)
		}
		if is(f) {
			return f
		}
		p.backlog = append(p.backlog, f)
	}
}

func (p *testPeer) read() map[string]any {
	p.t.Helper()
	if len(p.backlog) > 0 {
		f := p.backlog[0]
		p.backlog = p.backlog[1:]
		return f
	}
	f, err := p.tryRead()
	if err != nil {
		p.t.Fatal("read:", err)
	}
	return f
}

func (p *testPeer) tryRead() (map[string]any, error) {
	if p.incoming != nil {
		select {
		case data, ok := <-p.incoming:
			if !ok {
				return nil, p.err
			}
			return unmarshal(data)
		case <-time.After(time.Hour):
			return nil, errors.New("nothing comes")
		}
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), cmp.Or(p.patience, patience))
	defer cancel()
	_, data, err := p.ws.Read(ctx)
	if err != nil {
		return nil, err
	}
	return unmarshal(data)
}

func unmarshal(data []byte) (map[string]any, error) {
	var f map[string]any
	err := json.Unmarshal(data, &f)
	return f, err
}

// silent checks, in a bubble, that nothing has come that was not read.
func (p *testPeer) silent() {
	p.t.Helper()
	synctest.Wait()
	if len(p.backlog) > 0 {
		p.t.Fatalf("unexpected %v", p.backlog)
	}
	select {
	case data, ok := <-p.incoming:
		p.t.Fatalf("unexpected %s (open: %v, %v)", data, ok, p.err)
	default:
	}
}

// expect reads until a frame of that type comes. Events may come in between.
func (p *testPeer) expect(typ string) map[string]any {
	p.t.Helper()
	for {
		f := p.read()
		if f["type"] == typ {
			return f
		}
		if f["type"] == "error" || f["type"] == "push" && f["subtype"] == nil {
			p.t.Fatalf("expected %s, got %v", typ, f)
		}
	}
}

// expectAny reads until a frame of that type comes, whatever comes before.
func (p *testPeer) expectAny(typ string) map[string]any {
	p.t.Helper()
	for {
		if f := p.read(); f["type"] == typ {
			return f
		}
	}
}

// event reads until that event comes, and returns its data.
func (p *testPeer) event(name string) map[string]any {
	p.t.Helper()
	for {
		if f := p.read(); f["event"] == name {
			return f["eventData"].(map[string]any)
		}
	}
}

// mail reads until a message comes.
func (p *testPeer) mail() map[string]any {
	p.t.Helper()
	for {
		f := p.read()
		if f["type"] == "push" && f["subtype"] == nil {
			return f
		}
	}
}

// send sends a message and returns its ack.
func (p *testPeer) send(to, text string, more ...map[string]any) map[string]any {
	p.t.Helper()
	p.n++
	f := map[string]any{"type": "send", "id": fmt.Sprintf("m%d-%s", p.n, p.key[:6]), "targetSpec": to, "priority": "next", "nonce": "", "ciphertext": text}
	for _, m := range more {
		maps.Copy(f, m)
	}
	p.say(f)
	return p.answer(func(a map[string]any) bool { return a["id"] == f["id"] && (a["type"] == "ack" || a["type"] == "error") })
}

// acked acknowledges a push.
func (p *testPeer) acked(state string, pushes ...map[string]any) {
	p.t.Helper()
	var ids []any
	for _, f := range pushes {
		ids = append(ids, f["messageId"])
	}
	p.ask("ack", map[string]any{"type": "client_ack", "messageIds": ids, "state": state})
}

// quiet checks that no message is under way to p: what was sent before is
// answered in order, so an answer that comes without one proves it.
func (p *testPeer) quiet() {
	p.t.Helper()
	p.ask("mesh_info_result", map[string]any{"type": "mesh_info"})
	for _, f := range p.backlog {
		if f["type"] == "push" && f["subtype"] == nil {
			p.t.Fatalf("unexpected message %v", f)
		}
	}
	p.backlog = nil
}

// news returns the frames that had come before the answer to a question that
// is put now, which is all that was on its way to p.
func (p *testPeer) news() []map[string]any {
	p.t.Helper()
	p.ask("mesh_info_result", map[string]any{"type": "mesh_info"})
	all := p.backlog
	p.backlog = nil
	return all
}

// noEvent checks that none of those events is on its way to p.
func (p *testPeer) noEvent(names ...string) {
	p.t.Helper()
	for _, f := range p.news() {
		if event, _ := f["event"].(string); slices.Contains(names, event) {
			p.t.Errorf("unexpected event %v", f)
		}
	}
}

// peers returns what list_peers shows to p.
func (p *testPeer) peers(more ...map[string]any) []map[string]any {
	p.t.Helper()
	f := map[string]any{"type": "list_peers"}
	for _, m := range more {
		maps.Copy(f, m)
	}
	var all []map[string]any
	for _, e := range p.ask("peers_list", f)["peers"].([]any) {
		all = append(all, e.(map[string]any))
	}
	return all
}

// find returns the entry of key in what list_peers shows to p, nil if there is none.
func (p *testPeer) find(key string) map[string]any {
	p.t.Helper()
	for _, e := range p.peers() {
		if e["pubkey"] == key {
			return e
		}
	}
	return nil
}

// end expects the broker to close the connection, and returns how and the
// last frame before it.
func (p *testPeer) end() (how websocket.CloseError, last map[string]any) {
	p.t.Helper()
	for {
		f, err := p.tryRead()
		if err == nil {
			last = f
			continue
		}
		if !errors.As(err, &how) {
			p.t.Fatalf("the connection ended by %v, after %v", err, last)
		}
		return how, last
	}
}

func (p *testPeer) leave() { p.ws.Close(websocket.StatusNormalClosure, "") }

func (p *testPeer) drop() { p.ws.CloseNow() }
