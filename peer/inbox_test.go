package peer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"claudemesh/wire"
)

func plainPush(id string) wire.Push {
	return wire.Push{MessageID: id, MeshID: testMesh, SenderPubkey: "s", Priority: wire.Next, Ciphertext: "aGVsbG8=", TargetSpec: "*"}
}

func TestMailIsDeliveredWhenItArrivesAndSeenWhenShown(t *testing.T) {
	var log ackLog
	b := newTestBroker(t, func(k *brokerConn, _ int) {
		k.hello()
		for _, id := range []string{"1", "2", "3"} {
			k.write("", plainPush(id))
		}
		k.serve(func(f received) wire.Frame { log.note(k, f); return nil })
	})
	c := b.open()
	if got := log.until(t, wire.StateDelivered, 3); !slices.Equal(got, []string{"1", "2", "3"}) {
		t.Errorf("delivered %v", got)
	}
	first, err := c.Next(t.Context())
	if err != nil || first.MessageID != "1" || first.Text() != "hello" || first.Kind != Broadcast || first.Authenticated {
		t.Fatalf("%+v, %v", first, err)
	}
	if n := len(c.Unseen()); n != 3 {
		t.Errorf("%d unseen although nothing was marked", n)
	}
	if second, err := c.Next(t.Context()); err != nil || second.MessageID != "2" {
		t.Errorf("%+v, %v", second, err)
	}
	c.MarkSeen("1", "3", "unknown")
	if got := slices.Sorted(slices.Values(log.until(t, wire.StateSeen, 2))); !slices.Equal(got, []string{"1", "3"}) {
		t.Errorf("seen %v", got)
	}
	if u := c.Unseen(); len(u) != 1 || u[0].MessageID != "2" {
		t.Errorf("unseen %+v", u)
	}
	if n := len(c.Records()); n != 3 {
		t.Errorf("%d records", n)
	}
	c.MarkSeen("1")
	if err := c.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	if got := log.in(wire.StateSeen); len(got) != 2 {
		t.Errorf("seen %v: marked twice, told twice", got)
	}
	if in, _ := c.Counters(); in != 3 {
		t.Errorf("%d messages counted", in)
	}
}

func TestDuplicatesAreNotShown(t *testing.T) {
	b := newTestBroker(t, func(k *brokerConn, _ int) {
		k.hello()
		for _, id := range []string{"1", "1", "2"} {
			k.write("", plainPush(id))
		}
		k.serve(nil)
	})
	c := b.open()
	for _, id := range []string{"1", "2"} {
		if r, err := c.Next(t.Context()); err != nil || r.MessageID != id {
			t.Fatalf("%+v, %v", r, err)
		}
	}
}

func TestFullInboxLeavesMailWithTheBroker(t *testing.T) {
	b := newInbox(AckOnReceipt)
	add := func(id string) bool { return b.add(Record{MessageID: id}) }
	for i := range maxRecords {
		if !add(fmt.Sprint(i)) {
			t.Fatalf("record %d is not taken", i)
		}
	}
	if add("more") {
		t.Fatal("unseen mail was dropped")
	}
	if b.duplicate("more") {
		t.Error("what was not taken counts as received")
	}
	if _, waits := b.acks.state["more"]; waits {
		t.Error("what was not taken is acknowledged")
	}
	b.records[3].seen, b.records[7].seen = true, true
	if !add("more") || !add("again") || add("too many") {
		t.Error("seen records make no room")
	}
	for _, r := range b.records {
		if r.MessageID == "3" || r.MessageID == "7" {
			t.Errorf("%s is kept", r.MessageID)
		}
	}
	if len(b.records) != maxRecords || b.refused != 2 {
		t.Errorf("%d records, %d refused", len(b.records), b.refused)
	}
}

func TestInboxTakesNothingWhileAcknowledgementsPileUp(t *testing.T) {
	b := newInbox(AckOnReceipt)
	for i := range maxUnacked {
		b.acks.put(fmt.Sprint(i), wire.StateDelivered)
	}
	if b.add(Record{MessageID: "x"}) {
		t.Error("taken")
	}
}

