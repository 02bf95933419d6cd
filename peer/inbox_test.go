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

// ackLog collects the client_acks of a peer.
type ackLog struct {
	mu     sync.Mutex
	frames []wire.ClientAck
	more   signal
}

// note takes a frame if it is a client_ack.
func (l *ackLog) note(k *brokerConn, f received) {
	if f.Type != (wire.ClientAck{}).FrameType() {
		return
	}
	var a wire.ClientAck
	k.decode(f, &a)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frames = append(l.frames, a)
	l.more.fire()
}

// in returns the ids acknowledged in a state so far.
func (l *ackLog) in(state wire.DeliveryState) (ids []string) {
	for _, a := range l.frames {
		if a.State == state {
			ids = append(ids, a.MessageIDs...)
		}
	}
	return ids
}

// until waits until n ids are acknowledged in a state and returns them.
func (l *ackLog) until(t *testing.T, state wire.DeliveryState, n int) []string {
	t.Helper()
	for {
		l.mu.Lock()
		ids, more := l.in(state), l.more.wait()
		l.mu.Unlock()
		if len(ids) >= n {
			return ids
		}
		select {
		case <-more:
		case <-time.After(time.Minute):
			t.Fatalf("%s: only %v", state, ids)
		}
	}
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

func TestCopiesAreAcknowledgedAsWhatTheMessageIsByNow(t *testing.T) {
	for policy, want := range map[AckPolicy]wire.DeliveryState{AckOnReceipt: wire.StateDelivered, AckOnSeen: ""} {
		b := newInbox(policy)
		c := &Client{inbox: b}
		b.add(Record{MessageID: "1"})
		b.acks.confirm(b.acks.batch())
		if !b.duplicate("1") || b.acks.state["1"] != want {
			t.Errorf("policy %d: delivered, acknowledged as %q", policy, b.acks.state["1"])
		}
		c.MarkSeen("1")
		b.acks.confirm(b.acks.batch())
		if !b.duplicate("1") || b.acks.state["1"] != wire.StateSeen {
			t.Errorf("policy %d: seen, acknowledged as %q", policy, b.acks.state["1"])
		}
	}
}

func TestAcknowledgementsAreRepeatedUntilTheBrokerHasThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log ackLog
		b := newPipeBroker(t, func(k *brokerConn, n int) {
			k.hello()
			if n == 1 {
				k.write("", plainPush("1"))
				f, _ := k.read() // delivered; the connection ends before the answer
				log.note(k, f)
				return
			}
			refusals := 2
			k.serve(func(f received) wire.Frame {
				log.note(k, f)
				if refusals--; refusals >= 0 {
					return wire.Errorf(wire.Unavailable, "disk full")
				}
				return nil
			})
		})
		c := b.open()
		r, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		until(t, c, func(s Status) bool { return s.State == StateReconnecting })
		c.MarkSeen(r.MessageID)
		log.until(t, wire.StateSeen, 3)
		if err := c.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		if got := log.in(wire.StateSeen); len(got) != 3 {
			t.Errorf("told %d times", len(got))
		}
		if got := log.in(wire.StateDelivered); len(got) != 1 {
			t.Errorf("delivered told %d times: seen says it too", len(got))
		}
	})
}

func TestRefusedAcknowledgementsAreNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log ackLog
		b := newPipeBroker(t, func(k *brokerConn, n int) {
			k.hello()
			k.write("", plainPush("1"))
			k.serve(func(f received) wire.Frame {
				log.note(k, f)
				return wire.Errorf(wire.BadRequest, "no")
			})
		})
		c := b.open()
		time.Sleep(time.Hour)
		if err := c.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if n := len(log.frames); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

func TestOlderBrokersGetNoAcknowledgements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPipeBroker(t, func(k *brokerConn, _ int) {
			k.readHello()
			k.write("", wire.HelloAck{})
			k.write("", plainPush("1"))
			k.serve(func(f received) wire.Frame {
				t.Errorf("got %s", f.data)
				return nil
			})
		})
		c := b.open()
		if _, err := c.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.MarkSeen("1")
		if err := c.Flush(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestAckOnSeenTellsNothingBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log ackLog
		b := newPipeBroker(t, func(k *brokerConn, _ int) {
			k.hello()
			k.write("", plainPush("1"))
			k.write("", plainPush("1"))
			k.serve(func(f received) wire.Frame { log.note(k, f); return nil })
		})
		c := b.open(func(o *Options) { o.AutoAck = AckOnSeen })
		if _, err := c.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if n := len(log.frames); n != 0 {
			t.Errorf("told %+v", log.frames)
		}
		c.MarkSeen("1")
		log.until(t, wire.StateSeen, 1)
	})
}

