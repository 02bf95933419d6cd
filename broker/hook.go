package broker

import (
	"net/http"
	"net/netip"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

// serveHook takes a status that a hook of the host program reports: POST
// /hook/set-status. It is signed by the member's key, or, for older clients
// and where the operator allows it, comes from an address with an open session.
func (srv *Server) serveHook(w http.ResponseWriter, r *http.Request) {
	srv.metrics.hooks.Inc()
	api(func(r *http.Request, body []byte) (wire.HookResult, error) {
		var h wire.HookStatus
		if err := decodeBody(body, &h); err != nil {
			return wire.HookResult{}, err
		}
		if h.Status != wire.Idle && h.Status != wire.Working {
			return wire.HookResult{}, wire.Errorf(wire.BadRequest, "status must be idle or working: hooks do not set dnd")
		}
		if h.Signature == "" {
			return srv.legacyHook(remote(r), &h)
		}
		m, mb, err := srv.hookSigner(&h)
		if err != nil {
			return wire.HookResult{}, err
		}
		n, presence := m.hookStatusOf(mb, &h)
		return wire.HookResult{HTTPResult: wire.HTTPResult{OK: true}, PresenceID: presence, Updated: n, Pending: n == 0}, nil
	})(w, r)
}

// hookSigner returns the member who signed h.
func (srv *Server) hookSigner(h *wire.HookStatus) (*mesh, *member, error) {
	if !h.Timestamp.Within(wire.MaxSkew, time.Now()) {
		return nil, nil, wire.Errorf(wire.TimestampSkew, "timestamp must be within a minute of %d", time.Now().UnixMilli())
	}
	key, err := seal.ParsePublicKey(h.Pubkey)
	if err != nil {
		return nil, nil, wire.Errorf(wire.Unauthorized, "pubkey must be 64 hex digits")
	}
	text, err := seal.HookText(h.MeshID, h.Pubkey, string(h.Status), h.SessionID, h.Cwd, int64(h.Timestamp))
	if err != nil || !key.Verify(text, h.Signature) {
		return nil, nil, wire.Errorf(wire.BadSignature, "the signature does not fit the report")
	}
	m := srv.meshByID(h.MeshID)
	if m == nil {
		return nil, nil, notACaller
	}
	c, err := m.caller(key.String())
	if err != nil || c.member == nil {
		return nil, nil, notACaller
	}
	return m, c.member, srv.replays.request(h.Signature)
}

// legacyHook serves a report without a signature, for the sessions connected
// from the same address.
func (srv *Server) legacyHook(from netip.Addr, h *wire.HookStatus) (wire.HookResult, error) {
	if !srv.cfg.LegacyClients {
		return wire.HookResult{}, wire.Errorf(wire.Unauthorized, "sign the report, or start the broker with --legacy-clients")
	}
	if h.Cwd == "" {
		return wire.HookResult{}, wire.Errorf(wire.BadRequest, "cwd is required")
	}
	res := wire.HookResult{HTTPResult: wire.HTTPResult{OK: true}}
	here := false
	for _, m := range srv.all() {
		n, presence := m.hookStatus(h, func(s *session) bool { return s.connectedFrom(from) })
		res.Updated += n
		if n > 0 {
			res.PresenceID = presence
		}
		here = here || m.anyFrom(from)
	}
	if !here {
		return wire.HookResult{}, wire.Errorf(wire.Unauthorized, "no session is connected from %s: sign the report", from)
	}
	return res, nil
}

func (s *session) connectedFrom(a netip.Addr) bool { return s.conn != nil && s.conn.addr == a }

// anyFrom reports whether a session is connected from that address.
func (m *mesh) anyFrom(a netip.Addr) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sessions {
		if s.connectedFrom(a) {
			return true
		}
	}
	return false
}
