package broker

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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
