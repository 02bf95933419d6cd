package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

// play holds the conversation. Its error is what kept it from going on; what
// came out otherwise than it should is among the checks.
func (d *demo) play(ctx context.Context) error {
	if err := d.makeMesh(ctx); err != nil {
		return err
	}
	var cast [3]*actor
	for i, name := range [...]string{"ann", "bob", "cleo"} {
		var err error
		if cast[i], err = d.enter(ctx, name); err != nil {
			return err
		}
	}
	ann, bob, cleo := cast[0], cast[1], cast[2]
	for _, act := range []func(context.Context, *actor, *actor, *actor) error{d.ask, d.gather, d.depart, d.crash, d.resume, d.close} {
		if err := act(ctx, ann, bob, cleo); err != nil {
			return err
		}
	}
	d.say("Was that all, and nothing twice?")
	d.nothingElse()
	return nil
}

// makeMesh makes a mesh that has no members but the cast.
func (d *demo) makeMesh(ctx context.Context) error {
	c, err := d.broker.Config()
	if err != nil {
		return err
	}
	if len(c.Brokers) == 0 {
		return errors.New("the broker's configuration has no token to make a mesh with")
	}
	owned, err := peer.Create(ctx, d.broker.ConfigDir(), c.Brokers[0], "demo", "")
	if err != nil {
		return err
	}
	d.invite, _, err = owned.Invite(ctx, peer.InviteSpec{Uses: 3, Expires: time.Hour, Role: wire.Ordinary})
	return err
}

// ask is a question, its receipts and its answer.
func (d *demo) ask(ctx context.Context, ann, bob, _ *actor) error {
	d.say("Ann asks Bob, and wants to know when he has read it.")
	question := direct(ann, bob, "Which test fails on your branch?")
	question.receipt = wire.StateSeen
	ack, err := d.send(ctx, question, wire.OutcomeCounts{Sent: 1})
	if err != nil {
		return err
	}
	r := d.take(ctx, bob, question)
	d.told(ctx, ann, ack.MessageID, bob, wire.StateDelivered)
	bob.client.MarkSeen(r.MessageID)
	d.told(ctx, ann, ack.MessageID, bob, wire.StateSeen)

	answer := direct(bob, ann, "TestLease. I have a fix, give me a minute.")
	answer.replyTo = r.MessageID
	if _, err := d.send(ctx, answer, wire.OutcomeCounts{Sent: 1}); err != nil {
		return err
	}
	d.read(ctx, answer)
	return nil
}

// gather is a message to a group that its sender is not in.
func (d *demo) gather(ctx context.Context, ann, bob, cleo *actor) error {
	d.say("Bob and Cleo join @review. Ann, who is not in it, writes to the group.")
	for _, a := range []*actor{bob, cleo} {
		if err := a.client.JoinGroup(ctx, wire.Group{Name: "review"}); err != nil {
			return fmt.Errorf("%s joins @review: %w", a.name, err)
		}
	}
	l := line{from: ann, to: "@review", target: "@review", hearers: []*actor{bob, cleo}, text: "Please look at the lease timer."}
	if _, err := d.send(ctx, l, wire.OutcomeCounts{Sent: 2}); err != nil {
		return err
	}
	d.read(ctx, l)
	return nil
}

// depart sends Cleo away, and her mail after her.
func (d *demo) depart(ctx context.Context, ann, bob, cleo *actor) error {
	d.say("Cleo goes offline. Bob writes to everyone, Ann to her alone.")
	if err := cleo.away(ctx, bob); err != nil {
		return err
	}
	toAll := line{from: bob, to: "everyone", target: "*", hearers: []*actor{ann}, text: "Fixed and pushed: the timer began too early."}
	if _, err := d.send(ctx, toAll, wire.OutcomeCounts{Sent: 1, Queued: 1}); err != nil {
		return err
	}
	d.read(ctx, toAll)
	_, err := d.send(ctx, direct(ann, cleo, "Cleo, can you merge it when you are back?"), wire.OutcomeCounts{Queued: 1})
	return err
}

