package peer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"claudemesh/wire"
)

const (
	sendTimeout    = 10 * time.Second // where the caller's context sets none
	maxSends       = 1024             // without an answer
	maxOfflineSend = 100              // without an answer while there is no connection
)

// SendRequest is a message to send.
type SendRequest struct {
	// Target is a key of 64 hex digits or its first 8 or more, @group or *.
	// Names are resolved with Resolve first.
	Target   string
	Text     string
	Priority wire.Priority // Next if empty
	ReplyTo  string        // id of the message this one answers
	// Receipt asks for receipt events: delivered, or seen for both steps.
	Receipt wire.DeliveryState
	// Exclude are addresses a multicast leaves out.
	Exclude []string
	// ID is the sender's own id, random if empty. The broker accepts a message
	// once per id: a caller who does not know whether a send succeeded repeats
	// it with the same id, from another process too, and gets the first answer
	// again. Another message under that id is refused as a conflict.
	ID string
}

// A Sending is a message on its way to the broker. It is repeated, with the
// same id and the same bytes, on every new connection until it is answered.
type Sending struct {
	// ID is the id it was sent with.
	ID string

	c     *Client
	frame []byte
	seq   uint64        // order of the sends
	done  chan struct{} // closed when ack and err are final

	// Guarded by Client.mu until done is closed.
	ack   wire.Ack
	err   error
	tries int
	timer *time.Timer // of the next try after a refusal that may pass
}

// Send sends a message and waits until the broker has it on disk, for 10 s
// unless ctx has a deadline. A refusal is a *wire.Error. Without a connection
// the message waits for one. When ctx ends first the message is given up: it
// may have been accepted if the error is ErrTimeout, and was not sent if it is
// ErrNotConnected.
func (c *Client) Send(ctx context.Context, req SendRequest) (wire.Ack, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, sendTimeout)
		defer cancel()
	}
	s, err := c.SendAsync(ctx, req)
	if err != nil {
		return wire.Ack{}, err
	}
	return s.Wait(ctx)
}

// SendAsync seals a message and puts it on its way without waiting for the
// answer, so that many can be under way at once: up to 1024, or 100 while
// there is no connection, beyond which the error is ErrBusy. ctx bounds only
// what must be asked of the broker first. Messages leave in the order of the
// calls.
func (c *Client) SendAsync(ctx context.Context, req SendRequest) (*Sending, error) {
	frame, id, err := c.compose(ctx, req)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch _, taken := c.sends[id]; {
	case c.closing:
		return nil, ErrClosed
	case c.status.State == StateClosed:
		return nil, c.status.Err
	case taken:
		return nil, wire.Errorf(wire.Conflict, "a message with the id %q is on its way already", wire.Shorten(id, 60))
	case c.conn == nil && len(c.sends) >= maxOfflineSend:
		return nil, fmt.Errorf("%w: %w, and %d messages wait for it", ErrBusy, c.offline(), len(c.sends))
	case len(c.sends) >= maxSends:
		return nil, ErrBusy
	}
	c.sent++
	s := &Sending{ID: id, c: c, frame: frame, seq: c.sent, done: make(chan struct{})}
	c.sends[id] = s
	if c.conn != nil {
		c.conn.write(frame)
	}
	return s, nil
}

// compose returns the frame of a message and its id.
func (c *Client) compose(ctx context.Context, req SendRequest) ([]byte, string, error) {
	f := wire.Send{ID: req.ID, Priority: req.Priority, ReplyTo: req.ReplyTo, Receipt: req.Receipt, Exclude: req.Exclude}
	if f.ID == "" {
		f.ID = randomHex()
	}
	if f.Priority == "" {
		f.Priority = wire.Next
	}
	target, err := wire.ParseTarget(req.Target)
	if err == nil && target.Kind == wire.ToPrefix {
		target, err = c.completeKey(ctx, target.Name)
	}
	if err != nil {
		return nil, "", err
	}
	f.TargetSpec = target.String()
	if req.ID == "" {
		f.Nonce, f.Ciphertext, err = c.seal(ctx, target, req.Text)
	} else {
		f.Nonce, f.Ciphertext, err = c.sealOnce(ctx, req.ID, target, req.Text)
	}
	if err != nil {
		return nil, "", err
	}
	frame, err := wire.Append(nil, "", f)
	if err != nil {
		return nil, "", err
	}
	if len(frame) > wire.MaxOrdinaryBytes {
		return nil, "", wire.Errorf(wire.TooLarge, "the message has %d bytes, which make %d when sealed, more than the %d that are taken; shorten it, or send it in parts",
			len(req.Text), len(frame), wire.MaxOrdinaryBytes)
	}
	return frame, f.ID, nil
}

