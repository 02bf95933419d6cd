package peer

import (
	"errors"
	"testing"

	"claudemesh/wire"
)

func TestLeaveSucceedsIfTheMembershipEnds(t *testing.T) {
	revoke := func(k *brokerConn) { k.ws.Close(wire.CloseRevoked, "revoked") }
	for name, tt := range map[string]struct {
		end  func(k *brokerConn, f received)
		want error
	}{
		"answered":                  {func(k *brokerConn, f received) { k.write(f.ReqID, wire.Ack{ID: f.ReqID}); revoke(k) }, nil},
		"closed before the answer":  {func(k *brokerConn, _ received) { revoke(k) }, nil},
		"refused":                   {func(k *brokerConn, f received) { k.write(f.ReqID, wire.Errorf(wire.Forbidden, "the last owner")) }, &wire.Error{Code: wire.Forbidden}},
		"lost for another reason":   {func(k *brokerConn, _ received) { k.ws.CloseNow() }, ErrLost},
		"shut down before it acted": {func(k *brokerConn, _ received) { k.ws.Close(wire.CloseShutdown, "shutting down") }, ErrLost},
	} {
		b := newTestBroker(t, func(k *brokerConn, _ int) {
			k.hello()
			if f, ok := k.read(); ok {
				tt.end(k, f)
			}
			k.wait()
		})
		c := b.open()
		if err := c.Leave(t.Context()); !errors.Is(err, tt.want) {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}
