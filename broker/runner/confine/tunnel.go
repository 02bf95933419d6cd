package confine

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// connect answers CONNECT: it makes a connection and carries bytes both ways.
func (p *proxy) connect(w http.ResponseWriter, r *http.Request, address string) {
	out, err := p.dial(r.Context(), address)
	if err != nil {
		p.failed(w, address, err)
		return
	}
	defer out.Close()
	in, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		p.failed(w, address, err)
		return
	}
	defer in.Close()
	if !p.track(in) {
		return
	}
	defer p.untrack(in)
	// The time-outs of the server were for requests.
	in.SetDeadline(time.Time{})
	if _, err := io.WriteString(in, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	tunnel(in, out, buffered.Reader)
}

// tunnel carries bytes both ways until both ends have said all, one is broken, or
// nothing comes for long. What is buffered was read from in already.
func tunnel(in, out net.Conn, buffered io.Reader) {
	both := idle(in, out)
	var wg sync.WaitGroup
	wg.Go(func() { carry(out, buffered, both) })
	wg.Go(func() { carry(in, out, both) })
	wg.Wait()
}

// idle returns what moves the deadlines of both connections.
func idle(conns ...net.Conn) func() {
	return func() {
		until := time.Now().Add(idleTime)
		for _, c := range conns {
			c.SetDeadline(until)
		}
	}
}

func carry(to net.Conn, from io.Reader, alive func()) {
	buf := make([]byte, 32<<10)
	for {
		alive()
		n, err := from.Read(buf)
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				err = werr
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			closeWrite(to)
			return
		case err != nil:
			to.Close() // the other direction ends with it
			return
		}
	}
}

// dial connects to an address that the list allows: itself, or by the broker's proxy.
func (p *proxy) dial(ctx context.Context, address string) (net.Conn, error) {
	u, err := p.upstream(&http.Request{URL: &url.URL{Scheme: "https", Host: address}})
	if err != nil {
		return nil, upstreamError("is not set up right: see HTTPS_PROXY where the broker runs")
	}
	if u == nil {
		return p.direct.DialContext(ctx, "tcp", address)
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if !p.admitsLiteral(host) {
		return nil, errAddress
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	return p.dialUpstream(ctx, u, address)
}

// dialUpstream has the broker's own proxy connect to an address.
func (p *proxy) dialUpstream(ctx context.Context, u *url.URL, address string) (_ net.Conn, err error) {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if port == "" {
		return nil, upstreamError("is neither http nor https")
	}
	conn, err := p.via.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, upstreamError("does not answer")
	}
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()
	if u.Scheme == "https" {
		t := tls.Client(conn, &tls.Config{ServerName: u.Hostname()})
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, upstreamError("cannot be trusted: its certificate is not valid")
		}
		conn = t
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	head := "CONNECT " + address + " HTTP/1.1\r\nHost: " + address + "\r\n"
	if u.User != nil {
		password, _ := u.User.Password()
		head += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)) + "\r\n"
	}
	if _, err := io.WriteString(conn, head+"\r\n"); err != nil {
		return nil, upstreamError("has hung up")
	}
	return answered(conn, address)
}

// answered reads the answer to CONNECT, and what came right behind it is kept.
func answered(conn net.Conn, address string) (net.Conn, error) {
	r := bufio.NewReaderSize(&io.LimitedReader{R: conn, N: maxHeader}, maxHeader)
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return nil, upstreamError("did not answer as one")
	}
	if resp.StatusCode != http.StatusOK {
		return nil, upstreamError(fmt.Sprintf("does not connect to %s: %.100s", address, resp.Status))
	}
	early := make([]byte, r.Buffered())
	if _, err := io.ReadFull(r, early); err != nil {
		return nil, err
	}
	return &earlyConn{Conn: conn, early: early}, nil
}

// An earlyConn begins with bytes that were read already.
type earlyConn struct {
	net.Conn
	early []byte
}

func (c *earlyConn) Read(b []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(b, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

// CloseWrite tells the other end that nothing more comes.
func (c *earlyConn) CloseWrite() error { return closeWrite(c.Conn) }
