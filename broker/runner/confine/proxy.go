package confine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	maxProxied     = 64               // connections of a cell at once
	maxHeader      = 32 << 10         // bytes of a request's head
	headerTime     = 15 * time.Second // for a head to come
	dialTime       = 15 * time.Second
	idleTime       = 5 * time.Minute // for a connection on which nothing is said
	keptIdle       = 4               // connections kept for the next request
	keptIdlePeriod = 30 * time.Second
	maxUnreached   = 16 // hosts that are told of
)

// A proxy is the one way out of a cell with a list of hosts: a proxy of HTTP, with
// CONNECT for all else, that runs in the broker and listens in the cell's network.
type proxy struct {
	allowed  Allowed
	admits   func(netip.Addr) bool
	upstream func(*http.Request) (*url.URL, error)
	log      *slog.Logger
	told     func(host, why string) // nil: nobody

	server http.Server
	direct *http.Transport // to addresses that are admitted
	via    *http.Transport // to the broker's own proxy

	sent, received atomic.Int64 // bytes, as the cell sees them

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]struct{} // to what is outside, and what was taken from server
	hosts  map[string]struct{}   // that told was told of
	wg     sync.WaitGroup        // for serve, and for tunnels
}

func newProxy(allowed Allowed, opts Options, told func(host, why string)) *proxy {
	p := &proxy{
		allowed: allowed, admits: opts.Admits, upstream: opts.Upstream, log: opts.Log, told: told,
		conns: make(map[net.Conn]struct{}), hosts: make(map[string]struct{}),
	}
	guarded := &net.Dialer{Timeout: dialTime, Control: p.control}
	free := &net.Dialer{Timeout: dialTime}
	p.direct, p.via = p.transport(guarded), p.transport(free)
	p.via.Proxy = func(r *http.Request) (*url.URL, error) {
		u, err := p.upstream(r)
		if err == nil && u == nil {
			err = errAddress // who chose via asked before; without a proxy nobody would ask about the address
		}
		return u, err
	}
	p.server = http.Server{
		Handler: p, ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader, ErrorLog: log.New(io.Discard, "", 0),
	}
	return p
}

func (p *proxy) transport(d *net.Dialer) *http.Transport {
	return &http.Transport{
		DialContext: p.dialer(d), DisableCompression: true, MaxIdleConns: keptIdle, IdleConnTimeout: keptIdlePeriod,
		ResponseHeaderTimeout: idleTime, MaxResponseHeaderBytes: maxHeader, TLSHandshakeTimeout: dialTime,
	}
}

// control is asked about each address before it is connected to, whatever name it
// had when the list was made.
func (p *proxy) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || !p.admits(ap.Addr()) {
		return errAddress
	}
	return nil
}

// NotAdmitted is why a host is not reached whose address Options.Admits refuses.
const NotAdmitted = "the host has an address that services may not reach, unless the broker's operator allows it by --service-allow"

var errAddress = errors.New(NotAdmitted)

// dialer keeps account of the connections that it makes.
func (p *proxy) dialer(d *net.Dialer) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, address string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		tracked := &trackedConn{Conn: conn, proxy: p}
		if !p.track(tracked) {
			return nil, net.ErrClosed
		}
		return tracked, nil
	}
}

// serve answers what comes over the listener until close.
func (p *proxy) serve(l net.Listener) {
	p.wg.Go(func() {
		if err := p.server.Serve(&boundedListener{Listener: l, room: make(chan struct{}, maxProxied), done: make(chan struct{})}); !errors.Is(err, http.ErrServerClosed) {
			p.log.Warn("the proxy of a service has ended", "err", err)
		}
	})
}

// close ends all connections and waits for those who serve them.
func (p *proxy) close() {
	p.server.Close()
	p.mu.Lock()
	p.closed = true
	open := slices.Collect(maps.Keys(p.conns))
	p.mu.Unlock()
	for _, c := range open {
		c.Close()
	}
	p.direct.CloseIdleConnections()
	p.via.CloseIdleConnections()
	p.wg.Wait()
}

// ServeHTTP answers a request of the cell.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.wg.Add(1)
	p.mu.Unlock()
	defer p.wg.Done()
	host, port, err := destination(r)
	switch {
	case err != nil:
		http.Error(w, "claudemesh: "+err.Error(), http.StatusBadRequest)
	case !p.allowed.admits(host, port):
		p.refuse(w, host, port)
	case r.Method == http.MethodConnect:
		p.connect(w, r, net.JoinHostPort(host, strconv.Itoa(port)))
	default:
		p.forward(w, r)
	}
}

func (p *proxy) refuse(w http.ResponseWriter, host string, port int) {
	p.say(net.JoinHostPort(host, strconv.Itoa(port)), "network_allow does not name it")
	http.Error(w, fmt.Sprintf("claudemesh: this service may not reach %.100q at port %d: its network_allow does not name it", host, port), http.StatusForbidden)
}

