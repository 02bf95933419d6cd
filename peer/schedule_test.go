package peer

import (
	"testing"
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
