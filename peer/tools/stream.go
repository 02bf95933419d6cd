package tools

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"claudemesh/peer"
	"claudemesh/wire"
)

// maxFollowed is how many streams of a mesh a session reads at once.
const maxFollowed = wire.MaxSubscriptions

// A following is the streams of a mesh that the session reads.
type following struct {
	added chan *peer.Subscription // to be read

	mu     sync.Mutex
	byName map[string]*peer.Subscription
}

func newFollowing() *following {
	return &following{added: make(chan *peer.Subscription, maxFollowed), byName: make(map[string]*peer.Subscription)}
}

// followStream subscribes the session to a stream, unless it is.
func (h *hub) followStream(ctx context.Context, m *mesh, stream string) error {
	f := m.streams
	f.mu.Lock()
	have, full := f.byName[stream] != nil, len(f.byName) == maxFollowed
	f.mu.Unlock()
	if have {
		return nil
	}
	if full {
		return fmt.Errorf("the session subscribes to %d streams: unsubscribe from one first", maxFollowed)
	}
	sub, err := m.client.Subscribe(ctx, stream, 0)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byName[stream] != nil {
		return nil // somebody else was faster
	}
	select {
	case f.added <- sub:
		f.byName[stream] = sub
		return nil
	default:
		return errors.New("too many subscriptions at once: try again in a moment")
	}
}

func (m *mesh) unfollowStream(ctx context.Context, stream string) error {
	f := m.streams
	f.mu.Lock()
	sub := f.byName[stream]
	delete(f.byName, stream)
	f.mu.Unlock()
	if sub != nil {
		return sub.Close(ctx)
	}
	_, err := peer.Call(ctx, m.client, wire.Unsubscribe{Stream: stream})
	return err
}

// attend reads the streams that the session subscribes to, and sees to it
// after each connection that it knows what was shared meanwhile, until ctx ends.
func (h *hub) attend(ctx context.Context, m *mesh) {
	var readers sync.WaitGroup
	defer readers.Wait()
	open, before := false, false
	for {
		changed := m.client.Changed()
		if now := m.client.State() == peer.StateOpen; now != open {
			open = now
			switch {
			case open && before:
				h.offersChanged()
			case open:
				before = true
				readers.Go(func() { h.resumeStreams(ctx, m) })
			}
		}
		select {
		case sub := <-m.streams.added:
			readers.Go(func() { h.readStream(ctx, m, sub) })
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// resumeStreams reads the streams to which an earlier process of the session
// has subscribed.
func (h *hub) resumeStreams(ctx context.Context, m *mesh) {
	list, err := peer.Call(ctx, m.client, wire.ListStreams{})
	for _, s := range list.Streams {
		if s.Subscribed && err == nil {
			err = h.followStream(ctx, m, s.Name)
		}
	}
	if err != nil {
		h.log.Debug("streams not resumed", "mesh", m.slug, "err", err)
	}
}

// readStream tells the session what comes of a stream.
func (h *hub) readStream(ctx context.Context, m *mesh, sub *peer.Subscription) {
	for {
		e, err := sub.Next(ctx)
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, peer.ErrClosed) {
				h.log.Warn("stream not read any more", "mesh", m.slug, "stream", wire.Shorten(sub.Stream(), 60), "err", err)
			}
			return
		}
		h.tell(m, streamNews(&e))
	}
}

// streamNews are the news of an entry.
func streamNews(e *peer.Entry) news {
	name := neutralLine(e.Stream, 2*nameLen)
	line := fmt.Sprintf("[stream:%s] from %s: %s", name, neutralLine(e.PublishedBy, nameLen), shortEntry(e.Data))
	if e.Missed > 0 {
		line = fmt.Sprintf("[stream:%s] %d entries were missed and are no longer kept. ", name, e.Missed) + line
	}
	return news{
		kind: "stream_data", text: line, look: "subscribe with from", data: true, keep: true,
		plural: fmt.Sprintf("entries of streams, the newest number %d of %s", e.Seq, name),
		meta:   map[string]string{"stream": attribute(e.Stream), "published_by": attribute(e.PublishedBy), "seq": strconv.FormatInt(e.Seq, 10)},
	}
}
