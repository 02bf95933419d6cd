package peer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

// A ScheduleRequest is a message to be sent later: After a while, At a time, or
// over and over by Cron.
type ScheduleRequest struct {
	// Target is a key of 64 hex digits or its first 8 or more, @group or *; names
	// are resolved with Resolve first. Empty is oneself: whichever session of the
	// member is there then, this one before others.
	Target string
	Text   string
	At     time.Time
	After  *time.Duration
	Cron   string
	TZ     string // IANA name, for Cron; empty is UTC
	Missed wire.Missed
	Clock  wire.ClockName
	// Reminder marks the message as one.
	Reminder bool
}

// Schedule has the broker send a message later, in the name of the member. For
// one key it is sealed, so that the broker cannot read it; for several recipients
// it is plain text.
func (c *Client) Schedule(ctx context.Context, req ScheduleRequest) (wire.ScheduledAck, error) {
	f := wire.Schedule{Cron: req.Cron, Missed: req.Missed, Clock: req.Clock}
	switch {
	case req.Cron != "":
		f.TZ = req.TZ
	case req.After != nil:
		ms := req.After.Milliseconds()
		f.Delay = &ms
	default:
		at := wire.MillisOf(req.At)
		f.DeliverAt = &at
	}
	if req.Reminder {
		f.Subtype = wire.SubtypeReminder
	}
	target := wire.Target{Kind: wire.ToKey, Name: c.opts.Mesh.Pubkey}
	if req.Target != "" {
		var err error
		if target, err = wire.ParseTarget(req.Target); err != nil {
			return wire.ScheduledAck{}, err
		}
	}
	if target.Kind == wire.ToPrefix {
		var err error
		if target, err = c.completeKey(ctx, target.Name); err != nil {
			return wire.ScheduledAck{}, err
		}
	}
	if err := c.fillScheduled(&f, target, req.Text); err != nil {
		return wire.ScheduledAck{}, err
	}
	frame, err := wire.Append(nil, "", f)
	if err != nil {
		return wire.ScheduledAck{}, err
	}
	if len(frame) > wire.MaxOrdinaryBytes-wire.MaxReqID {
		return wire.ScheduledAck{}, wire.Errorf(wire.TooLarge, "the message has %d bytes, more than can be scheduled; shorten it", len(req.Text))
	}
	return c.scheduleOnce(ctx, f)
}

const (
	scheduleTime = 18 * time.Second // for a request, where the caller's context does not say, a lost connection included
	maxAsks      = 10               // of one request
)

// scheduleOnce makes a request, and makes it again where no answer to it came,
// whether the connection was lost or not. By its id it is one request, and what was
// made before is what the answer then tells of.
func (c *Client) scheduleOnce(ctx context.Context, f wire.Schedule) (wire.ScheduledAck, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, scheduleTime)
		defer cancel()
	}
	f.ID = rand.Text()
	var unanswered error // why nothing is known of a request that may have been heard
	for range maxAsks {
		ack, err := c.askSchedule(ctx, f)
		switch {
		case errors.Is(err, ErrLost), errors.Is(err, ErrTimeout):
			unanswered = err
		case unanswered != nil && (errors.Is(err, ErrNotConnected) || errors.Is(err, ErrBusy)):
			// This one was not heard.
		default:
			return ack, err
		}
		if ctx.Err() != nil || c.Ready(ctx) != nil || c.Hello().Proto < wire.Proto {
			break // an old broker does not know requests by their ids
		}
	}
	return wire.ScheduledAck{}, fmt.Errorf("%w: see what is scheduled before you ask for it again", unanswered)
}

// askSchedule makes a request once, and leaves time to make it again.
func (c *Client) askSchedule(ctx context.Context, f wire.Schedule) (wire.ScheduledAck, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return Call(ctx, c, f)
}

// fillScheduled puts the text into f. An envelope is the member's, not the
// session's, which may be gone when it is opened.
func (c *Client) fillScheduled(f *wire.Schedule, to wire.Target, text string) error {
	if !to.Multicast() && to.Name == c.address {
		to.Name = c.opts.Mesh.Pubkey
	}
	f.To = to.String()
	if to.Multicast() || text == "" {
		f.Message = text
		return nil
	}
	box, err := c.scheduleBox(to.Name)
	if err != nil {
		return wire.Errorf(wire.InvalidTarget, "%s… is no key of a peer", wire.Shorten(to.Name, wire.MinPrefix))
	}
	f.Nonce, f.Ciphertext = box.SealWith(seal.NewNonce(), []byte(text))
	if to.Name != c.opts.Mesh.Pubkey {
		c.inbox.sealed(f.Nonce)
	}
	return nil
}

// scheduleBox is the box of the member for a key.
func (c *Client) scheduleBox(key string) (*seal.Box, error) {
	theirs, err := seal.ParsePublicKey(key)
	if err != nil {
		return nil, err
	}
	return c.boxes.get(c.member, theirs)
}

// Scheduled lists what the member has scheduled, with the texts, what is due
// first in front. A text that cannot be had is cut.
func (c *Client) Scheduled(ctx context.Context) ([]wire.Scheduled, error) {
	list, err := Call(ctx, c, wire.ListScheduled{})
	for i := range list.Messages {
		e := &list.Messages[i]
		if e.Nonce == "" {
			continue
		}
		text, err := c.unsealScheduled(e)
		e.Message, e.Cut = text, e.Cut || err != nil
	}
	return list.Messages, err
}

// unsealScheduled opens what the member sealed: a box opens at both its ends.
func (c *Client) unsealScheduled(e *wire.Scheduled) (string, error) {
	box, err := c.scheduleBox(e.To)
	if err != nil {
		return "", err
	}
	text, err := box.Open(e.Nonce, e.Ciphertext)
	return string(text), err
}
