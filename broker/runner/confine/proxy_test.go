package confine

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// startProxy starts a proxy for a list, which reaches the machine itself.
func startProxy(t testing.TB, list []string, o Options) (*proxy, *url.URL) {
	t.Helper()
	return startTelling(t, list, o, nil)
}

// startTelling starts a proxy that tells of what is not reached.
func startTelling(t testing.TB, list []string, o Options, told func(host, why string)) (*proxy, *url.URL) {
	t.Helper()
	allowed, err := ParseAllowed(list)
	if err != nil {
		t.Fatal(err)
	}
	if o.Admits == nil {
		o.Admits = func(a netip.Addr) bool { return a.IsLoopback() }
	}
	if o.Upstream == nil {
		o.Upstream = func(*http.Request) (*url.URL, error) { return nil, nil }
	}
	o.Log = slog.New(slog.DiscardHandler)
	p := newProxy(allowed, o, told)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.serve(l)
	t.Cleanup(p.close)
	return p, &url.URL{Scheme: "http", Host: l.Addr().String()}
}

// client uses a proxy, for addresses of the machine itself too.
func client(t testing.TB, proxy *url.URL) *http.Client {
	tr := &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func TestTheProxyReachesWhatIsListed(t *testing.T) {
	t.Parallel()
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %q", r.Method, r.Host, b, r.Header.Get("Proxy-Connection")+r.Header.Get("X-Forwarded-For"))
	})
	plain, secure := httptest.NewServer(echo), httptest.NewTLSServer(echo)
	defer plain.Close()
	defer secure.Close()
	for _, server := range []*httptest.Server{plain, secure} {
		host := server.Listener.Addr().String()
		p, at := startProxy(t, []string{host}, Options{})
		resp, err := client(t, at).Post(server.URL, "text/plain", strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := fmt.Sprintf("POST %s body %q", host, ""); err != nil || string(b) != want {
			t.Errorf("%s is not %s, %v", b, want, err)
		}
		if p.sent.Load() == 0 || p.received.Load() == 0 {
			t.Error("bytes were not counted")
		}
	}
}

func TestTheProxyRefuses(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "reached") }))
	defer server.Close()
	address := server.Listener.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	nobody := l.Addr().String()
	_, listed := startProxy(t, []string{address, nobody, "localhost:" + port, "*.example.com"}, Options{})
	_, guarded := startProxy(t, []string{address, "localhost:" + port}, Options{Admits: func(netip.Addr) bool { return false }})
	for _, c := range []struct {
		name  string
		proxy *url.URL
		head  string
		want  string
	}{
		{"what is listed", listed, "GET http://" + address + "/ HTTP/1.1\r\nHost: x\r\n\r\n", "200"},
		{"a name", listed, "GET http://localhost:" + port + "/ HTTP/1.1\r\nHost: x\r\n\r\n", "200"},
		{"another host in the head beside", listed, "GET http://example.org/ HTTP/1.1\r\nHost: " + address + "\r\n\r\n", "403"},
		{"another port", listed, "CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: x\r\n\r\n", "403"},
		{"another host", listed, "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n", "403"},
		{"above a listed name", listed, "CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n", "403"},
		{"an address that is not admitted", guarded, "CONNECT " + address + " HTTP/1.1\r\nHost: x\r\n\r\n", "403"},
		{"a name of such an address", guarded, "CONNECT localhost:" + port + " HTTP/1.1\r\nHost: x\r\n\r\n", "403"},
		{"a plain name of such an address", guarded, "GET http://localhost:" + port + "/ HTTP/1.1\r\nHost: x\r\n\r\n", "403"},
		{"what does not answer", listed, "CONNECT " + nobody + " HTTP/1.1\r\nHost: x\r\n\r\n", "502"},
		{"no port", listed, "CONNECT localhost HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"},
		{"no proxy request", listed, "GET / HTTP/1.1\r\nHost: " + address + "\r\n\r\n", "400"},
		{"another scheme", listed, "GET ftp://" + address + "/ HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
		{"no HTTP", listed, "hello\r\n\r\n", "400"},
		{"a long head", listed, "GET http://x/ HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 2*maxHeader) + "\r\n\r\n", "431"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", c.proxy.Host)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			go io.WriteString(conn, c.head)
			line, err := bufio.NewReader(conn).ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "HTTP/1.1 "+c.want) {
				t.Errorf("%v: %s", err, line)
			}
		})
	}
}

