package peer

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"claudemesh/wire"
)

// run connects, serves the connection until it ends, and starts over, until
// ctx ends or a refusal says that it is of no use.
func (c *Client) run(ctx context.Context) {
	defer close(c.done)
	defer c.events.close()
	defer c.files.workers.Wait()
	defer c.hosted.end()
	opened := false
	for failures := 0; ; failures++ {
		k, ack, err := c.connect(ctx)
		if err == nil {
			opened, failures = true, 0
			err = explain(c.serve(ctx, k, ack))
		}
		v := judge(err)
		switch {
		case ctx.Err() != nil || c.isClosing():
			c.finish(ErrClosed)
			return
		case v == giveUp:
			c.log.Warn("the client stops", "err", err)
			c.finish(err)
			return
		}
		delay := reconnectDelay(failures, v != retry, c.opts.jitter())
		c.log.Info("not connected", "err", err, "retry_in", delay)
		c.failed(err, opened, failures+1, delay)
		if !sleep(ctx, delay) {
			c.finish(ErrClosed)
			return
		}
	}
}

// sleep waits and reports whether ctx lasted.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *Client) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}

func (c *Client) failed(err error, opened bool, failures int, delay time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Status{State: StateConnecting, Err: err, Failures: failures, RetryAt: time.Now().Add(delay)}
	if opened {
		s.State = StateReconnecting
	}
	c.setStatus(s)
}

// finish ends the client for good.
func (c *Client) finish(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.setStatus(Status{State: StateClosed, Err: err})
	for _, s := range c.sends {
		c.settle(s, wire.Ack{}, err)
	}
}

// serve runs an open connection and returns what ended it. Everything it
// starts has ended when it returns.
func (c *Client) serve(ctx context.Context, k *conn, ack wire.HelloAck) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer k.ws.CloseNow()
	defer cancel()

	var dead error
	wg.Go(func() {
		if err := k.writeLoop(ctx); err != nil {
			c.abandon(ctx, k)
		}
	})
	pinged := make(chan struct{})
	wg.Go(func() {
		defer close(pinged)
		if dead = k.pingLoop(ctx); errors.Is(dead, errDead) {
			k.ws.CloseNow()
		}
	})
	wg.Go(func() { c.ackLoop(ctx, ack.Proto) })
	wishes := c.opened(k, ack)
	wg.Go(func() {
		c.replay(ctx, wishes)
		c.registerAgain(ctx)
	})

	err := c.readLoop(ctx, k)
	c.lost(err)
	cancel()
	if <-pinged; errors.Is(dead, errDead) {
		return errDead
	}
	return err
}

// abandon closes a connection that cannot be written to, after the reader had
// a moment to find the reason the broker may have given.
func (c *Client) abandon(ctx context.Context, k *conn) {
	if sleep(ctx, time.Second) {
		k.ws.CloseNow()
	}
}

func (c *Client) readLoop(ctx context.Context, k *conn) error {
	for {
		p, err := k.read(ctx)
		if err != nil {
			return err
		}
		h, err := wire.Peek(p)
		if err != nil {
			c.log.Warn("the broker sent what is no frame", "err", err)
			continue
		}
		c.receive(h, p)
	}
}

// opened makes the connection the client's, repeats on it the sends that have
// no answer yet, in their order, and returns what else must be told again.
func (c *Client) opened(k *conn, ack wire.HelloAck) []wish {
	c.peers.forget()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn, c.hello = k, ack
	c.services.reset(ack.Services)
	waiting := make([]*Sending, 0, len(c.sends))
	for _, s := range c.sends {
		waiting = append(waiting, s)
	}
	slices.SortFunc(waiting, func(a, b *Sending) int { return cmp.Compare(a.seq, b.seq) })
	for _, s := range waiting {
		c.transmit(s)
	}
	for _, s := range c.streams {
		s.lag()
	}
	c.setStatus(Status{State: StateOpen})
	if c.opts.Transient {
		return nil
	}
	return c.desired.wishes(&ack)
}

// lost takes the connection away from the client. Calls that wait for an
// answer fail; sends stay to be repeated.
func (c *Client) lost(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = nil
	if errors.Is(explain(err), errTooBig) {
		c.dropLargest()
	}
	for id, w := range c.calls {
		delete(c.calls, id)
		w.answer <- answer{err: ErrLost}
	}
	s := Status{State: StateReconnecting, Err: explain(err)}
	switch {
	case c.closing:
		s = Status{State: StateClosed, Err: ErrClosed}
	case judge(s.Err) == giveUp:
		s.State = StateClosed
	}
	c.setStatus(s)
}
