package peer

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

// A State is where a Client stands with its broker.
type State int

// The states. Connecting becomes Reconnecting once it has been open.
const (
	StateConnecting   State = iota // before the first successful hello
	StateOpen                      // the broker has accepted the hello
	StateReconnecting              // the connection was lost; the client tries again
	StateClosed                    // for good: closed by its owner, or refused
)

func (s State) String() string {
	return [...]string{"connecting", "open", "reconnecting", "closed"}[s]
}

// Status is a State with what is known about it.
type Status struct {
	State State
	// Err is why the last attempt failed or the connection ended, nil while
	// open. A refusal by the broker is a *wire.Error.
	Err error
	// Failures counts the attempts that failed since it was last open.
	Failures int
	// RetryAt is when the next attempt begins, zero if none is planned.
	RetryAt time.Time
}

// Client is one session's, or command's, connection to one mesh. It connects
// again by itself when the connection is lost, repeats what was not answered,
// and keeps the mail it received. It is safe for concurrent use.
type Client struct {
	// Static.
	opts      Options
	log       *slog.Logger
	member    seal.PrivateKey
	own       seal.PrivateKey // of the address: the session's, else the member's
	address   string
	multicast *seal.Multicast // nil without a root key
	instance  string
	reqPrefix string
	handlers  map[wire.Type]func(*Client, []byte)
	cancel    context.CancelFunc
	done      chan struct{} // closed when run has ended
	drained   chan struct{} // closed by the first drained frame
	inbox     *inbox
	boxes     *boxes
	events    *events
	peers     peerCache
	files     fileServer
	hosted    toolHost

	requests atomic.Uint64
	in, out  atomic.Int64

	// Owned by run.
	offset time.Duration // of the broker's clock from ours, as far as it matters

	mu        sync.Mutex // guards what follows; never held while waiting
	status    Status
	changed   signal
	closing   bool  // Close was called
	conn      *conn // while open
	hello     wire.HelloAck
	calls     map[string]*call    // by _reqId
	sends     map[string]*Sending // by id
	sent      uint64              // numbers the sends
	desired   desired
	streams   map[string]*Subscription // by name of the stream
	services  services
	rest      int // of the mail, when it was drained
	isDrained bool
}

// Open connects to a mesh and returns once the broker has accepted the hello.
// The first failure ends the attempt and is returned; a refusal is a
// *wire.Error. ctx bounds the opening only. The caller closes the client.
func Open(ctx context.Context, opts Options) (*Client, error) {
	c, err := Start(ctx, opts)
	if err != nil {
		return nil, err
	}
	for {
		changed := c.Changed()
		switch s := c.Status(); {
		case s.State == StateOpen, s.State == StateReconnecting: // it was open
			return c, nil
		case s.Err != nil:
			c.Close(context.WithoutCancel(ctx))
			return nil, s.Err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			c.Close(ctx)
			return nil, &unreachable{opts.Mesh.BrokerURL, ctx.Err()}
		}
	}
}

// Start returns a client that connects in the background and goes on trying
// until a refusal says that it is of no use. Its error is about opts only. The
// values of ctx are used, its end is not: the caller closes the client.
func Start(ctx context.Context, opts Options) (*Client, error) {
	c, err := newClient(opts)
	if err != nil {
		return nil, err
	}
	ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go c.run(ctx) // Close waits for done
	return c, nil
}

func newClient(opts Options) (*Client, error) {
	opts = opts.withDefaults()
	c := &Client{
		opts:      opts,
		log:       opts.Logger.With("mesh", opts.Mesh.Slug),
		instance:  randomHex(),
		reqPrefix: randomHex(),
		handlers:  pushHandlers(),
		done:      make(chan struct{}),
		drained:   make(chan struct{}),
		boxes:     newBoxes(),
		events:    newEvents(),
		calls:     make(map[string]*call),
		sends:     make(map[string]*Sending),
		streams:   make(map[string]*Subscription),
	}
	if err := c.loadKeys(); err != nil {
		return nil, fmt.Errorf("mesh %s: %w", opts.Mesh.Slug, err)
	}
	c.inbox = newInbox(opts.AutoAck)
	c.hosted.stop = make(chan struct{})
	c.desired.init(opts.Groups)
	return c, nil
}

