package peer

import (
	"fmt"
	"testing"

	"claudemesh/wire"
)

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