// say tells those whose cell it is of a host that it did not get: programs
// often keep to themselves what a proxy answered.
func (p *proxy) say(host, why string) {
	p.mu.Lock()
	_, known := p.hosts[host]
	silent := known || p.told == nil || len(p.hosts) == maxUnreached
	if !silent {
		p.hosts[host] = struct{}{}
	}
	p.mu.Unlock()
	if !silent {
		p.told(host, why)
	}
}

// destination is where a request wants to go.
func destination(r *http.Request) (host string, port int, err error) {
	if r.Method == http.MethodConnect {
		host, number, err := net.SplitHostPort(r.Host)
		n, perr := strconv.ParseUint(number, 10, 16)
		if err != nil || perr != nil || n == 0 || host == "" {
			return "", 0, errors.New("CONNECT wants host:port")
		}
		return host, int(n), nil
	}
	if r.URL.Scheme != "http" || r.URL.Host == "" {
		return "", 0, errors.New("this is a proxy: it wants CONNECT, or the address of an http resource in full")
	}
	port = 80
	if s := r.URL.Port(); s != "" {
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil || n == 0 {
			return "", 0, errors.New("the port is none")
		}
		port = int(n)
	}
	if r.URL.Hostname() == "" {
		return "", 0, errors.New("the host is missing")
	}
	return r.URL.Hostname(), port, nil
}

// forward passes on a request of plain HTTP, and its answer back.
func (p *proxy) forward(w http.ResponseWriter, r *http.Request) {
	t := p.direct
	if u, err := p.upstream(r); err == nil && u != nil {
		if !p.admitsLiteral(r.URL.Hostname()) {
			p.failed(w, r.URL.Host, errAddress)
			return
		}
		t = p.via
	}
	rp := httputil.ReverseProxy{
		Transport: t, ErrorLog: p.server.ErrorLog, FlushInterval: -1,
		Rewrite: func(pr *httputil.ProxyRequest) { pr.Out.Host = pr.Out.URL.Host }, // not what the head says beside it
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			p.failed(w, r.URL.Host, err)
		},
	}
	rp.ServeHTTP(w, r)
}

// admitsLiteral judges an address that stands for itself. What a name means
// only the broker's own proxy knows, where there is one.
func (p *proxy) admitsLiteral(host string) bool {
	a, err := netip.ParseAddr(host)
	return err != nil || p.admits(a)
}

// failed tells the cell why its request did, and nothing of the networks that the
// broker is in.
func (p *proxy) failed(w http.ResponseWriter, host string, err error) {
	status, why := http.StatusBadGateway, "the host cannot be reached"
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		why = "the host's name is not known"
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		status, why = http.StatusGatewayTimeout, "the host does not answer"
	}
	if e, ok := errors.AsType[upstreamError](err); ok {
		why = e.Error()
	}
	if errors.Is(err, errAddress) {
		status, why = http.StatusForbidden, errAddress.Error()
	}
	p.say(host, why)
	http.Error(w, "claudemesh: "+why, status)
}

// An upstreamError is what is wrong with the broker's own proxy.
type upstreamError string

func (e upstreamError) Error() string { return "the broker's own proxy " + string(e) }

// track keeps a connection for close; false after that.
func (p *proxy) track(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		c.Close()
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *proxy) untrack(c net.Conn) {
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

// A trackedConn leads outside, and is counted.
type trackedConn struct {
	net.Conn
	proxy *proxy
}

func (c *trackedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.proxy.received.Add(int64(n))
	return n, err
}

func (c *trackedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.proxy.sent.Add(int64(n))
	return n, err
}

func (c *trackedConn) Close() error {
	c.proxy.untrack(c)
	return c.Conn.Close()
}

// A boundedListener has so many connections at once, and the next ones wait.
type boundedListener struct {
	net.Listener
	room chan struct{}
	done chan struct{}
	once sync.Once
}

func (l *boundedListener) Accept() (net.Conn, error) {
	select {
	case l.room <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.room
		return nil, err
	}
	return &boundedConn{Conn: c, release: func() { <-l.room }}, nil
}

func (l *boundedListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

type boundedConn struct {
	net.Conn
	once    sync.Once
	release func()
}

func (c *boundedConn) Close() error {
	defer c.once.Do(c.release)
	return c.Conn.Close()
}

// CloseWrite tells the other end that nothing more comes.
func (c *boundedConn) CloseWrite() error { return closeWrite(c.Conn) }

// CloseWrite tells the other end that nothing more comes.
func (c *trackedConn) CloseWrite() error { return closeWrite(c.Conn) }

func closeWrite(c net.Conn) error {
	if t, ok := c.(interface{ CloseWrite() error }); ok {
		return t.CloseWrite()
	}
	return c.Close()
}