// Done returns a channel that is closed when Wait would return at once.
func (s *Sending) Done() <-chan struct{} { return s.done }

// Wait waits for the broker's answer. When ctx ends first the message is given
// up, with the errors that Client.Send describes.
func (s *Sending) Wait(ctx context.Context) (wire.Ack, error) {
	select {
	case <-s.done:
		return s.ack, s.err
	case <-ctx.Done():
	}
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sends[s.ID] == s {
		c.settle(s, wire.Ack{}, c.givenUp(ctx, s))
	}
	return s.ack, s.err
}

// givenUp says what is known of a message whose sender waits no longer. It is
// called with mu held.
func (c *Client) givenUp(ctx context.Context, s *Sending) error {
	switch {
	case s.err != nil: // the last refusal, of a kind that may pass
		return s.err
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case c.conn == nil:
		return c.offline()
	}
	return fmt.Errorf("send: %w", ErrTimeout)
}

// transmit puts a message on the wire, again or for the first time. It is
// called with mu held.
func (c *Client) transmit(s *Sending) {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	if c.conn != nil {
		c.conn.write(s.frame)
	}
}

// settle ends a message's way. It is called with mu held.
func (c *Client) settle(s *Sending, ack wire.Ack, err error) {
	delete(c.sends, s.ID)
	if s.timer != nil {
		s.timer.Stop()
	}
	s.ack, s.err, s.frame = ack, err, nil
	close(s.done)
}

// sendAccepted handles an ack that answers no call.
func (c *Client) sendAccepted(p []byte) {
	var ack wire.Ack
	if err := wire.Decode(p, &ack); err != nil {
		c.log.Warn("ack dropped", "err", err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sends[ack.ID]
	if s == nil {
		c.log.Debug("ack dropped: nothing waits for it", "id", ack.ID)
		return
	}
	c.out.Add(1)
	c.settle(s, ack, nil)
}

// sendRefused handles an error that answers no call.
func (c *Client) sendRefused(p []byte) {
	e := new(wire.Error)
	if err := wire.Decode(p, e); err != nil {
		c.log.Warn("error frame dropped", "err", err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sends[e.ID]
	if s == nil {
		c.log.Warn("the broker reported an error that answers nothing", "code", e.Code, "message", e.Message)
		return
	}
	if e.Code != wire.RateLimited && e.Code != wire.Unavailable {
		c.settle(s, wire.Ack{}, e)
		return
	}
	s.err = e
	if s.timer != nil {
		s.timer.Stop()
	}
	s.timer = time.AfterFunc(resendDelay(s.tries, c.opts.jitter()), func() { c.resend(s) })
	s.tries++
}

func (c *Client) resend(s *Sending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sends[s.ID] == s {
		s.err = nil
		c.transmit(s)
	}
}

// dropLargest fails the largest message or call that waits for an answer, after
// the broker closed the connection because of a frame that was too big:
// repeated, it would close every connection. It is called with mu held.
func (c *Client) dropLargest() {
	var largest *Sending
	size := 0
	for _, s := range c.sends {
		if len(s.frame) > size {
			largest, size = s, len(s.frame)
		}
	}
	request := ""
	for id, w := range c.calls {
		if w.size > size {
			request, size = id, w.size
		}
	}
	switch {
	case request != "":
		w := c.calls[request]
		delete(c.calls, request)
		w.answer <- answer{err: wire.Errorf(wire.TooLarge, "the broker takes no request of %d bytes: say less at once, or share a file", size)}
	case largest != nil:
		c.settle(largest, wire.Ack{}, wire.Errorf(wire.TooLarge, "the broker takes no message of %d bytes; shorten it, or send it in parts", size))
	}
}
