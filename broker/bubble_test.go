package broker

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"claudemesh/seal"
	"claudemesh/store"
)

// inBubble runs fn with a broker whose clock is synctest's: its sockets are
// pipes, and time passes when nothing else can happen.
func inBubble(t *testing.T, fn func(t *testing.T, b *testBroker), tune ...func(*Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &testBroker{t: t, cfg: testConfig(t, tune), owner: must(seal.Generate()), mesh: store.NewID(), root: seal.NewRootKey(),
			bubble: true, from: netip.MustParseAddr("192.0.2.1"), base: "http://127.0.0.1:7900"}
		transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return b.pipes.dial(ctx, b.from) }}
		b.http = &http.Client{Transport: transport}
		b.start()
		t.Cleanup(func() { b.stop() })
		b.create()
		fn(t, b)
	})
}

// A pipeListener accepts what dial gives it.
type pipeListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *pipeListener) dial(ctx context.Context, from netip.Addr) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- pipeEnd{far, from}:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.done:
		return nil, net.ErrClosed
	}
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

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7900} }

// A pipeEnd is the broker's end of a pipe, with the address it is said to come from.
type pipeEnd struct {
	net.Conn
	from netip.Addr
}

func (p pipeEnd) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(p.from, 40000))
}

// pass lets d go by and everything that is due happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// holdWriter keeps the store from writing until the returned function is
// called; what is asked meanwhile is written in one transaction.
func (b *testBroker) holdWriter() (release func()) {
	b.t.Helper()
	gate := make(chan struct{})
	err := b.srv.meshByID(b.mesh).db.Enqueue(context.Background(),
		func(*store.Tx) error { <-gate; return nil }, func(error) {})
	if err != nil {
		b.t.Fatal(err)
	}
	synctest.Wait()
	return func() {
		close(gate)
		synctest.Wait()
	}
}

// dialMute opens a socket whose other end takes what comes and answers no ping.
func (b *testBroker) dialMute() *websocket.Conn {
	b.t.Helper()
	dial := b.http.Transport.(*http.Transport).DialContext
	var pipe net.Conn
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		pipe = c
		return c, err
	}}}
	ws, _, err := websocket.Dial(b.t.Context(), "ws"+strings.TrimPrefix(b.base, "http")+"/ws", &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		b.t.Fatal(err)
	}
	go io.Copy(io.Discard, pipe)
	b.t.Cleanup(func() { ws.CloseNow() })
	return ws
}
