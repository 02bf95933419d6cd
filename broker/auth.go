package broker

import (
	"crypto/sha256"
	"net/http"
	"strconv"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

// A caller is who signed an HTTP request: a member, or the owner of the mesh.
type caller struct {
	key    string
	member *member // nil for an owner who is no member
	owner  bool
	admin  bool // owner, or a member with the permission
	path   func(string) string
}

// signed makes a handler of a function that serves a proven caller in the
// mesh that the path names. This is the one place where HTTP learns who calls.
func signed[Res any](srv *Server, fn func(*mesh, *caller, []byte) (Res, error)) http.HandlerFunc {
	return api(func(r *http.Request, body []byte) (Res, error) {
		var none Res
		key, err := srv.signer(r, sha256.Sum256(body))
		if err != nil {
			return none, err
		}
		m := srv.meshByID(r.PathValue("mesh"))
		if m == nil {
			return none, notACaller
		}
		c, err := m.caller(key)
		if err != nil {
			return none, err
		}
		if err := srv.once(r); err != nil {
			return none, err
		}
		c.path = r.PathValue
		return fn(m, c, body)
	})
}

// notACaller is the same for a mesh that is not there and a key that is not
// in it, so that nobody learns which meshes there are.
var notACaller = wire.Errorf(wire.Unauthorized, "the key that signed this is no member of the mesh")

// signer returns the key that signed r, whose body has that sum, lower case.
// Whoever finds that this key may ask calls once.
func (srv *Server) signer(r *http.Request, body [32]byte) (string, error) {
	pubkey, signature := r.Header.Get(wire.HeaderPubkey), r.Header.Get(wire.HeaderSignature)
	if pubkey == "" || signature == "" {
		return "", wire.Errorf(wire.Unauthorized, "sign the request: headers %s, %s and %s", wire.HeaderPubkey, wire.HeaderTimestamp, wire.HeaderSignature)
	}
	at, err := strconv.ParseInt(r.Header.Get(wire.HeaderTimestamp), 10, 64)
	if err != nil || !wire.Millis(at).Within(wire.MaxSkew, time.Now()) {
		return "", wire.Errorf(wire.TimestampSkew, "%s must be within a minute of %d", wire.HeaderTimestamp, time.Now().UnixMilli())
	}
	key, err := seal.ParsePublicKey(pubkey)
	if err != nil {
		return "", wire.Errorf(wire.Unauthorized, "%s must be 64 hex digits", wire.HeaderPubkey)
	}
	text, err := seal.HTTPText(r.Method, r.URL.RequestURI(), pubkey, at, body)
	if err != nil || !key.Verify(text, signature) {
		return "", wire.Errorf(wire.BadSignature, "the signature does not fit the request")
	}
	return key.String(), nil
}

// once refuses a request that changes something if its signature was used
// before. Those of strangers are not remembered, who could make any number.
func (srv *Server) once(r *http.Request) error {
	if r.Method == http.MethodGet {
		return nil
	}
	return srv.replays.request(r.Header.Get(wire.HeaderSignature))
}

// caller returns what the holder of key is in the mesh.
func (m *mesh) caller(key string) (*caller, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &caller{key: key, member: m.byKey[key], owner: key == m.info.Owner}
	if c.member == nil && !c.owner {
		return nil, notACaller
	}
	c.admin = c.owner || c.member.permission == wire.Admin
	return c, nil
}

// needAdmin refuses callers who are not.
func (c *caller) needAdmin(what string) error {
	if c.admin {
		return nil
	}
	return wire.Errorf(wire.Forbidden, "only an admin or the owner may %s", what)
}
