package broker

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

// maxUploadTokens is how many upload tokens of a mesh are good at a time.
const maxUploadTokens = 1000

// An uploadGrant is who may upload: a member, as one of its sessions is called.
type uploadGrant struct {
	member  *member // nil for an older client that cannot be told from others
	name    string
	expires time.Time // of a token
}

// uploadToken makes a token for one upload by the caller's session.
func (m *mesh) uploadToken(c *call, _ wire.UploadToken) (wire.UploadTokenResult, error) {
	token, now := rand.Text(), time.Now()
	grant := uploadGrant{c.session.member, c.session.name, now.Add(wire.UploadFor)}
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, g := range m.files.tokens {
		if now.After(g.expires) {
			delete(m.files.tokens, k)
		}
	}
	if len(m.files.tokens) >= maxUploadTokens {
		return wire.UploadTokenResult{}, wire.Errorf(wire.RateLimited, "%d uploads of this mesh are about to begin: try again in a minute", maxUploadTokens)
	}
	m.files.tokens[sha256.Sum256([]byte(token))] = grant
	return wire.UploadTokenResult{Token: token, ExpiresAt: wire.Time(grant.expires)}, nil
}

// takeToken uses a token up.
func (m *mesh) takeToken(token string) (uploadGrant, error) {
	digest := sha256.Sum256([]byte(token))
	m.mu.Lock()
	defer m.mu.Unlock()
	g, ok := m.files.tokens[digest]
	delete(m.files.tokens, digest)
	if !ok || time.Now().After(g.expires) || m.members[g.member.id] != g.member {
		return uploadGrant{}, wire.Errorf(wire.Unauthorized, "the upload token is not good, or not any more: ask for another")
	}
	return g, nil
}

// uploader returns the mesh that r uploads to, and who does: the holder of
// a token, who signed it, or an older client that is connected from there. sum
// is that of the body, if the request states it.
func (srv *Server) uploader(r *http.Request) (*mesh, uploadGrant, error) {
	m := srv.meshByID(r.Header.Get(wire.HeaderMesh))
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case bearer && m == nil:
		return nil, uploadGrant{}, notACaller
	case bearer:
		g, err := m.takeToken(token)
		return m, g, err
	case r.Header.Get(wire.HeaderPubkey) != "":
		return srv.signedUpload(m, r)
	}
	return srv.legacyUpload(m, r)
}

// signedUpload proves who uploads by the signature of a member.
func (srv *Server) signedUpload(m *mesh, r *http.Request) (*mesh, uploadGrant, error) {
	none := uploadGrant{}
	sum, stated, err := statedSum(r)
	if err != nil {
		return nil, none, err
	}
	if !stated {
		return nil, none, wire.Errorf(wire.BadRequest, "a signed upload states the SHA-256 of its body in %s", wire.HeaderSHA256)
	}
	key, err := srv.signer(r, sum)
	if err != nil {
		return nil, none, err
	}
	if m == nil {
		return nil, none, notACaller
	}
	c, err := m.caller(key)
	if err != nil {
		return nil, none, err
	}
	if c.member == nil {
		return nil, none, wire.Errorf(wire.Forbidden, "the owner of a mesh is no member: share files as a member")
	}
	if id := r.Header.Get(wire.HeaderMember); id != "" && id != c.member.id {
		return nil, none, wire.Errorf(wire.Unauthorized, "%s is not the member who signed", wire.HeaderMember)
	}
	if err := srv.once(r); err != nil {
		return nil, none, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m, uploadGrant{member: c.member, name: c.member.name}, nil
}

// legacyUpload takes a file without proof from an address with an open session
// of the mesh and, if a member is named, of that member.
func (srv *Server) legacyUpload(m *mesh, r *http.Request) (*mesh, uploadGrant, error) {
	none, said := uploadGrant{}, r.Header.Get(wire.HeaderMember)
	if !srv.cfg.LegacyClients {
		return nil, none, wire.Errorf(wire.Unauthorized, "sign the upload or use an upload token; or start the broker with --legacy-clients")
	}
	if m == nil || said == "" {
		return nil, none, wire.Errorf(wire.BadRequest, "%s, %s and %s are needed", wire.HeaderMesh, wire.HeaderMember, wire.HeaderFileName)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	here := make(map[*member]bool)
	var one *session
	owner := strings.ToLower(r.Header.Get(wire.HeaderOwner))
	for _, s := range m.sessions {
		if !s.connectedFrom(remote(r)) {
			continue
		}
		here[s.member] = true
		if one == nil || s.key == owner {
			one = s
		}
	}
	named := m.members[said]
	switch {
	case len(here) == 0, named != nil && !here[named]:
		return nil, none, wire.Errorf(wire.Unauthorized, "no session of the mesh, and of that member, is connected from %s: sign the upload", remote(r))
	case named != nil:
		return m, uploadGrant{member: named, name: named.name}, nil
	case len(here) == 1 || one.key == owner:
		// Older clients name their mesh where they should name themselves.
		return m, uploadGrant{member: one.member, name: one.name}, nil
	}
	return m, uploadGrant{name: clean(said, wire.MaxName)}, nil
}

// statedSum returns the SHA-256 that a request says its body has.
func statedSum(r *http.Request) (sum [32]byte, stated bool, err error) {
	text := r.Header.Get(wire.HeaderSHA256)
	if text == "" {
		return sum, false, nil
	}
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(sum) {
		return sum, false, wire.Errorf(wire.BadRequest, "%s must be 64 hex digits", wire.HeaderSHA256)
	}
	return [32]byte(raw), true, nil
}

// stillMember refuses an upload whose member was revoked while it ran.
func (g *uploadGrant) stillMember(rx *store.Rx) error {
	if g.member == nil {
		return nil
	}
	row, err := rx.Member(g.member.id)
	if err == nil && !row.Revoked.IsZero() {
		return notACaller
	}
	return err
}

// ownerKey returns the key under which a sealed file is shared, which must be
// one of the member who shares it.
func (m *mesh) ownerKey(g *uploadGrant, given string) (string, error) {
	if g.member == nil {
		return "", wire.Errorf(wire.Forbidden, "several members are connected from there: %s must be the key of one's session", wire.HeaderOwner)
	}
	if given == "" {
		return g.member.key, nil
	}
	given, mine := strings.ToLower(given), false
	err := m.db.Read(context.Background(), func(rx *store.Rx) (err error) {
		mine, err = keyOf(rx, given, g.member)
		return err
	})
	if err != nil || !mine {
		return "", orForbidden(err, wire.HeaderOwner+" is not a key of the member who uploads")
	}
	return given, nil
}
