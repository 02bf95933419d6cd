package peer

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"claudemesh/wire"
)

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
