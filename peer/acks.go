package peer

import (
	"context"
	"errors"
	"slices"

	"claudemesh/wire"
)

// An ackQueue holds what the broker has yet to be told of received messages.
// The mutex of its inbox guards it.
type ackQueue struct {
	state map[string]wire.DeliveryState
	order []string // the keys of state, oldest first
	empty signal
}

// put adds an acknowledgement; seen replaces delivered, never the reverse.
func (q *ackQueue) put(id string, state wire.DeliveryState) {
	old, ok := q.state[id]
	if !ok {
		q.order = append(q.order, id)
	}
	if old != wire.StateSeen {
		q.state[id] = state
	}
}

// batch returns as many ids as fit in one frame, all in the state of the
// oldest. They stay queued until confirm.
func (q *ackQueue) batch() wire.ClientAck {
	if len(q.order) == 0 {
		return wire.ClientAck{}
	}
	a := wire.ClientAck{State: q.state[q.order[0]]}
	for _, id := range q.order {
		if q.state[id] == a.State {
			a.MessageIDs = append(a.MessageIDs, id)
		}
		if len(a.MessageIDs) == wire.MaxAckIDs {
			break
		}
	}
	return a
}

// confirm removes what the broker has been told, unless more has happened since.
func (q *ackQueue) confirm(a wire.ClientAck) {
	for _, id := range a.MessageIDs {
		if q.state[id] == a.State {
			delete(q.state, id)
		}
	}
	q.order = slices.DeleteFunc(q.order, func(id string) bool {
		_, waits := q.state[id]
		return !waits
	})
	if len(q.order) == 0 {
		q.empty.fire()
	}
}

// ackLoop tells the broker what became of its pushes until ctx ends. One frame
// is under way at a time; what comes meanwhile goes into the next one. A broker
// of an older version is not told, as it does not know the frame.
func (c *Client) ackLoop(ctx context.Context, proto int) {
	b := c.inbox
	for tries := 0; ; {
		b.mu.Lock()
		a := b.acks.batch()
		b.mu.Unlock()
		if len(a.MessageIDs) == 0 {
			select {
			case <-b.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		err := c.acknowledge(ctx, a, proto)
		switch {
		case err == nil:
			tries = 0
			b.mu.Lock()
			b.acks.confirm(a)
			b.mu.Unlock()
		case ctx.Err() != nil:
			return
		default:
			c.log.Warn("acknowledgement failed", "state", a.State, "messages", len(a.MessageIDs), "err", err)
			if !sleep(ctx, resendDelay(tries, c.opts.jitter())) {
				return
			}
			tries++
		}
	}
}

// acknowledge reports a batch. It is nil too where there is no use in trying
// again.
func (c *Client) acknowledge(ctx context.Context, a wire.ClientAck, proto int) error {
	if proto < wire.Proto {
		return nil
	}
	// Beyond the limit of other calls, which must not hold up what was seen.
	_, err := c.roundTrip(ctx, a, &call{want: (wire.Ack{}).FrameType()}, maxCalls+1)
	e, refused := errors.AsType[*wire.Error](err)
	if !refused || e.Code == wire.RateLimited || e.Code == wire.Unavailable || e.Code == wire.Internal {
		return err
	}
	c.log.Warn("acknowledgement refused", "state", a.State, "messages", len(a.MessageIDs), "err", err)
	return nil
}

// Flush waits until the broker knows all that MarkSeen and the receipt of mail
// have to tell it, or until ctx ends.
func (c *Client) Flush(ctx context.Context) error {
	b := c.inbox
	b.mu.Lock()
	empty := b.acks.empty.wait()
	waiting := len(b.acks.order)
	b.mu.Unlock()
	if waiting == 0 {
		return nil
	}
	select {
	case <-empty:
		return nil
	case <-c.done:
		return c.Status().Err
	case <-ctx.Done():
		return ctx.Err()
	}
}
