package broker

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"claudemesh/seal"
	"claudemesh/store"
	"claudemesh/wire"
)

// patience bounds every wait of a test; nothing is asserted about it.
const patience = 20 * time.Second

// A testBroker is a broker on a real socket with one mesh.
type testBroker struct {
	t     testing.TB
	cfg   Config
	srv   *Server
	base  string // http://host:port
	stop  func()
	owner seal.PrivateKey
	mesh  string
	root  string

	stamped atomic.Int64 // last time that was signed
	serial  atomic.Int64 // of invites, whose expiry makes their tokens differ
	slug    string       // of the mesh; home if empty

	http   *http.Client
	from   netip.Addr // where connections come from, in a bubble
	bubble bool       // in a bubble of synctest
	pipes  *pipeListener
}

func newBroker(t testing.TB, tune ...func(*Config)) *testBroker {
	t.Helper()
	b := &testBroker{t: t, cfg: testConfig(t, tune), owner: must(seal.Generate()), mesh: store.NewID(), root: seal.NewRootKey(),
		http: http.DefaultClient}
	b.start()
	t.Cleanup(func() { b.stop() })
	b.create()
	return b
}

func testConfig(t testing.TB, tune []func(*Config)) Config {
	cfg := Defaults()
	cfg.Listen, cfg.Data = "127.0.0.1:0", t.TempDir()
	cfg.HTTPRate, cfg.ShutdownWithin = 100_000, time.Second
	for _, fn := range tune {
		fn(&cfg)
	}
	return cfg
}

func (b *testBroker) create() {
	b.t.Helper()
	status, res := b.call("POST", "/mesh", b.owner, wire.CreateMesh{MeshID: b.mesh, Slug: cmp.Or(b.slug, "home"), OwnerPubkey: b.owner.Public().String()})
	if status != 200 {
		b.t.Fatalf("create mesh: %d %v", status, res)
	}
}

// start runs the broker; after stop it may be started again on the same data.
func (b *testBroker) start() {
	b.t.Helper()
	srv, err := Open(b.t.Context(), b.cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	var ln net.Listener
	if b.bubble {
		b.pipes = &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
		ln = b.pipes
	} else if ln, err = srv.Listen(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx, ln) }()
	b.srv, b.base = srv, "http://"+ln.Addr().String()
	b.stop = func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Error("serve:", err)
		}
		b.stop = func() {}
	}
}

// restart stops the broker and starts it on the same data and port.
func (b *testBroker) restart() {
	b.t.Helper()
	b.cfg.Listen = strings.TrimPrefix(b.base, "http://")
	b.stop()
	b.start()
}

// stamp returns the time to sign, which is never twice the same: what is
// signed again in the same millisecond is a repetition.
func (b *testBroker) stamp() wire.Millis {
	for {
		last := b.stamped.Load()
		if now := max(time.Now().UnixMilli(), last+1); b.stamped.CompareAndSwap(last, now) {
			return wire.Millis(now)
		}
	}
}

// call makes a signed HTTP request, with the admin token too.
func (b *testBroker) call(method, path string, key seal.PrivateKey, body any) (int, map[string]any) {
	b.t.Helper()
	var data []byte
	if body != nil {
		data = must(json.Marshal(body))
	}
	req := must(http.NewRequestWithContext(b.t.Context(), method, b.base+path, bytes.NewReader(data)))
	now := int64(b.stamp())
	pub := key.Public().String()
	req.Header.Set(wire.HeaderPubkey, pub)
	req.Header.Set(wire.HeaderTimestamp, fmt.Sprint(now))
	req.Header.Set(wire.HeaderSignature, key.Sign(must(seal.HTTPText(method, path, pub, now, sha256.Sum256(data)))))
	req.Header.Set("Authorization", "Bearer "+b.srv.AdminToken())
	return b.do(req)
}

func (b *testBroker) do(req *http.Request) (int, map[string]any) {
	b.t.Helper()
	res, err := b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text := must(io.ReadAll(res.Body))
	var out map[string]any
	json.Unmarshal(text, &out)
	return res.StatusCode, out
}

