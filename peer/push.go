package peer

import (
	"time"

	"claudemesh/wire"
)

// pushHandlers returns what is done with the frames that answer no request.
// A handler runs on the reader of the connection: it must not wait.
func pushHandlers() map[wire.Type]func(*Client, []byte) {
	return map[wire.Type]func(*Client, []byte){
		(wire.Push{}).FrameType():    on((*Client).pushed),
		(wire.Receipt{}).FrameType(): on((*Client).receipt),
		(wire.Drained{}).FrameType(): on((*Client).drainDone),

		(wire.StateChange{}).FrameType(): on((*Client).stateChanged),
		(wire.StreamData{}).FrameType():  on((*Client).streamData),

		(wire.PeerFileRequestForward{}).FrameType(): onRequest((*Client).fileAsked),
		(wire.PeerDirRequestForward{}).FrameType():  onRequest((*Client).dirAsked),
		(wire.MCPCallForward{}).FrameType():         on((*Client).toolCalled),
	}
}

// on decodes a frame for its handler.
func on[F wire.Frame](handle func(*Client, *F)) func(*Client, []byte) {
	return func(c *Client, p []byte) {
		f := new(F)
		if err := wire.Decode(p, f); err != nil {
			c.log.Warn("frame dropped", "type", (*f).FrameType(), "err", err)
			return
		}
		handle(c, f)
	}
}

// onRequest is on for what the broker relays from another peer, which is
// answered under its _reqId.
func onRequest[F wire.Frame](handle func(*Client, string, *F)) func(*Client, []byte) {
	return func(c *Client, p []byte) {
		h, err := wire.Peek(p)
		if err != nil {
			return
		}
		on(func(c *Client, f *F) { handle(c, h.ReqID, f) })(c, p)
	}
}

func (c *Client) pushed(p *wire.Push) {
	if p.MeshID != c.opts.Mesh.MeshID {
		c.log.Warn("push dropped: it is of another mesh", "meshId", wire.Shorten(p.MeshID, 60))
		return
	}
	if p.Subtype == wire.SubtypeSystem && !isMail(p) {
		c.systemEvent(p)
		return
	}
	if p.MessageID == "" || c.inbox.duplicate(p.MessageID) {
		return
	}
	if !c.inbox.add(c.open(p)) {
		c.log.Warn("inbox full: the broker keeps the message", "messageId", p.MessageID)
		return
	}
	c.in.Add(1)
}

func (c *Client) systemEvent(p *wire.Push) {
	switch p.Event {
	case wire.EventPeerJoined, wire.EventPeerReturned, wire.EventPeerLeft,
		wire.EventPeerVisible, wire.EventPeerHidden, wire.EventProfileUpdated:
		c.peers.forget()
	case wire.EventMCPDeployed, wire.EventMCPUndeployed, wire.EventMCPUpdated, wire.EventMCPCrashed:
		c.serviceEvent(p)
	}
	c.events.add(Event{Frame: *p, ReceivedAt: time.Now()})
}

func (c *Client) receipt(r *wire.Receipt) {
	c.events.add(Event{Frame: *r, ReceivedAt: time.Now()})
}

func (c *Client) stateChanged(s *wire.StateChange) {
	c.events.add(Event{Frame: *s, ReceivedAt: time.Now()})
}

func (c *Client) drainDone(d *wire.Drained) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rest = d.Remaining
	if !c.isDrained {
		c.isDrained = true
		close(c.drained)
	}
}
