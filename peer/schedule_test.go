package peer

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"claudemesh/wire"
)

// A connection may be lost after the broker has acted and before its answer has come.
func TestAScheduleWhoseAnswerIsLostIsAskedForAgainAsOne(t *testing.T) {
	asked := make(chan wire.Schedule, 2)
	b := newTestBroker(t, func(k *brokerConn, n int) {
		k.hello()
		f, _ := k.read()
		var req wire.Schedule
		k.decode(f, &req)
		asked <- req
		if n == 1 {
			return
		}
		k.write(f.ReqID, wire.ScheduledAck{ScheduledID: "entry", Duplicate: true})
		k.wait()
	})
	c := b.open()
	later := time.Hour
	ack, err := c.Schedule(t.Context(), ScheduleRequest{Text: "look", After: &later})
	if err != nil || ack.ScheduledID != "entry" {
		t.Fatal(ack, err)
	}
	first, second := <-asked, <-asked
	if first.ID == "" || first.ID != second.ID || first.Nonce != second.Nonce || first.Ciphertext != second.Ciphertext {
		t.Errorf("asked for %+v, then for %+v", first, second)
	}
}

// An answer may be late, or never come, on a connection that is not lost.
func TestAScheduleThatIsNotAnsweredIsAskedForAgainAsOne(t *testing.T) {
	later := time.Hour
	for name, tc := range map[string]struct {
		answered int // which request; 0 for none
		proto    int // of the broker
		asked    int
	}{
		"the first is answered":      {1, wire.Proto, 1},
		"the third is answered":      {3, wire.Proto, 3},
		"none is answered":           {0, wire.Proto, int(scheduleTime/callTimeout) + 1},
		"a broker that knows no ids": {0, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked []wire.Schedule // of the broker until it has ended
				ended := make(chan struct{})
				b := newPipeBroker(t, func(k *brokerConn, _ int) {
					defer close(ended)
					k.readHello()
					k.write("", wire.HelloAck{PresenceID: "p", MemberDisplayName: "me", Proto: tc.proto})
					for {
						f, ok := k.read()
						if !ok {
							return
						}
						var req wire.Schedule
						if f.Type != req.FrameType() {
							continue
						}
						k.decode(f, &req)
						if asked = append(asked, req); len(asked) == tc.answered {
							k.write(f.ReqID, wire.ScheduledAck{ScheduledID: "entry", Duplicate: len(asked) > 1})
						}
					}
				})
				c := b.open()
				ack, err := c.Schedule(t.Context(), ScheduleRequest{Text: "look", After: &later})
				if tc.answered > 0 && (err != nil || ack.ScheduledID != "entry") || tc.answered == 0 && !errors.Is(err, ErrTimeout) {
					t.Errorf("it is told %+v, %v", ack, err)
				}
				c.Close(t.Context())
				<-ended
				if len(asked) != tc.asked {
					t.Errorf("it has asked %d times, want %d", len(asked), tc.asked)
				}
				for _, req := range asked {
					if req.ID == "" || req.ID != asked[0].ID || req.Ciphertext != asked[0].Ciphertext {
						t.Errorf("asked for %+v, and first for %+v", req, asked[0])
					}
				}
			})
		})
	}
}