func (c *Client) loadKeys() error {
	key, err := seal.ParsePrivateKey(c.opts.Mesh.SecretKey)
	if err != nil {
		return fmt.Errorf("secretKey in the configuration: %w; leave the mesh and join it again", err)
	}
	if key.Public().String() != c.opts.Mesh.Pubkey {
		return errors.New("pubkey and secretKey in the configuration are not of one pair; leave the mesh and join it again")
	}
	c.member, c.own = key, key
	if !c.opts.SessionKey.IsZero() {
		c.own = c.opts.SessionKey
	}
	c.address = c.own.Public().String()
	if c.opts.Mesh.RootKey == "" {
		return nil
	}
	if c.multicast, err = seal.NewMulticast(c.opts.Mesh.RootKey); err != nil {
		return fmt.Errorf("rootKey in the configuration: %w", err)
	}
	return nil
}

// Mesh returns the configuration entry the client was opened with.
func (c *Client) Mesh() Mesh { return c.opts.Mesh }

// Address returns the public key, 64 hex digits, that messages to this client
// are sent to: the session's if it has a key of its own, else the member's.
func (c *Client) Address() string { return c.address }

// Hello returns the broker's answer to the last successful hello; zero before.
func (c *Client) Hello() wire.HelloAck {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hello
}

// Status returns where the client stands now.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// State returns the state alone.
func (c *Client) State() State { return c.Status().State }

// Changed returns a channel that is closed at the next change of Status. Take
// it before looking at Status, or a change in between is missed.
func (c *Client) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed.wait()
}

// Ready waits until the client is open. It fails when the client is closed for
// good, with the reason, or when ctx ends, with the last failure.
func (c *Client) Ready(ctx context.Context) error {
	for {
		changed := c.Changed()
		s := c.Status()
		switch s.State {
		case StateOpen:
			return nil
		case StateClosed:
			return s.Err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if s.Err != nil {
				return fmt.Errorf("%w: %w", ErrNotConnected, s.Err)
			}
			return fmt.Errorf("%w: %w", ErrNotConnected, ctx.Err())
		}
	}
}

// Drained returns a channel that is closed when the broker has pushed the mail
// that waited for a client opened with Drain. A client that never is open, or
// whose broker is of an older version, is never drained.
func (c *Client) Drained() <-chan struct{} { return c.drained }

// Remaining returns how many messages the broker kept back when it had
// drained, because the recipient is busy or more waited than it hands out.
func (c *Client) Remaining() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rest
}

// Counters returns how many messages the client has received and how many of
// its own the broker has accepted.
func (c *Client) Counters() (in, out int64) { return c.in.Load(), c.out.Load() }

// Close reports what has been seen, says goodbye to the broker and waits for
// everything the client started. It waits no longer than ctx and, with
// a broker that does not answer, a second or two. Unanswered calls and sends
// fail with ErrClosed. Mail that was received can still be read.
func (c *Client) Close(ctx context.Context) error {
	c.goodbye(ctx)
	c.cancel()
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-c.done: // both may be true at once
		return nil
	default:
		return fmt.Errorf("close the connection to %s: %w", c.opts.Mesh.Slug, ctx.Err())
	}
}

const goodbyeTimeout = time.Second

func (c *Client) goodbye(ctx context.Context) {
	if ctx.Err() == nil && c.State() == StateOpen {
		flushing, cancel := context.WithTimeout(ctx, goodbyeTimeout)
		if err := c.Flush(flushing); err != nil {
			c.log.Debug("acknowledgements not sent", "err", err)
		}
		cancel()
	}
	c.mu.Lock()
	k := c.conn
	c.closing = true
	c.mu.Unlock()
	if k == nil || ctx.Err() != nil {
		return
	}
	closing, cancel := context.WithTimeout(ctx, goodbyeTimeout)
	defer cancel()
	stop := context.AfterFunc(closing, c.cancel)
	defer stop()
	k.goodbye()
}

// setStatus is called with mu held.
func (c *Client) setStatus(s Status) {
	c.status = s
	c.changed.fire()
}

// signal tells any number of waiters of a change. Its owner's mutex guards it.
type signal struct{ ch chan struct{} }

// wait returns a channel that the next fire closes.
func (s *signal) wait() <-chan struct{} {
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) fire() {
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}

// randomHex returns 64 random bits in 16 hex digits.
func randomHex() string {
	var b [8]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(b[:])
}

// dialFunc opens the network connection below a WebSocket.
type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)