// crash kills the broker under the conversation.
func (d *demo) crash(ctx context.Context, ann, bob, _ *actor) error {
	d.say("The broker is killed with kill -9. Bob writes to Ann all the same.")
	d.broker.Kill()
	for _, a := range []*actor{ann, bob} {
		if err := a.lost(ctx); err != nil {
			return err
		}
	}
	l := direct(bob, ann, "Are you still there?")
	d.quote(bob.name, l.to, l.text)
	sending, err := bob.client.SendAsync(ctx, l.request())
	if err != nil {
		return fmt.Errorf("bob sends while the broker is down: %w", err)
	}
	d.say("The broker comes back, and both return to it by themselves.")
	if err := d.broker.Restart(ctx); err != nil {
		return err
	}
	if err := ann.client.Ready(ctx); err != nil {
		return fmt.Errorf("ann returns: %w", err)
	}
	ack, err := sending.Wait(ctx)
	if err != nil {
		return fmt.Errorf("bob's message: %w", err)
	}
	d.check("bob's message has left by itself and is on disk", ack.Queued && !ack.Unknown, outcome(ack))
	d.read(ctx, l)
	return nil
}

// resume brings Cleo back to what was kept for her through the crash.
func (d *demo) resume(ctx context.Context, ann, bob, cleo *actor) error {
	d.say("Cleo returns. Her mail has survived, in the order in which it was written.")
	if err := cleo.connect(ctx); err != nil {
		return err
	}
	toAll := line{from: bob, hearers: []*actor{cleo}, text: "Fixed and pushed: the timer began too early."}
	d.read(ctx, toAll)
	r := d.read(ctx, direct(ann, cleo, "Cleo, can you merge it when you are back?"))

	answer := direct(cleo, ann, "Merged.")
	answer.replyTo = r.MessageID
	if _, err := d.send(ctx, answer, wire.OutcomeCounts{Sent: 1}); err != nil {
		return err
	}
	d.read(ctx, answer)
	return nil
}

// close ends the conversation with a message to everyone. All messages of a
// recipient come in one order, so with it whatever went astray before has come.
func (d *demo) close(ctx context.Context, ann, bob, cleo *actor) error {
	d.say("Bob and Cleo take their leave, and Ann thanks them.")
	for _, a := range []*actor{bob, cleo} {
		bye := direct(a, ann, "Bye, Ann.")
		if _, err := d.send(ctx, bye, wire.OutcomeCounts{Sent: 1}); err != nil {
			return err
		}
		d.read(ctx, bye)
	}
	thanks := line{from: ann, to: "everyone", target: "@all", hearers: []*actor{bob, cleo}, text: "Thank you both. Done for today."}
	if _, err := d.send(ctx, thanks, wire.OutcomeCounts{Sent: 2}); err != nil {
		return err
	}
	d.read(ctx, thanks)
	return nil
}

// nothingElse checks that nobody got anything but what take has checked.
func (d *demo) nothingElse() {
	for _, a := range d.cast {
		extra := a.unexpected()
		d.check(fmt.Sprintf("%s has these %d messages and no other", a.name, len(a.got)), extra == "", extra)
	}
}

// unexpected describes a message that came beside those of the script or came
// again, empty if there is none.
func (a *actor) unexpected() string {
	known := make(map[string]bool)
	for _, r := range a.got {
		if known[r.MessageID] {
			return fmt.Sprintf("%q twice", r.Text())
		}
		known[r.MessageID] = true
	}
	var records []peer.Record
	if a.client != nil {
		records = a.client.Records()
	}
	for _, r := range records {
		if !known[r.MessageID] {
			return fmt.Sprintf("%q from %s", r.Text(), r.SenderName)
		}
	}
	return ""
}