func TestAcknowledgementsAreBatched(t *testing.T) {
	const n = 300
	var log ackLog
	b := newTestBroker(t, func(k *brokerConn, _ int) {
		k.hello()
		for i := range n {
			k.write("", plainPush(fmt.Sprint(i)))
		}
		k.serve(func(f received) wire.Frame { log.note(k, f); return nil })
	})
	c := b.open()
	log.until(t, wire.StateDelivered, n)
	before := len(log.frames)
	for i := range n {
		c.inbox.mu.Lock()
		c.inbox.known.put(fmt.Sprint(i), wire.StateSeen)
		c.inbox.acks.put(fmt.Sprint(i), wire.StateSeen)
		c.inbox.mu.Unlock()
	}
	c.inbox.wake <- struct{}{}
	log.until(t, wire.StateSeen, n)
	if got := len(log.frames) - before; got != 2 {
		t.Errorf("%d frames for %d ids", got, n)
	}
	for _, a := range log.frames {
		if len(a.MessageIDs) > wire.MaxAckIDs {
			t.Errorf("%d ids in a frame", len(a.MessageIDs))
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

func TestCloseReportsWhatWasSeenFirst(t *testing.T) {
	var log ackLog
	b := newTestBroker(t, func(k *brokerConn, _ int) {
		k.hello()
		k.write("", plainPush("1"))
		k.serve(func(f received) wire.Frame { log.note(k, f); return nil })
	})
	c := b.open()
	if _, err := c.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.MarkSeen("1")
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	log.until(t, wire.StateSeen, 1)
	if n := len(c.Records()); n != 1 {
		t.Errorf("%d records can be read after closing", n)
	}
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

func TestEventsAndReceiptsAreNoMail(t *testing.T) {
	b := newTestBroker(t, func(k *brokerConn, _ int) {
		k.hello()
		k.write("", wire.Push{MessageID: "e", MeshID: testMesh, SenderPubkey: wire.SystemSender, Subtype: wire.SubtypeSystem, Event: wire.EventPeerJoined})
		k.write("", wire.Receipt{MessageID: "m", State: wire.StateSeen})
		k.serve(func(f received) wire.Frame {
			t.Errorf("an event was acknowledged: %s", f.data)
			return nil
		})
	})
	c := b.open()
	if p, ok := receive(t, c.Events()).Frame.(wire.Push); !ok || p.Event != wire.EventPeerJoined {
		t.Errorf("%+v", p)
	}
	if r, ok := receive(t, c.Events()).Frame.(wire.Receipt); !ok || r.MessageID != "m" {
		t.Errorf("%+v", r)
	}
	if n := len(c.Records()); n != 0 {
		t.Errorf("%d records", n)
	}
	c.Close(t.Context())
	if _, more := <-c.Events(); more {
		t.Error("the channel is open after closing")
	}
}

func TestOldestEventsAreDroppedAndCounted(t *testing.T) {
	e := newEvents()
	for i := range maxEvents + 5 {
		e.add(Event{Frame: wire.Receipt{MessageID: fmt.Sprint(i)}})
	}
	if n := e.dropped.Load(); n != 5 {
		t.Errorf("%d dropped", n)
	}
	if first := (<-e.ch).Frame.(wire.Receipt); first.MessageID != "5" {
		t.Errorf("the oldest is %s", first.MessageID)
	}
}

func TestSeenIsNeverTakenBack(t *testing.T) {
	q := ackQueue{state: make(map[string]wire.DeliveryState)}
	q.put("1", wire.StateDelivered)
	told := q.batch()
	q.put("1", wire.StateSeen)
	q.put("1", wire.StateDelivered)
	q.confirm(told)
	if a := q.batch(); a.State != wire.StateSeen || len(a.MessageIDs) != 1 {
		t.Errorf("left to tell: %+v", a)
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
