package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"claudemesh/peer"
	"claudemesh/seal"
	"claudemesh/wire"
)

// demoPatience is how long something that must happen may take.
const demoPatience = 15 * time.Second

// An actor is a peer of the demonstration: a member with one session, which
// comes back as the same peer when it has been away.
type actor struct {
	name   string
	opts   peer.Options
	client *peer.Client // nil while it is away
	got    []peer.Record
}

// enter makes a new member and connects it.
func (d *demo) enter(ctx context.Context, name string) (*actor, error) {
	joined, err := peer.Join(ctx, peer.JoinRequest{Link: d.invite, DisplayName: name})
	if err != nil {
		return nil, fmt.Errorf("%s joins: %w", name, err)
	}
	key, err := seal.Generate()
	if err != nil {
		return nil, err
	}
	a := &actor{name: name, opts: peer.Options{
		Mesh: joined.Mesh, SessionID: "demo-" + name, SessionKey: key, DisplayName: name, PeerType: "ai", Channel: "demo",
		AutoAck: peer.AckOnReceipt, EncryptMulticast: peer.MulticastSealed, Logger: d.env.Logger(),
	}}
	d.cast = append(d.cast, a)
	return a, a.connect(ctx)
}

func (a *actor) connect(ctx context.Context) (err error) {
	if a.client, err = peer.Open(ctx, a.opts); err != nil {
		return fmt.Errorf("%s connects: %w", a.name, err)
	}
	return nil
}

// away takes the actor offline, until another sees that it is: the broker takes
// note of a goodbye after it has answered it.
func (a *actor) away(ctx context.Context, other *actor) error {
	c := a.client
	a.client = nil
	if err := c.Close(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	for {
		list, err := peer.Call(ctx, other.client, wire.ListPeers{})
		if err != nil {
			return fmt.Errorf("%s asks whether %s is offline: %w", other.name, a.name, err)
		}
		if !slices.ContainsFunc(list.Peers, func(p wire.Peer) bool { return p.Pubkey == a.address() }) {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s has left and is not offline", a.name)
		}
	}
}

func (a *actor) address() string { return a.opts.SessionKey.Public().String() }

// A line is a message of the script.
type line struct {
	from    *actor
	to      string   // as the story names it
	target  string   // as the wire does
	hearers []*actor // whom it must reach
	text    string
	replyTo string
	receipt wire.DeliveryState
}

// direct is a line to one actor.
func direct(from, to *actor, text string) line {
	return line{from: from, to: to.name, target: to.address(), hearers: []*actor{to}, text: text}
}

// send sends a line and holds the ack to the outcome that is expected.
func (d *demo) send(ctx context.Context, l line, want wire.OutcomeCounts) (wire.Ack, error) {
	d.quote(l.from.name, l.to, l.text)
	ack, err := l.from.client.Send(ctx, l.request())
	if err != nil {
		return ack, fmt.Errorf("%s sends to %s: %w", l.from.name, l.to, err)
	}
	d.acknowledged(l, ack, want)
	return ack, nil
}

func (l *line) request() peer.SendRequest {
	return peer.SendRequest{Target: l.target, Text: l.text, ReplyTo: l.replyTo, Receipt: l.receipt}
}

// acknowledged checks an ack.
func (d *demo) acknowledged(l line, ack wire.Ack, want wire.OutcomeCounts) {
	what := "the broker has it on disk"
	switch {
	case want.Sent > 0 && want.Queued > 0:
		what = fmt.Sprintf("on disk: handed to %d, kept for %d who is away", want.Sent, want.Queued)
	case want.Queued > 0:
		what = fmt.Sprintf("on disk: kept for %s, who is away", l.to)
	case want.Sent > 0:
		what = fmt.Sprintf("on disk, and handed to %d", want.Sent)
	}
	d.check(what, ack.Recipients != nil && *ack.Recipients == want, outcome(ack))
}

// read has those whom a line must reach take and read their next message, and
// returns it as the last of them has it.
func (d *demo) read(ctx context.Context, l line) (r peer.Record) {
	for _, a := range l.hearers {
		r = d.take(ctx, a, l)
		a.client.MarkSeen(r.MessageID)
	}
	return r
}

// take has an actor take its next message without reading it. It must be l.
func (d *demo) take(ctx context.Context, a *actor, l line) peer.Record {
	r, err := a.next(ctx)
	if err != nil {
		d.check(fmt.Sprintf("%s has %q from %s", a.name, l.text, l.from.name), false, err.Error())
		return r
	}
	d.check(a.name+" has it from "+l.from.name, l.is(&r), fmt.Sprintf("%q from %s %s", r.Text(), r.SenderName, r.Failure))
	return r
}

// is reports whether r is the line, in the name of who wrote it.
func (l *line) is(r *peer.Record) bool {
	return r.Text() == l.text && r.Authenticated && r.SenderPubkey == l.from.address() && r.SenderName == l.from.name && r.ReplyTo == l.replyTo
}

// next returns the next message that the actor receives, without reading it.
func (a *actor) next(ctx context.Context) (peer.Record, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, demoPatience, errors.New("no message came"))
	defer cancel()
	r, err := a.client.Next(ctx)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return r, err
	}
	a.got = append(a.got, r)
	return r, nil
}

// told waits for the next receipt of a message, which must say that reader has
// come to state with it.
func (d *demo) told(ctx context.Context, a *actor, messageID string, reader *actor, state wire.DeliveryState) {
	ctx, cancel := context.WithTimeoutCause(ctx, demoPatience, errors.New("no receipt came"))
	defer cancel()
	what := fmt.Sprintf("%s is told: %s by %s", a.name, state, reader.name)
	for {
		select {
		case e, ok := <-a.client.Events():
			if !ok {
				d.check(what, false, fmt.Sprint(a.client.Status().Err))
				return
			}
			if r, ok := e.Frame.(wire.Receipt); ok {
				d.check(what, r.MessageID == messageID && r.Pubkey == reader.address() && r.State == state, fmt.Sprintf("%s by %s", r.State, r.Name))
				return
			}
		case <-ctx.Done():
			d.check(what, false, context.Cause(ctx).Error())
			return
		}
	}
}

// lost waits until the actor has noticed that its connection is gone.
func (a *actor) lost(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	for {
		changed := a.client.Changed()
		if a.client.State() != peer.StateOpen {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%s does not notice that the broker is gone", a.name)
		}
	}
}