// invite returns a token for the mesh, after change has had its way with it.
func (b *testBroker) invite(uses int, preset *wire.Preset, change ...func(*seal.Invite)) seal.Invite {
	b.t.Helper()
	inv := seal.Invite{MeshID: b.mesh, MeshSlug: "home", BrokerURL: "ws" + strings.TrimPrefix(b.base, "http") + "/ws",
		ExpiresAt: time.Now().Add(time.Hour).Unix() + b.serial.Add(1), MeshRootKey: b.root, Role: "member"}
	for _, fn := range change {
		fn(&inv)
	}
	if err := inv.Sign(b.owner); err != nil {
		b.t.Fatal(err)
	}
	status, res := b.call("POST", "/mesh/"+b.mesh+"/invites", b.owner, wire.AddInvite{Token: inv.Token(), MaxUses: uses, Preset: preset})
	if status != 200 {
		b.t.Fatalf("invite: %d %v", status, res)
	}
	return inv
}

// A testMember is an enrolled key.
type testMember struct {
	b    *testBroker
	key  seal.PrivateKey
	id   string
	name string
}

func (b *testBroker) join(name string, preset ...*wire.Preset) *testMember {
	b.t.Helper()
	var p *wire.Preset
	if len(preset) > 0 {
		p = preset[0]
	}
	inv := b.invite(1, p)
	m := &testMember{b: b, key: must(seal.Generate()), name: name}
	status, res := b.post("/join", wire.JoinRequest{InviteToken: inv.Token(), InvitePayload: payload(inv), PeerPubkey: m.pub(), DisplayName: name})
	if status != 200 {
		b.t.Fatalf("join: %d %v", status, res)
	}
	m.id = res["memberId"].(string)
	return m
}

func (b *testBroker) post(path string, body any) (int, map[string]any) {
	b.t.Helper()
	req := must(http.NewRequestWithContext(b.t.Context(), "POST", b.base+path, bytes.NewReader(must(json.Marshal(body)))))
	return b.do(req)
}

// payload is an invite's payload as a client sends it.
func payload(inv seal.Invite) json.RawMessage { return must(json.Marshal(inv)) }

func (m *testMember) pub() string { return m.key.Public().String() }

// hello returns a hello of m as an older client without a session key makes
// it, signed after change has had its way with it.
func (m *testMember) hello(session string, change ...func(*wire.Hello)) wire.Hello {
	h := wire.Hello{MeshID: m.b.mesh, MemberID: m.id, Pubkey: m.pub(), SessionID: session, PID: 1, Cwd: "/work", DisplayName: m.name,
		Timestamp: m.b.stamp()}
	for _, fn := range change {
		fn(&h)
	}
	if text, err := seal.HelloText(h.MeshID, h.MemberID, h.Pubkey, int64(h.Timestamp)); err == nil {
		h.Signature = m.key.Sign(text)
	} else {
		h.Signature = strings.Repeat("0", 128)
	}
	return h
}

// fieldsOf returns a frame as the fields it has on the wire.
func fieldsOf(f wire.Frame) map[string]any {
	return must(unmarshal(must(wire.Append(nil, "", f))))
}

// keyed makes h the hello of a client that proves its session key.
func (m *testMember) keyed(h wire.Hello, key seal.PrivateKey) wire.Hello {
	h.Proto, h.SessionPubkey = wire.Proto, key.Public().String()
	h.SessionSignature = key.Sign(must(seal.SessionText(h.MeshID, h.MemberID, h.Pubkey, h.SessionPubkey, int64(h.Timestamp))))
	return h
}

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
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
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

// equalJSON reports whether two decoded values are the same.
func equalJSON(a, b any) bool { return bytes.Equal(must(json.Marshal(a)), must(json.Marshal(b))) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A lockedBuffer is a log that tests can read.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lockedBuffer) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// errors is a logger of what must not happen.
func (l *lockedBuffer) errors() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelError}))
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
