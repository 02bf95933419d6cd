package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"claudemesh/seal"
	"claudemesh/wire"
)

const (
	dialTimeout  = 5 * time.Second
	helloTimeout = 5 * time.Second
	// readSlack is what the broker's frames may have above the limit that
	// holds for ours: a relayed frame gets fields of the broker's own.
	readSlack = 64 << 10
)

// connect opens a connection and introduces the client. A broker that finds
// our clock wrong is asked once more with its own time.
func (c *Client) connect(ctx context.Context) (*conn, wire.HelloAck, error) {
	k, ack, err := c.introduceOnce(ctx)
	if judge(err) != refresh || k == nil || k.offset == nil {
		return k, ack, err
	}
	c.log.Info("this machine's clock differs from the broker's", "by", k.offset.Round(time.Second))
	c.offset = *k.offset
	return c.introduceOnce(ctx)
}

// introduceOnce introduces the client with a hello of its own: a broker that
// has had the same from another process gets a new one.
func (c *Client) introduceOnce(ctx context.Context) (k *conn, ack wire.HelloAck, err error) {
	err = signAnew(ctx, c.opts.jitter, func() error {
		k, ack, err = c.introduce(ctx)
		return err
	})
	return k, ack, err
}

// introduce makes one attempt. With an error the connection is closed, but may
// still be returned for what it tells of the broker's clock.
func (c *Client) introduce(ctx context.Context) (*conn, wire.HelloAck, error) {
	k, err := c.dial(ctx)
	if err != nil {
		return nil, wire.HelloAck{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, helloTimeout, errHello)
	defer cancel()
	ack, err := c.greet(ctx, k)
	if err != nil {
		k.ws.CloseNow()
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return k, ack, err
	}
	return k, ack, nil
}

var errHello = fmt.Errorf("the broker did not answer the hello within %v", helloTimeout)

func (c *Client) dial(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	k := &conn{wake: make(chan struct{}, 1)}
	transport := &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := c.opts.dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			k.socket = &corkedConn{Conn: nc}
			return k.socket, nil
		},
	}
	ws, res, err := websocket.Dial(ctx, c.opts.Mesh.BrokerURL, &websocket.DialOptions{
		HTTPClient:      &http.Client{Transport: transport, CheckRedirect: refuseRedirect},
		CompressionMode: websocket.CompressionDisabled,
		OnPingReceived:  func(context.Context, []byte) bool { k.touch(); return true },
		OnPongReceived:  func(context.Context, []byte) { k.touch() },
	})
	if err != nil {
		if res != nil {
			return nil, fmt.Errorf("%s is no broker's address: it answered %s", c.opts.Mesh.BrokerURL, res.Status)
		}
		return nil, &unreachable{c.opts.Mesh.BrokerURL, err}
	}
	ws.SetReadLimit(wire.MaxFrameBytes + readSlack)
	k.ws, k.offset = ws, clockOffset(res.Header, time.Now())
	k.touch()
	return k, nil
}

// greet sends the hello and waits for its answer. Pushes that come early are
// taken in the meantime.
func (c *Client) greet(ctx context.Context, k *conn) (ack wire.HelloAck, err error) {
	hello, err := c.newHello()
	if err != nil {
		return ack, err
	}
	frame, err := wire.Append(nil, "", hello)
	if err != nil {
		return ack, err
	}
	if err := k.ws.Write(ctx, websocket.MessageText, frame); err != nil {
		return ack, explain(err)
	}
	for {
		p, err := k.read(ctx)
		if err != nil {
			return ack, explain(err)
		}
		h, err := wire.Peek(p)
		switch {
		case err != nil:
			return ack, fmt.Errorf("the broker sent what is no frame: %v", err)
		case h.Type == ack.FrameType():
			if err := wire.Decode(p, &ack); err != nil {
				return ack, fmt.Errorf("cannot read the broker's answer to the hello: %v", err)
			}
			return ack, nil
		case h.Type == (*wire.Error)(nil).FrameType():
			return ack, refusal(p)
		}
		c.receive(h, p)
	}
}

// refusal decodes an error frame.
func refusal(p []byte) error {
	e := new(wire.Error)
	if err := wire.Decode(p, e); err != nil {
		return errors.New("the broker sent an error that cannot be read")
	}
	return e
}

func (c *Client) newHello() (wire.Hello, error) {
	o := &c.opts
	h := wire.Hello{
		MeshID: o.Mesh.MeshID, MemberID: o.Mesh.MemberID, Pubkey: o.Mesh.Pubkey,
		DisplayName: o.DisplayName, SessionID: o.SessionID,
		PID: o.PID, Cwd: o.Cwd, Hostname: o.Hostname,
		PeerType: o.PeerType, Channel: o.Channel, Model: o.Model, Role: o.Role,
		Timestamp: wire.MillisOf(time.Now().Add(c.offset)),
		Proto:     wire.Proto, Instance: c.instance,
		Transient: o.Transient, Drain: o.Drain, Alone: o.Alone,
	}
	text, err := seal.HelloText(h.MeshID, h.MemberID, h.Pubkey, int64(h.Timestamp))
	if err != nil {
		return h, err
	}
	h.Signature = c.member.Sign(text)
	if o.SessionKey.IsZero() {
		return h, nil
	}
	h.SessionPubkey = c.address
	text, err = seal.SessionText(h.MeshID, h.MemberID, h.Pubkey, h.SessionPubkey, int64(h.Timestamp))
	if err != nil {
		return h, err
	}
	h.SessionSignature = o.SessionKey.Sign(text)
	return h, nil
}

// clockOffset estimates how far the clock of a server is ahead of ours from
// the Date it answered with, which has whole seconds; nil without one.
func clockOffset(h http.Header, now time.Time) *time.Duration {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return nil
	}
	d := date.Add(500 * time.Millisecond).Sub(now)
	return &d
}

// refuseRedirect keeps what is signed for one address from going to another.
func refuseRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