func TestTheBrokersOwnProxyIsUsed(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "reached") }))
	defer server.Close()
	address := server.Listener.Addr().String()
	up, upstream := startProxy(t, []string{address}, Options{})
	upstream.User = url.UserPassword("broker", "secret")
	public := func(a netip.Addr) bool { return !a.IsPrivate() }
	_, at := startProxy(t, []string{address, "10.0.0.1"}, Options{
		Upstream: func(*http.Request) (*url.URL, error) { return upstream, nil }, Admits: public,
	})
	resp, err := client(t, at).Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if string(b) != "reached" || up.sent.Load() == 0 {
		t.Errorf("%s, and the broker's proxy has sent %d bytes", b, up.sent.Load())
	}
	if resp, err := client(t, at).Get("https://10.0.0.1/"); err == nil || !strings.Contains(err.Error(), "Forbidden") {
		t.Errorf("%v, %v", resp, err)
	}
}

func TestTunnelsEndWithTheProxyAndSayWhenOneSideHasEnded(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, at := startProxy(t, []string{l.Addr().String()}, Options{})
	conn, err := net.Dial("tcp", at.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: x\r\n\r\nearly", l.Addr())
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	r := bufio.NewReader(conn)
	if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatal(line, err)
	}
	r.ReadString('\n')
	b := make([]byte, 5)
	if _, err := io.ReadFull(far, b); err != nil || string(b) != "early" {
		t.Errorf("%q, %v", b, err)
	}
	far.(*net.TCPConn).CloseWrite()
	if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the end was not passed on: %v", err)
	}
	io.WriteString(conn, "still")
	if _, err := io.ReadFull(far, b); err != nil || string(b) != "still" {
		t.Errorf("%q, %v", b, err)
	}
	p.close()
	if _, err := far.Read(b); err == nil {
		t.Error("the tunnel outlives the proxy")
	}
}

func TestConnectionsOfACellAreBounded(t *testing.T) {
	t.Parallel()
	p, at := startProxy(t, nil, Options{})
	var all []net.Conn
	for range maxProxied {
		conn, err := net.Dial("tcp", at.Host)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		// An answer says that it was accepted.
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		all = append(all, conn)
	}
	late, err := net.Dial("tcp", at.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	io.WriteString(late, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	answered := make(chan error, 1)
	go func() {
		_, err := late.Read(make([]byte, 1))
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Errorf("one more was served: %v", err)
	default:
	}
	all[0].Close()
	if err := <-answered; err != nil {
		t.Errorf("it is not served when there is room: %v", err)
	}
	p.close()
}

func TestTheProxyTellsOnceOfEachHostThatIsNotReached(t *testing.T) {
	t.Parallel()
	said := make(chan string, 10)
	p, u := startTelling(t, []string{"127.0.0.1", "192.0.2.1"}, Options{}, func(host, why string) { said <- host + ": " + why })
	c := client(t, u)
	for _, target := range []string{"http://example.org/a", "http://example.org/b", "https://example.org/", "http://192.0.2.1/", "https://192.0.2.1/"} {
		if resp, err := c.Get(target); err == nil {
			resp.Body.Close()
		}
	}
	p.close()
	close(said)
	var got []string
	for line := range said {
		got = append(got, line)
	}
	want := []string{
		"example.org:80: network_allow does not name it", "example.org:443: network_allow does not name it",
		"192.0.2.1: " + errAddress.Error(), "192.0.2.1:443: " + errAddress.Error(),
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
}
