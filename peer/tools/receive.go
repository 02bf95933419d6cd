package tools

import (
	"context"
	"errors"
	"time"

	"claudemesh/peer"
)

// catchUpTime is how long after its start a connection may keep those waiting
// who want all mail that waited for it.
const catchUpTime = 5 * time.Second

// receive moves mail into the post, and says when it has what waited.
func (h *hub) receive(ctx context.Context, m *mesh) {
	waited, cancel := context.WithTimeout(ctx, catchUpTime)
	m.done.Go(func() {
		defer cancel()
		select {
		case <-m.client.Drained():
		case <-waited.Done():
		}
	})
	h.receiveUntil(ctx, waited, m)
	close(m.caught)
	h.receiveUntil(ctx, ctx, m)
}

// receiveUntil moves mail into the post until end is over and all is moved that
// has come by then.
func (h *hub) receiveUntil(ctx, end context.Context, m *mesh) {
	for {
		r, err := m.client.Next(end)
		if err != nil {
			if errors.Is(err, peer.ErrSuperseded) {
				h.post.drop(m) // the other process shows it
			}
			return
		}
		h.accept(ctx, m, &r)
	}
}

// catchUp waits until the post has what waited at the brokers when the
// connections were begun, for a time at most.
func (h *hub) catchUp(ctx context.Context, most time.Duration) {
	if most <= 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	select {
	case <-h.loaded:
	case <-ctx.Done():
		return
	}
	for _, m := range h.all() {
		select {
		case <-m.caught:
		case <-ctx.Done():
			return
		}
	}
}

// accept puts a message into the post.
func (h *hub) accept(ctx context.Context, m *mesh, r *peer.Record) {
	if h.pong(m, r) {
		return
	}
	if r.SenderName == "" {
		asking, cancel := context.WithTimeout(ctx, time.Second)
		r.SenderName = m.client.Name(asking, r.SenderPubkey)
		cancel()
	}
	h.post.put(m, *r)
}
