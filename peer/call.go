package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"claudemesh/wire"
)

const (
	callTimeout = 5 * time.Second // where the caller's context sets none
	maxCalls    = 100             // that wait for an answer
	maxProgress = 16              // answers before the last that wait to be read; further ones are dropped
)

// A call is a request that waits for its answer.
type call struct {
	want   wire.Type
	size   int         // of its frame
	answer chan answer // has room for the last
	// more reports whether a frame is followed by others that answer the same
	// request; nil for the one answer that most have. It runs on the reader.
	more func(frame []byte) bool
	// progress is given each frame but the last, by the caller's goroutine.
	progress func(frame []byte)
}

// An answer is the frame that answers a call, or why there is none.
type answer struct {
	frame []byte
	err   error
	more  bool // others follow
}

// Call sends req and waits for the frame that answers it, for 5 s unless ctx
// has a deadline. A refusal by the broker is a *wire.Error. ErrNotConnected and
// ErrBusy mean that nothing was sent; after ErrLost and ErrTimeout, and when
// ctx is cancelled, the broker may have acted.
func Call[Resp wire.Frame](ctx context.Context, c *Client, req wire.Request[Resp]) (res Resp, err error) {
	p, err := c.roundTrip(ctx, req, &call{want: res.FrameType()}, maxCalls)
	if err != nil {
		return res, err
	}
	if err := wire.Decode(p, &res); err != nil {
		return res, fmt.Errorf("cannot read the broker's answer to %s: %v", req.FrameType(), err)
	}
	return res, nil
}

// callUntil is Call of a request that has several answers, each of which but the
// last more is true of. progress is given those as they come, unless it is nil.
func callUntil[Resp wire.Frame](ctx context.Context, c *Client, req wire.Request[Resp], more func(*Resp) bool, progress func(Resp)) (res Resp, err error) {
	w := &call{want: res.FrameType()}
	w.more = func(frame []byte) bool {
		var r Resp
		return wire.Decode(frame, &r) == nil && more(&r)
	}
	w.progress = func(frame []byte) {
		var r Resp
		if progress != nil && wire.Decode(frame, &r) == nil {
			progress(r)
		}
	}
	p, err := c.roundTrip(ctx, req, w, maxCalls)
	if err != nil {
		return res, err
	}
	if err := wire.Decode(p, &res); err != nil {
		return res, fmt.Errorf("cannot read the broker's answer to %s: %v", req.FrameType(), err)
	}
	return res, nil
}

// roundTrip sends a request, which w waits for, unless limit others wait already.
func (c *Client) roundTrip(ctx context.Context, req wire.Frame, w *call, limit int) ([]byte, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callTimeout)
		defer cancel()
	}
	id := c.reqPrefix + strconv.FormatUint(c.requests.Add(1), 36)
	frame, err := wire.Append(nil, id, req)
	if err != nil {
		return nil, err
	}
	if len(frame) > wire.MaxFrameBytes {
		return nil, wire.Errorf(wire.TooLarge, "%s has %d bytes, more than the %d that a frame may have", req.FrameType(), len(frame), wire.MaxFrameBytes)
	}
	w.size, w.answer = len(frame), make(chan answer, 1)
	if w.more != nil {
		w.answer = make(chan answer, maxProgress+1)
	}
	if err := c.begin(id, w, frame, limit); err != nil {
		return nil, fmt.Errorf("%s: %w", req.FrameType(), err)
	}
	for {
		select {
		case a := <-w.answer:
			if a.more {
				w.progress(a.frame)
				continue
			}
			if errors.Is(a.err, ErrLost) {
				return nil, fmt.Errorf("%s: %w", req.FrameType(), a.err)
			}
			return a.frame, a.err
		case <-ctx.Done():
			c.mu.Lock()
			delete(c.calls, id)
			c.mu.Unlock()
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, fmt.Errorf("%s: %w", req.FrameType(), ErrTimeout)
			}
			return nil, ctx.Err()
		}
	}
}

func (c *Client) begin(id string, w *call, frame []byte, limit int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.conn == nil:
		return c.offline()
	case len(c.calls) >= limit:
		return ErrBusy
	}
	c.calls[id] = w
	c.conn.write(frame)
	return nil
}

// offline says why there is no connection. It is called with mu held.
func (c *Client) offline() error {
	switch err := c.status.Err; {
	case err == nil:
		return ErrNotConnected
	case c.status.State == StateClosed:
		return err
	default:
		return fmt.Errorf("%w: %w", ErrNotConnected, err)
	}
}

// receive handles one frame from the broker. p is valid during the call only.
func (c *Client) receive(h wire.Head, p []byte) {
	if h.ReqID != "" && c.answerCall(h, p) {
		return
	}
	switch h.Type {
	case (wire.Ack{}).FrameType():
		c.sendAccepted(p)
		return
	case (*wire.Error)(nil).FrameType():
		c.sendRefused(p)
		return
	}
	if handle, ok := c.handlers[h.Type]; ok {
		handle(c, p)
		return
	}
	c.log.Debug("frame dropped", "type", h.Type, "reqId", h.ReqID)
}

// answerCall gives a frame to the call that has its _reqId and reports whether
// there is one.
func (c *Client) answerCall(h wire.Head, p []byte) bool {
	c.mu.Lock()
	w := c.calls[h.ReqID]
	more := w != nil && w.more != nil && h.Type == w.want && w.more(p)
	if !more {
		delete(c.calls, h.ReqID)
	}
	c.mu.Unlock()
	switch {
	case w == nil:
		return false
	case more:
		// Only this goroutine adds, so there is room for the last.
		if len(w.answer) < maxProgress {
			w.answer <- answer{frame: bytes.Clone(p), more: true}
		}
	case h.Type == w.want:
		w.answer <- answer{frame: bytes.Clone(p)}
	case h.Type == (*wire.Error)(nil).FrameType():
		w.answer <- answer{err: refusal(p)}
	default:
		w.answer <- answer{err: fmt.Errorf("the broker answered with %s instead of %s", h.Type, w.want)}
	}
	return true
}
