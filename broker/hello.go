package broker

import (
	"strings"
	"time"
	"unicode/utf8"

	"claudemesh/seal"
	"claudemesh/store"
	"claudemesh/wire"
)

// beforeHello serves a frame of a connection that is not authenticated yet.
func (c *conn) beforeHello(h wire.Head, p []byte) error {
	if h.Type != (wire.Hello{}).FrameType() {
		c.fail(h, p, wire.Errorf(wire.NoHello, "say hello first"))
		if c.strays++; c.strays < maxStrays {
			return nil
		}
		c.close(wire.CloseRefused, string(wire.NoHello))
		return errClosing
	}
	var hello wire.Hello
	err := decodeHello(p, &hello)
	if err == nil {
		err = c.srv.authenticate(c, &hello)
	}
	if err == nil {
		return nil
	}
	e := asError(err)
	c.srv.metrics.connectionsRejected.WithLabelValues(string(e.Code)).Inc()
	c.reply(h.ReqID, e)
	c.close(wire.CloseRefused, string(e.Code))
	return errClosing
}

// decodeHello reads a hello. A key or signature of the wrong type is as
// malformed as one of the wrong shape.
func decodeHello(p []byte, h *wire.Hello) error {
	err := wire.Decode(p, h)
	if e, ok := err.(*wire.Error); ok && (strings.Contains(e.Message, `"pubkey"`) || strings.Contains(e.Message, `"signature"`)) {
		return refused(wire.Malformed)
	}
	return err
}

// refused is how a hello is refused at the stages of the signature.
func refused(c wire.Code) error { return wire.Errorf(c, "hello rejected: %s", c) }

// authenticate checks a hello and makes c a connection of its session.
func (srv *Server) authenticate(c *conn, h *wire.Hello) error {
	if err := checkHello(h, time.Now()); err != nil {
		return err
	}
	m := srv.meshByID(h.MeshID)
	if m == nil {
		return refused(wire.Unauthorized)
	}
	mb, err := m.memberFor(h)
	if err != nil {
		return err
	}
	if err := srv.replays.hello(h, c); err != nil {
		return err
	}
	cleanHello(h)
	if err := m.reserve(h, mb); err != nil {
		return err
	}
	if err := m.admit(c, h, mb); err != nil {
		m.free(h)
		return err
	}
	return nil
}

// checkHello checks all that needs no mesh: time, shape and signatures.
func checkHello(h *wire.Hello, now time.Time) error {
	if !h.Timestamp.Within(wire.MaxSkew, now) {
		return wire.Errorf(wire.TimestampSkew, "hello rejected: timestamp_skew: the clocks differ by more than a minute, it is %s here", wire.Time(now))
	}
	key, err := seal.ParsePublicKey(h.Pubkey)
	if err != nil || len(h.Signature) != 128 || !wire.IsHex(h.Signature) {
		return refused(wire.Malformed)
	}
	text, err := seal.HelloText(h.MeshID, h.MemberID, h.Pubkey, int64(h.Timestamp))
	if err != nil || !key.Verify(text, h.Signature) {
		return refused(wire.BadSignature)
	}
	if h.SessionPubkey == "" {
		return nil
	}
	session, err := seal.ParsePublicKey(h.SessionPubkey)
	if err != nil {
		return refused(wire.Malformed)
	}
	if h.SessionSignature == "" && h.Proto < wire.Proto {
		return nil
	}
	text, err = seal.SessionText(h.MeshID, h.MemberID, h.Pubkey, h.SessionPubkey, int64(h.Timestamp))
	if err != nil || !session.Verify(text, h.SessionSignature) {
		return wire.Errorf(wire.Unauthorized, "hello rejected: the session key is not proven by sessionSignature")
	}
	return nil
}

// memberFor returns the member who says h.
func (m *mesh) memberFor(h *wire.Hello) (*member, error) {
	h.Pubkey, h.SessionPubkey = strings.ToLower(h.Pubkey), strings.ToLower(h.SessionPubkey)
	m.mu.Lock()
	defer m.mu.Unlock()
	mb := m.byKey[h.Pubkey]
	if mb == nil || mb.id != h.MemberID || !m.info.Archived.IsZero() {
		return nil, refused(wire.Unauthorized)
	}
	if h.SessionPubkey == h.Pubkey {
		h.SessionPubkey = ""
	}
	if m.byKey[h.SessionPubkey] != nil {
		return nil, wire.Errorf(wire.Unauthorized, "hello rejected: the session key is another member's")
	}
	if m.srv.cfg.RequireSessionProof && h.SessionPubkey != "" && h.SessionSignature == "" {
		return nil, wire.Errorf(wire.Unauthorized, "hello rejected: this broker requires sessionSignature")
	}
	return mb, nil
}

// cleanHello bounds what a peer says of itself, and drops what is invalid.
func cleanHello(h *wire.Hello) {
	h.DisplayName = clean(h.DisplayName, wire.MaxName)
	h.SessionID = clean(h.SessionID, wire.MaxSessionID)
	h.Cwd = clean(h.Cwd, wire.MaxCwd)
	h.Role = clean(h.Role, wire.MaxRole)
	h.Instance = clean(h.Instance, wire.MaxSessionID)
	for _, label := range []*string{&h.Hostname, &h.Channel, &h.Model} {
		*label = clean(*label, wire.MaxLabel)
	}
	if h.PeerType != "ai" && h.PeerType != "human" && h.PeerType != "connector" {
		h.PeerType = ""
	}
	h.Groups = wire.CleanGroups(h.Groups)
	if h.SessionID == "" {
		h.SessionID = store.NewID()
	}
}

// clean returns s without control characters, cut to n characters.
func clean(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return -1
		}
		return r
	}, s)
	if utf8.RuneCountInString(s) > n {
		s = string([]rune(s)[:n])
	}
	return strings.TrimSpace(s)
}

// mailKey is the key under which a session's mailbox is kept.
func mailKey(h *wire.Hello) string {
	switch {
	case h.SessionPubkey != "":
		return h.SessionPubkey
	case h.Transient:
		return h.Pubkey
	}
	return h.Pubkey + "/" + h.SessionID
}

// reserve takes one of the mesh's places, commands not counting.
func (m *mesh) reserve(h *wire.Hello, mb *member) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if h.Transient {
		if len(m.transients) >= m.srv.cfg.MaxConnections {
			return wire.Errorf(wire.Capacity, "the mesh serves its maximum of %d commands at a time", m.srv.cfg.MaxConnections)
		}
		return nil
	}
	if m.closed {
		return wire.Errorf(wire.Capacity, "the broker is shutting down")
	}
	if m.slots >= m.srv.cfg.MaxConnections && !mb.returning(h) {
		return wire.Errorf(wire.Capacity, "the mesh has its maximum of %d connections", m.srv.cfg.MaxConnections)
	}
	m.slots++
	return nil
}

// returning reports whether h comes from a session that holds a place now,
// which its older connection is about to give back. It is called with the
// mutex of the mesh held.
func (mb *member) returning(h *wire.Hello) bool {
	for _, s := range mb.live {
		if s.conn != nil && (s.key == h.SessionPubkey || h.SessionPubkey == "" && s.hello.SessionID == h.SessionID) {
			return true
		}
	}
	return false
}

func (m *mesh) free(h *wire.Hello) {
	if h.Transient {
		return
	}
	m.mu.Lock()
	m.slots--
	m.mu.Unlock()
}
