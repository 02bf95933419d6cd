package peer

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"claudemesh/seal"
	"claudemesh/wire"
)

// A script plays the broker on one connection, n being 1 for the first one.
// The connection is closed when it returns.
type script func(k *brokerConn, n int)

// A testBroker is a WebSocket server that follows a script.
type testBroker struct {
	t      *testing.T
	play   script
	server *http.Server
	url    string
	dial   dialFunc

	mu   sync.Mutex
	n    int
	wg   sync.WaitGroup
	skew time.Duration // of the Date it answers with; set before it is used
	deaf bool          // answers no ping; set before it is used
}

// newTestBroker starts a broker on the loopback.
func newTestBroker(t *testing.T, play script) *testBroker {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startTestBroker(t, l, play)
}

// newPipeBroker starts a broker that is reached without the network, for use
// in a bubble of testing/synctest.
func newPipeBroker(t *testing.T, play script) *testBroker {
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	b := startTestBroker(t, l, play)
	b.dial = l.dial
	return b
}

func startTestBroker(t *testing.T, l net.Listener, play script) *testBroker {
	b := &testBroker{t: t, play: play, url: "ws://" + l.Addr().String() + "/ws"}
	b.server = &http.Server{Handler: b}
	b.wg.Go(func() { b.server.Serve(l) })
	t.Cleanup(func() {
		b.server.Close()
		b.wg.Wait()
	})
	return b
}

func (b *testBroker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	b.n++
	n := b.n
	b.mu.Unlock()
	b.wg.Add(1)
	defer b.wg.Done()
	if b.skew != 0 {
		w.Header().Set("Date", time.Now().Add(b.skew).UTC().Format(http.TimeFormat))
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		CompressionMode: websocket.CompressionDisabled,
		OnPingReceived:  func(context.Context, []byte) bool { return !b.deaf },
	})
	if err != nil {
		return
	}
	defer ws.CloseNow()
	ws.SetReadLimit(wire.MaxFrameBytes)
	b.play(&brokerConn{t: b.t, ws: ws}, n)
}

// connections returns how many connections there have been.
func (b *testBroker) connections() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.n
}

// A brokerConn is the broker's end of a connection.
type brokerConn struct {
	t  *testing.T
	ws *websocket.Conn
}

// received is a frame from the peer.
type received struct {
	wire.Head
	data []byte
}

// read returns the next frame; ok is false when the connection has ended.
func (k *brokerConn) read() (f received, ok bool) {
	_, p, err := k.ws.Read(context.Background())
	if err != nil {
		return f, false
	}
	h, err := wire.Peek(p)
	if err != nil {
		k.t.Errorf("the peer sent what is no frame: %v: %s", err, p)
	}
	return received{h, p}, true
}

// wait reads until the connection ends.
func (k *brokerConn) wait() {
	for {
		if _, ok := k.read(); !ok {
			return
		}
	}
}

func (k *brokerConn) write(reqID string, f wire.Frame) {
	p, err := wire.Append(nil, reqID, f)
	if err != nil {
		k.t.Error(err)
	}
	k.raw(string(p))
}

func (k *brokerConn) raw(frame string) {
	// The peer may be gone; what it got it must show itself.
	_ = k.ws.Write(context.Background(), websocket.MessageText, []byte(frame))
}

// hello reads the hello and accepts it.
func (k *brokerConn) hello() wire.Hello {
	h := k.readHello()
	k.write("", wire.HelloAck{PresenceID: "p", MemberDisplayName: "me", Proto: wire.Proto})
	return h
}

func (k *brokerConn) readHello() (h wire.Hello) {
	f, ok := k.read()
	if !ok {
		return h
	}
	if f.Type != h.FrameType() {
		k.t.Errorf("the first frame is %s", f.Type)
	}
	k.decode(f, &h)
	return h
}

func (k *brokerConn) decode(f received, v any) {
	if err := json.Unmarshal(f.data, v); err != nil {
		k.t.Errorf("%s: %v", f.data, err)
	}
}

// refuse answers the hello as a broker that refuses it.
func (k *brokerConn) refuse(code wire.Code) {
	k.write("", wire.Errorf(code, "hello rejected: %s", code))
	k.ws.Close(wire.CloseRefused, string(code))
}

// serve answers every request with an ack, or with what reply returns, until
// the connection ends. A nil reply is for the ack, noAnswer for none.
func (k *brokerConn) serve(reply func(received) wire.Frame) {
	for {
		f, ok := k.read()
		if !ok {
			return
		}
		var answer wire.Frame
		if reply != nil {
			answer = reply(f)
		}
		switch {
		case answer == noAnswer:
		case answer != nil:
			k.write(f.ReqID, answer)
		case f.Type == (wire.Send{}).FrameType():
			var s wire.Send
			k.decode(f, &s)
			k.write("", wire.Ack{ID: s.ID, MessageID: "m-" + s.ID, Queued: true, Outcome: wire.Sent})
		default:
			k.write(f.ReqID, wire.Ack{ID: f.ReqID})
		}
	}
}

// noAnswer tells serve to keep silent.
var noAnswer wire.Frame = wire.Drained{Pushed: -1}

// pipeListener accepts connections that are made in memory.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.done:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "broker.test:7900" }

const testMesh = "mesh01"

var testRoot = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

func newKey(t testing.TB) seal.PrivateKey {
	t.Helper()
	key, err := seal.Generate()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// options returns those of a session of a new member.
func (b *testBroker) options() Options {
	member := newKey(b.t)
	return Options{
		Mesh: Mesh{
			MeshID: testMesh, MemberID: "member01", Slug: "home", BrokerURL: b.url,
			Pubkey: member.Public().String(), SecretKey: member.Hex(), RootKey: testRoot,
		},
		SessionID:  "s-1",
		SessionKey: newKey(b.t),
		Logger:     slog.New(slog.NewTextHandler(testWriter{b.t}, &slog.HandlerOptions{Level: slog.LevelDebug})),
		dial:       b.dial,
		jitter:     func() float64 { return 0 },
	}
}

// testWriter shows the log of a failed test.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}

// open opens a client, changed by change, and closes it with the test.
func (b *testBroker) open(change ...func(*Options)) *Client {
	b.t.Helper()
	o := b.options()
	for _, f := range change {
		f(&o)
	}
	c, err := Open(b.t.Context(), o)
	if err != nil {
		b.t.Fatal(err)
	}
	b.closing(c)
	return c
}

// start starts a client and closes it with the test.
func (b *testBroker) start(change ...func(*Options)) *Client {
	b.t.Helper()
	o := b.options()
	for _, f := range change {
		f(&o)
	}
	c, err := Start(b.t.Context(), o)
	if err != nil {
		b.t.Fatal(err)
	}
	b.closing(c)
	return c
}

func (b *testBroker) closing(c *Client) {
	b.t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			b.t.Error(err)
		}
	})
}

// until waits for a status that fits.
func until(t *testing.T, c *Client, fits func(Status) bool) Status {
	t.Helper()
	for {
		changed := c.Changed()
		if s := c.Status(); fits(s) {
			return s
		}
		select {
		case <-changed:
		case <-time.After(time.Hour): // of a bubble, as a rule
			t.Fatal("it did not come to that")
		}
	}
}

// receive returns what arrives on ch.
func receive[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing arrived")
		panic("unreachable")
	}
}
