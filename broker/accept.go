package broker

import (
	"net/http"
	"net/netip"
	"sync"

	"github.com/coder/websocket"

	"claudemesh/wire"
)

// A socketCount counts, by network, the sockets that have not said hello.
type socketCount struct {
	mu sync.Mutex
	n  map[netip.Addr]int
}

func (s *socketCount) enter(a netip.Addr, most int) bool {
	a = network(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n[a] >= most {
		return false
	}
	if s.n == nil {
		s.n = make(map[netip.Addr]int)
	}
	s.n[a]++
	return true
}

func (s *socketCount) leave(a netip.Addr) {
	a = network(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n[a]--; s.n[a] <= 0 {
		delete(s.n, a)
	}
}

// serveSocket makes a WebSocket of the request. The connection is served by a
// goroutine of its own, so that the handler's, with its larger stack and its
// buffers, does not stay.
func (srv *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	addr := remote(r)
	if !srv.sockets.enter(addr, srv.cfg.MaxSockets) {
		writeError(w, http.StatusTooManyRequests, wire.Errorf(wire.RateLimited, "too many sockets from %s have not said hello", addr))
		return
	}
	srv.conns.Add(1) // before the hijack, after which a shutdown does not wait for this handler
	hj := &smallHijacker{ResponseWriter: w}
	ws, err := websocket.Accept(hj, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // the origin was checked for every route
	if err != nil {
		srv.sockets.leave(addr)
		srv.conns.Done()
		return // Accept has answered
	}
	c := newConn(srv, ws, hj.conn, r)
	srv.mu.Lock()
	srv.open[c] = struct{}{}
	srv.mu.Unlock()
	srv.metrics.connections.Inc()
	srv.wakeClock()
	go c.serve()
	if srv.stopping.Load() {
		c.close(wire.CloseShutdown, "shutting down")
	}
}

// ended forgets a connection.
func (srv *Server) ended(c *conn) {
	c.over.Store(true)
	srv.mu.Lock()
	delete(srv.open, c)
	srv.mu.Unlock()
	srv.conns.Done()
}

// remote returns the address a request comes from. Addresses of proxies count
// as such: what they forward is not believed.
func remote(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}

// network returns what is limited as one: an IPv4 address, or the network of
// an IPv6 address on the Internet, whose user has 2^64 of them.
func network(a netip.Addr) netip.Addr {
	if !a.Is6() || a.IsPrivate() || a.IsLinkLocalUnicast() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}
