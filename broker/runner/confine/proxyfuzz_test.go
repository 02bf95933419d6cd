package confine

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// FuzzProxy sends the proxy of a cell whatever comes, and holds that it connects to
// nothing but what is listed.
func FuzzProxy(f *testing.F) {
	for _, head := range []string{
		"CONNECT listed.example:443 HTTP/1.1\r\nHost: listed.example:443\r\n\r\n",
		"GET http://listed.example/x HTTP/1.1\r\nHost: other.example\r\n\r\n",
		"GET http://other.example/ HTTP/1.1\r\nHost: listed.example\r\n\r\n",
		"CONNECT other.example:443 HTTP/1.1\r\n\r\n",
		"POST http://listed.example:80/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"GET http://u:p@listed.example@other.example/ HTTP/1.0\r\n\r\n",
	} {
		f.Add([]byte(head))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		p, at := startProxy(t, []string{"listed.example"}, Options{Admits: func(netip.Addr) bool { return false }})
		var dialed atomic.Int32
		dial := func(_ context.Context, _, address string) (net.Conn, error) {
			dialed.Add(1)
			if host, port, err := net.SplitHostPort(address); err != nil || strings.ToLower(strings.TrimSuffix(host, ".")) != "listed.example" || port != "443" && port != "80" {
				t.Errorf("it connects to %q", address)
			}
			return nil, syscall.ECONNREFUSED
		}
		p.direct.DialContext, p.via.DialContext = dial, dial
		conn, err := net.Dial("tcp", at.Host)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.Write(head)
		conn.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, conn)
		p.close()
	})
}