func TestRecentForgetsTheOldest(t *testing.T) {
	r := newRecent[int](3)
	for i, key := range []string{"a", "b", "a", "c", "d", "e"} {
		r.put(key, i)
	}
	var left []string
	for _, key := range []string{"a", "b", "c", "d", "e"} {
		if _, ok := r.get(key); ok {
			left = append(left, key)
		}
	}
	if !slices.Equal(left, []string{"c", "d", "e"}) || len(r.values) != 3 {
		t.Errorf("left are %v", left)
	}
}

func TestNextWaitsForMailAndForTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPipeBroker(t, func(k *brokerConn, _ int) {
			k.hello()
			time.AfterFunc(time.Minute, func() { k.write("", plainPush("1")) })
			k.serve(nil)
		})
		c := b.open()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v", err)
		}
		if r, err := c.Next(t.Context()); err != nil || r.MessageID != "1" {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestDrainedIsReported(t *testing.T) {
	b := newTestBroker(t, func(k *brokerConn, _ int) {
		k.hello()
		k.write("", plainPush("1"))
		k.write("", wire.Drained{Pushed: 1, Remaining: 4})
		k.write("", wire.Drained{Pushed: 1, Remaining: 4})
		k.serve(nil)
	})
	c := b.open(func(o *Options) { o.Transient, o.Drain = true, true })
	receive(t, c.Drained())
	if n := len(c.Unseen()); n != 1 || c.Remaining() != 4 {
		t.Errorf("%d records when drained, %d remain", n, c.Remaining())
	}
}

func TestMailThatPrecedesTheHelloAckIsTaken(t *testing.T) {
	b := newTestBroker(t, func(k *brokerConn, _ int) {
		k.readHello()
		k.write("", plainPush("early"))
		k.write("", wire.HelloAck{Proto: wire.Proto})
		k.serve(nil)
	})
	c := b.open()
	if u := c.Unseen(); len(u) != 1 || u[0].MessageID != "early" {
		t.Errorf("%+v", u)
	}
}

func TestPushesOfOtherMeshesAreDropped(t *testing.T) {
	b := newTestBroker(t, func(k *brokerConn, _ int) {
		k.hello()
		p := plainPush("1")
		p.MeshID = "another"
		k.write("", p)
		k.write("", plainPush("2"))
		k.serve(nil)
	})
	c := b.open()
	if r, err := c.Next(t.Context()); err != nil || r.MessageID != "2" {
		t.Errorf("%+v, %v", r, err)
	}
}

// doneContext lets something happen after Next has looked for a record and
// before it waits.
type doneContext struct {
	context.Context
	happens func()
}

func (d doneContext) Done() <-chan struct{} {
	d.happens()
	return nil
}

func TestARecordThatCameWithTheEndIsReturnedFirst(t *testing.T) {
	for range 50 { // a select that has a choice makes it at random
		gone := errors.New("gone")
		c := &Client{inbox: newInbox(AckOnSeen), done: make(chan struct{}), status: Status{State: StateClosed, Err: gone}}
		ctx := doneContext{t.Context(), sync.OnceFunc(func() {
			c.inbox.add(Record{MessageID: "last"})
			close(c.done)
		})}
		if r, err := c.Next(ctx); err != nil || r.MessageID != "last" {
			t.Fatalf("%+v, %v", r, err)
		}
		if _, err := c.Next(ctx); err != gone {
			t.Fatalf("after it: %v", err)
		}
	}
}

func TestAnUnseenRecordIsKnownHoweverManyCameSince(t *testing.T) {
	b := newInbox(AckOnReceipt)
	b.add(Record{MessageID: "unseen"})
	for i := range maxKnown {
		b.known.put(fmt.Sprint(i), wire.StateSeen)
	}
	if _, ok := b.known.get("unseen"); ok {
		t.Fatal("it was not evicted, so this shows nothing")
	}
	if !b.duplicate("unseen") {
		t.Error("it would be shown twice")
	}
	if b.acks.state["unseen"] != wire.StateDelivered {
		t.Error("it is not acknowledged again")
	}
}
