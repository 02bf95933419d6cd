package broker

import (
	"strings"

	"claudemesh/wire"
)

// What a requester is told when there is no answer to forward.
const (
	relayTimeout  = "timeout waiting for peer response"
	relayGone     = "peer disconnected"
	relayTooLarge = "the answer is too large for a frame"
	relayBehind   = "the answer was dropped: this connection is too far behind with reading; ask again"
)

func (m *mesh) peerFileRequest(c *call, req wire.PeerFileRequest) error {
	if err := checkPath("filePath", req.FilePath, wire.MaxPath); err != nil {
		return err
	}
	r := &relay{
		from: c.conn, reqID: c.head.ReqID, answers: (wire.PeerFileResponse{}).FrameType(),
		fail: func(why string) wire.Frame { return wire.PeerFileResponseForward{FilePath: req.FilePath, Error: why} },
	}
	return m.relay(r, req.TargetPubkey, wire.PeerFileRequestForward{RequesterPubkey: c.session.key, FilePath: req.FilePath})
}

// peerFileResponse forwards a file to who asked for it, under the path that
// was asked for.
func (m *mesh) peerFileResponse(c *call, res wire.PeerFileResponse) error {
	m.answerRelay(c, func(asked wire.Frame) wire.Frame {
		f := asked.(wire.PeerFileResponseForward)
		f.Content, f.Error = res.Content, res.Error
		return f
	})
	return nil
}

func (m *mesh) peerDirRequest(c *call, req wire.PeerDirRequest) error {
	if err := checkPath("dirPath", req.DirPath, wire.MaxPath); err != nil {
		return err
	}
	if err := checkPath("pattern", req.Pattern, wire.MaxPattern); err != nil {
		return err
	}
	r := &relay{
		from: c.conn, reqID: c.head.ReqID, answers: (wire.PeerDirResponse{}).FrameType(),
		fail: func(why string) wire.Frame { return wire.PeerDirResponseForward{DirPath: req.DirPath, Error: why} },
	}
	return m.relay(r, req.TargetPubkey, wire.PeerDirRequestForward{RequesterPubkey: c.session.key, DirPath: req.DirPath, Pattern: req.Pattern})
}

func (m *mesh) peerDirResponse(c *call, res wire.PeerDirResponse) error {
	m.answerRelay(c, func(asked wire.Frame) wire.Frame {
		f := asked.(wire.PeerDirResponseForward)
		f.Entries, f.More, f.Error = res.Entries, res.More, res.Error
		return f
	})
	return nil
}

// relay hands a request to the session that target means.
func (m *mesh) relay(r *relay, target string, forward wire.Frame) error {
	if len(target) != 64 || !wire.IsHex(target) {
		return wire.Errorf(wire.BadRequest, "targetPubkey must be the 64 hex digits of a key")
	}
	m.mu.Lock()
	r.to = m.servesFiles(strings.ToLower(target), r.from)
	m.mu.Unlock()
	if r.to == nil {
		return wire.Errorf(wire.PeerNotFound, "no session with the key %s… is connected: ask again when it is back", target[:12])
	}
	return m.forward(r, func(id string) (string, wire.Frame) { return id, forward })
}

// forward hands a request to r.to, as the frame that is made of the name that
// the relay is given, with its _reqId.
func (m *mesh) forward(r *relay, as func(id string) (reqID string, f wire.Frame)) error {
	if err := m.relays.add(r); err != nil {
		return err
	}
	reqID, f := as(r.id)
	data, err := wire.Append(nil, reqID, f)
	if err == nil && r.to.out.push(frame{kind: ephemeral, data: data}) {
		return nil
	}
	m.relays.take(r.id, r.to, r.answers)
	if err != nil {
		return err
	}
	return wire.Errorf(wire.PeerNotFound, "that session does not take requests now: ask again in a moment")
}

// servesFiles returns the connection that a request for files of key goes to:
// the session's with that key, or, of a member's, that of its oldest
// connected session other than who asks, so that one request and the next
// reach the same. It is called with m.mu held.
func (m *mesh) servesFiles(key string, asks *conn) *conn {
	if s := m.keyed[key]; s != nil {
		return s.conn
	}
	mb := m.byKey[key]
	if mb == nil {
		return nil
	}
	var to *session
	for _, s := range mb.live {
		if s.conn != nil && s.conn != asks && (to == nil || s.connected.Before(to.connected)) {
			to = s
		}
	}
	if to == nil {
		return nil
	}
	return to.conn
}

// answerRelay forwards an answer to who waits for it; answer gets the frame
// without a result. What nobody waits for from c is dropped and counted: the
// requester may have gone, or the time is over.
func (m *mesh) answerRelay(c *call, answer func(asked wire.Frame) wire.Frame) {
	m.answerCalled(c, c.head.ReqID, answer)
}

// answerCalled is answerRelay for an answer that says elsewhere what it is to.
func (m *mesh) answerCalled(c *call, id string, answer func(asked wire.Frame) wire.Frame) {
	r := m.relays.take(id, c.conn, c.head.Type)
	if r == nil {
		m.srv.metrics.dropped(dropRelay, 1)
		return
	}
	r.answer(answer(r.fail("")))
}
