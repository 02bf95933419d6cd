package bench

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"claudemesh/wire"
)

// A socket is the client's end of a WebSocket (RFC 6455), reduced to what
// a broker of this protocol sends and takes, so that hundreds of clients leave
// the machine to the broker they measure. It masks with the key zero, which
// changes no byte: masking protects proxies from what a web page has its
// browser send, and this is no browser. It is not safe for concurrent use.
type socket struct {
	conn net.Conn
	r    *bufio.Reader
	out  []byte // frames that flush will write
	big  []byte // a frame that is larger than r's buffer
	used int    // bytes of r's buffer that the last frame occupies
}

// The opcodes of RFC 6455, section 5.2.
const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xa
)

const (
	dialWithin  = 10 * time.Second
	maxReceived = 4 << 20
)

// dialSocket opens a WebSocket to a ws or wss URL. bufSize is how much of what
// comes in is buffered.
func dialSocket(ctx context.Context, rawURL string, bufSize int) (*socket, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	conn, err := dialHost(ctx, u)
	if err != nil {
		return nil, fmt.Errorf("reach the broker at %s: %w", rawURL, err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	s := &socket{conn: conn, r: bufio.NewReaderSize(conn, bufSize)}
	if err := s.upgrade(u); err != nil {
		conn.Close()
		return nil, fmt.Errorf("open a WebSocket to %s: %w", rawURL, err)
	}
	return s, nil
}

func dialHost(ctx context.Context, u *url.URL) (net.Conn, error) {
	port := u.Port()
	if u.Scheme == "wss" {
		if port == "" {
			port = "443"
		}
		return new(tls.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	}
	if port == "" {
		port = "80"
	}
	return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
}

// upgrade is the opening handshake of RFC 6455, section 4.
func (s *socket) upgrade(u *url.URL) error {
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails
	key := base64.StdEncoding.EncodeToString(nonce[:])
	req := "GET " + u.RequestURI() + " HTTP/1.1\r\nHost: " + u.Host +
		"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + "\r\n\r\n"
	if _, err := io.WriteString(s.conn, req); err != nil {
		return err
	}
	res, err := http.ReadResponse(s.r, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]) {
		return fmt.Errorf("the server answered %s", res.Status)
	}
	return nil
}

// add gathers a frame for flush.
func (s *socket) add(payload []byte) { s.out = appendFrame(s.out, opText, payload) }

// flush writes what was gathered, in one system call.
func (s *socket) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	_, err := s.conn.Write(s.out)
	s.out = s.out[:0]
	return err
}

// buffered reports whether next can go on without waiting for the network.
func (s *socket) buffered() bool { return s.r.Buffered() > s.used }

// next returns the next text frame, which is valid until the one after it is
// asked for. Pings are answered on the way.
func (s *socket) next() ([]byte, error) {
	for {
		op, p, err := s.read()
		if err != nil {
			return nil, err
		}
		switch op {
		case opText:
			return p, nil
		case opPing:
			s.out = appendFrame(s.out, opPong, p)
			if err := s.flush(); err != nil {
				return nil, err
			}
		case opClose:
			return nil, closeError(p)
		}
	}
}

// read reads a frame. Frames in parts are not taken: no broker sends them.
func (s *socket) read() (op byte, payload []byte, err error) {
	s.r.Discard(s.used) // it is buffered
	s.used = 0
	head, err := s.r.Peek(2)
	if err != nil {
		return 0, nil, err
	}
	op = head[0] & 0x0f
	if head[0]&0x80 == 0 || head[1]&0x80 != 0 {
		return 0, nil, errors.New("the broker sent a WebSocket frame that is in parts or masked")
	}
	n, size := uint64(head[1]), 2
	switch n {
	case 126:
		size = 4
		if head, err = s.r.Peek(size); err == nil {
			n = uint64(binary.BigEndian.Uint16(head[2:]))
		}
	case 127:
		size = 10
		if head, err = s.r.Peek(size); err == nil {
			n = binary.BigEndian.Uint64(head[2:])
		}
	}
	if err != nil {
		return 0, nil, err
	}
	if n > maxReceived {
		return 0, nil, fmt.Errorf("the broker sent a frame of %d bytes", n)
	}
	s.r.Discard(size)
	if int(n) <= s.r.Size() {
		s.used = int(n)
		payload, err = s.r.Peek(s.used)
		return op, payload, err
	}
	if uint64(cap(s.big)) < n {
		s.big = make([]byte, n)
	}
	_, err = io.ReadFull(s.r, s.big[:n])
	return op, s.big[:n], err
}

// appendFrame appends a client's frame with the mask zero.
func appendFrame(dst []byte, op byte, p []byte) []byte {
	const fin, masked = 0x80, 0x80
	dst = append(dst, fin|op)
	switch n := len(p); {
	case n < 126:
		dst = append(dst, masked|byte(n))
	case n <= 0xffff:
		dst = append(dst, masked|126, byte(n>>8), byte(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, masked|127), uint64(n))
	}
	dst = append(dst, 0, 0, 0, 0)
	return append(dst, p...)
}

// errGone is how a connection ends that the broker closes in good order.
var errGone = errors.New("the broker closed the connection")

func closeError(p []byte) error {
	if len(p) < 2 {
		return errGone
	}
	return fmt.Errorf("%w with code %d %s", errGone, binary.BigEndian.Uint16(p), wire.Shorten(string(p[2:]), 100))
}

// hangUp says goodbye and closes the connection, so that the broker ends the
// session at once instead of keeping it for its grace.
func (s *socket) hangUp() {
	const normal = 1000
	s.out = appendFrame(s.out, opClose, []byte{normal >> 8, normal & 0xff})
	s.conn.SetDeadline(time.Now().Add(time.Second))
	if s.flush() == nil {
		for {
			if _, _, err := s.read(); err != nil {
				break
			}
		}
	}
	s.conn.Close()
}
