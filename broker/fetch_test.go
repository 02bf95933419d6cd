package broker

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"claudemesh/wire"
)

func TestAddressesThatWatchesMayReach(t *testing.T) {
	t.Parallel()
	open, narrow := newNetGuard(must(parsePrefixes("watch-allow", "10.1.0.0/16, 127.0.0.1 fd00::/8"))), newNetGuard(nil)
	for _, c := range []struct {
		addr            string
		public, allowed bool
	}{
		{"93.184.216.34", true, true}, {"2606:2800:220:1::1", true, true}, {"::ffff:93.184.216.34", true, true},
		{"127.0.0.1", false, true}, {"::ffff:127.0.0.1", false, true}, {"127.0.0.2", false, false}, {"::1", false, false}, {"::", false, false}, {"0.0.0.0", false, false},
		{"10.1.2.3", false, true}, {"::ffff:10.1.2.3", false, true}, {"10.2.2.3", false, false}, {"172.31.255.255", false, false}, {"192.168.1.1", false, false},
		{"169.254.169.254", false, false}, {"::ffff:169.254.169.254", false, false}, {"100.100.100.200", false, false}, {"168.63.129.16", false, false}, {"::ffff:168.63.129.16", false, false}, {"168.63.129.17", true, true}, {"fd00:ec2::254", false, true},
		{"fe80::1", false, false}, {"fe80::1%eth0", false, false}, {"fec0::1", false, false}, {"224.0.0.1", false, false}, {"ff02::1", false, false},
		{"255.255.255.255", false, false}, {"240.0.0.1", false, false}, {"198.18.0.1", false, false}, {"192.0.0.8", false, false},
		{"64:ff9b::7f00:1", false, false}, {"2002:7f00:1::", false, false}, {"2001:0:4136:e378::", false, false}, {"::7f00:1", false, false}, {"2001:db8::1", false, false},
	} {
		a := netip.MustParseAddr(c.addr)
		if narrow.admits(a) != c.public || open.admits(a) != c.allowed {
			t.Errorf("%s: public is %v, allowed is %v", c.addr, narrow.admits(a), open.admits(a))
		}
	}
	if _, err := parsePrefixes("watch-allow", "10.0.0.0/33"); err == nil {
		t.Error("a network that is none is taken")
	}
}

// A hostile server answers with all that could hurt who looks.
func TestHostileServers(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64 // requests to what must not be reached
	inner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reached.Add(1); io.WriteString(w, "secret") }))
	t.Cleanup(inner.Close)
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	must(io.Copy(z, io.LimitReader(zeros{}, 64<<20)))
	z.Close()
	mux := http.NewServeMux()
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
		}
	}
	for path, to := range map[string]string{
		"/loopback": inner.URL, "/v6": "http://[::1]:1/", "/mapped": "http://[::ffff:127.0.0.1]:1/", "/metadata": "http://169.254.169.254/latest/meta-data/",
		"/private": "http://10.0.0.1/", "/decimal": "http://2130706433/", "/localhost": "http://localhost:1/", "/file": "file:///etc/passwd", "/loop": "/loop",
		"/password": "http://a:b@127.0.0.5/", "/gopher": "gopher://127.0.0.5/",
	} {
		mux.HandleFunc(path, redirect(to))
	}
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, zeros{}) })
	mux.HandleFunc("/header", func(w http.ResponseWriter, r *http.Request) {
		for i := range 100 {
			w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("x", 1000))
		}
	})
	mux.HandleFunc("/bomb", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(bomb.Bytes())
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "x")
	})
	deep := strings.Repeat("[", 500_000)
	mux.HandleFunc("/deep", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, deep) })
	outer := httptest.NewUnstartedServer(mux)
	outer.Listener = must(net.Listen("tcp", "127.0.0.5:0")) // stands for the Internet
	outer.Start()
	t.Cleanup(outer.Close)
	f := newFetcher(newNetGuard(must(parsePrefixes("watch-allow", "127.0.0.5"))), nil)
	for _, c := range []struct {
		path, says string // the error, empty for none
	}{
		{"/loopback", errAddress.Error()}, {"/v6", errAddress.Error()}, {"/mapped", errAddress.Error()}, {"/metadata", errAddress.Error()},
		{"/private", errAddress.Error()}, {"/decimal", errAddress.Error()}, {"/localhost", errAddress.Error()}, {"/file", errAddress.Error()},
		{"/password", errAddress.Error()}, {"/gopher", errAddress.Error()}, {"/loop", "more than 5 redirections"},
		{"/endless", "the body has more than 1048576 bytes"}, {"/bomb", "the server sent a compressed body that nobody asked for"},
		{"/header", "net/http: HTTP/1.x transport connection broken: net/http: server response headers exceeded 65536 bytes; aborted"}, {"/cut", "unexpected EOF"}, {"/deep", ""},
	} {
		s, err := f.look(t.Context(), &look{url: outer.URL + c.path, mode: wire.WatchJSON, extract: path{{"a", -1}}})
		if got := fmt.Sprint(err); err == nil && c.says != "" || err != nil && got != c.says {
			t.Errorf("%s: %v", c.path, err)
		}
		if len(s.value) > 4*wire.MaxWatchValue {
			t.Errorf("%s: a value of %d bytes", c.path, len(s.value))
		}
	}
	if n := reached.Load(); n > 0 {
		t.Errorf("%d requests went to an address that is not allowed", n)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A name that means another address whenever it is asked for is judged by the
// address that is connected to.
func TestANameThatChangesItsMeaning(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(inner.Close)
	var asked atomic.Int64
	resolver := rebinding(t, func() netip.Addr {
		if asked.Add(1)%2 == 1 {
			return netip.MustParseAddr("127.0.0.5") // allowed, and nobody is there
		}
		return netip.MustParseAddr("127.0.0.1")
	})
	f := newFetcher(newNetGuard(must(parsePrefixes("watch-allow", "127.0.0.5"))), resolver)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(inner.URL, "http://"))
	refused := 0
	for range 6 {
		_, err := f.look(t.Context(), &look{url: "http://rebind.example:" + port + "/", mode: wire.WatchStatus})
		switch {
		case err == nil:
			t.Error("a look has succeeded")
		case err.Error() == errAddress.Error():
			refused++
		}
	}
	if asked.Load() < 2 || refused == 0 || reached.Load() > 0 {
		t.Errorf("asked %d times, refused %d times, reached %d times", asked.Load(), refused, reached.Load())
	}
}

