package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	stall     = 10 * time.Second // without an event, what is missing counts as lost
	lookEvery = 2 * time.Millisecond
)

// A count is what the clients of a run have done so far.
type count struct {
	epoch                             time.Time
	expected, acked, arrived, refused atomic.Int64

	settled chan struct{} // one for each message acknowledged by a recipient; nil unless paced
	given   chan struct{} // closed when the run has been given up
}

func (c *count) now() time.Duration { return time.Since(c.epoch) }

// settle tells the senders of a paced run that a recipient acknowledged n
// messages, one by one, so that none takes what another waits for.
func (c *count) settle(n int) {
	if c.settled == nil {
		return
	}
	for range n {
		select {
		case c.settled <- struct{}{}:
		case <-c.given:
			return
		}
	}
}

func (c *count) expect(recipients int) { c.expected.Add(int64(recipients)) }

// progress says how far the run is.
func (c *count) progress() string {
	return fmt.Sprintf("%d messages acknowledged, %d of %d delivered", c.acked.Load(), c.arrived.Load(), c.expected.Load())
}

// run has the crew do its workload once and returns what came of it. watch,
// if not nil, is given the counters when the run begins.
func (cr *crew) run(ctx context.Context, watch func(*count)) (*Result, error) {
	c := &count{epoch: time.Now(), given: make(chan struct{})}
	if cr.Paced {
		c.settled = make(chan struct{}, cr.Senders*cr.Receivers)
	}
	if watch != nil {
		watch(c)
	}
	giveUp := sync.OnceFunc(func() { close(c.given) })
	errs := make(chan error, cr.Senders+cr.Receivers)
	var senders, receivers sync.WaitGroup
	for _, r := range cr.present() {
		r.begin()
		r.conn.SetReadDeadline(time.Time{})
		receivers.Go(func() { errs <- r.run(c) })
	}
	for _, s := range cr.senders {
		senders.Go(func() { errs <- s.run(c, cr.more(c)) })
	}
	sent := make(chan struct{})
	go func() { // ended by the senders
		senders.Wait()
		close(sent)
	}()
	err := cr.follow(ctx, c, sent, errs)
	giveUp()
	past := time.Unix(1, 0)
	for _, s := range cr.senders {
		if err != nil {
			s.conn.SetDeadline(past)
		}
	}
	<-sent
	for _, r := range cr.present() {
		r.conn.SetReadDeadline(past)
	}
	receivers.Wait()
	if err != nil {
		return nil, err
	}
	return cr.result(c), nil
}

// present returns the receivers that are connected.
func (cr *crew) present() []*receiver {
	if cr.Away {
		return nil
	}
	return cr.receivers
}

// more returns what tells a sender whether to send another message.
func (cr *crew) more(c *count) func(done int) bool {
	return func(done int) bool {
		select {
		case <-c.given:
			return false
		default:
		}
		return (cr.Messages == 0 || done < cr.Messages) && (cr.For == 0 || done == 0 || c.now() < cr.For)
	}
}

// follow waits until all has arrived and is acknowledged, or nothing has
// happened for long.
func (cr *crew) follow(ctx context.Context, c *count, sent <-chan struct{}, errs <-chan error) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	done, since, before := false, time.Now(), int64(-1)
	for {
		select {
		case err := <-errs:
			if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-sent:
			done, sent = true, nil
		case <-tick.C:
		}
		owing := int64(0)
		for _, r := range cr.present() {
			owing += r.owing.Load()
		}
		if done && owing == 0 && c.arrived.Load() >= c.expected.Load() {
			return nil
		}
		if now := c.arrived.Load() + c.acked.Load() - owing; now != before {
			before, since = now, time.Now()
		}
		if time.Since(since) > cr.patience {
			return cr.stalled(c, done)
		}
	}
}

// stalled judges a run in which nothing happens any more: what is not there
// is lost, which is a result, unless the senders wait for the broker as well.
func (cr *crew) stalled(c *count, sendersDone bool) error {
	if !sendersDone && !cr.Paced {
		return fmt.Errorf("the broker stopped answering: %s", c.progress())
	}
	return nil
}