// rebinding is a resolver whose every answer is what addr returns then.
func rebinding(t *testing.T, addr func() netip.Addr) *net.Resolver {
	pc := must(net.ListenPacket("udp", "127.0.0.1:0"))
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 512)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			pc.WriteTo(dnsAnswer(buf[:n], addr), from)
		}
	}()
	t.Cleanup(func() { pc.Close(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

// dnsAnswer answers a question for an A record, and any other with nothing (RFC 1035).
func dnsAnswer(q []byte, addr func() netip.Addr) []byte {
	end := 12
	for q[end] != 0 {
		end += int(q[end]) + 1
	}
	isA := binary.BigEndian.Uint16(q[end+1:]) == 1
	end += 5
	a := append([]byte{}, q[:end]...)
	a[2], a[3] = 0x81, 0x80
	clear(a[6:12])
	if isA {
		a[7] = 1
		a = append(a, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		ip := addr().As4()
		a = append(a, ip[:]...)
	}
	return a
}

// What was given for one origin does not go to another, nor does its address.
func TestHeadersStayWithTheirOrigin(t *testing.T) {
	t.Parallel()
	var got http.Header
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }))
	t.Cleanup(other.Close)
	var first http.Header
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/here" {
			first = r.Header
			http.Redirect(w, r, other.URL, http.StatusFound)
			return
		}
		http.Redirect(w, r, "/here", http.StatusFound)
	}))
	t.Cleanup(site.Close)
	f := newFetcher(newNetGuard(must(parsePrefixes("watch-allow", "127.0.0.1"))), nil)
	h := http.Header{"Authorization": {"x"}, "X-Api-Key": {"x"}, "Cookie": {"x"}}
	if _, err := f.look(t.Context(), &look{url: site.URL + "/?token=x", mode: wire.WatchHash, header: h, etag: `"e"`}); err != nil {
		t.Fatal(err)
	}
	if first.Get("X-Api-Key") != "x" || first.Get("Authorization") != "x" {
		t.Errorf("to its own origin: %v", first)
	}
	for _, name := range []string{"Authorization", "X-Api-Key", "Cookie", "Referer", "If-None-Match"} {
		if got.Get(name) != "" {
			t.Errorf("%s goes to another origin", name)
		}
	}
}

func TestProxiesOfTheBrokerAreNotUsed(t *testing.T) {
	used := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a proxy is used") }))
	t.Cleanup(used.Close)
	t.Setenv("HTTP_PROXY", used.URL)
	f := newFetcher(newNetGuard(nil), nil)
	f.dial = func(context.Context, string, string) (net.Conn, error) { return nil, io.EOF }
	if _, err := f.look(t.Context(), &look{url: "http://example.com/", mode: wire.WatchStatus}); err == nil {
		t.Error("a look at nothing has succeeded")
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{"": 0, "x": 0, "-5": 0, "120": 2 * time.Minute, "99999999999": 0, "100000": time.Hour, "Mon, 01 Jan 2001 00:00:00 GMT": 0} {
		if got := retryAfter(http.Header{"Retry-After": {value}}); got != want && !(value == "99999999999" && got == time.Hour) {
			t.Errorf("%q: %v", value, got)
		}
	}
}
