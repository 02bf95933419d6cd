package peer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

const (
	httpTimeout  = 10 * time.Second // where the caller's context sets none
	maxHTTPReply = 8 << 20          // bytes
)

// API is the HTTP side of a broker, as one key may use it. Requests are signed
// with the key (wire.HeaderSignature), so the broker knows who asks. Refusals
// are *wire.Error. Requests take at most 10 s unless their context has
// a deadline. It is safe for concurrent use.
type API struct {
	base   string
	key    seal.PrivateKey
	client *http.Client
}

// NewAPI returns the API of the broker with that WebSocket or HTTP URL, of
// which only scheme, host and port are used. The key is a member's or a mesh
// owner's; without one, requests are not signed.
func NewAPI(brokerURL string, key seal.PrivateKey) (*API, error) {
	base, err := httpBase(brokerURL)
	if err != nil {
		return nil, err
	}
	return &API{base, key, &http.Client{CheckRedirect: refuseRedirect}}, nil
}

// API returns the API for the member of a configured mesh.
func (m *Mesh) API() (*API, error) {
	key, err := seal.ParsePrivateKey(m.SecretKey)
	if err != nil {
		return nil, fmt.Errorf("mesh %s: secretKey in the configuration: %w", m.Slug, err)
	}
	return NewAPI(m.BrokerURL, key)
}

// httpBase derives the HTTP address of a broker from its WebSocket URL: wss
// becomes https and ws http; host and port stay, all else goes.
func httpBase(brokerURL string) (string, error) {
	u, err := url.Parse(brokerURL)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("%q is no broker URL: it should look like ws://host:7900/ws", wire.Shorten(brokerURL, 80))
	}
	switch u.Scheme {
	case "wss", "https":
		return "https://" + u.Host, nil
	case "ws", "http":
		return "http://" + u.Host, nil
	}
	return "", fmt.Errorf("%q is no broker URL: it should begin with ws:// or wss://", wire.Shorten(brokerURL, 80))
}

// Health asks the broker how it is. A degraded broker is no error.
func (a *API) Health(ctx context.Context) (h wire.Health, err error) {
	err = a.do(ctx, request{method: http.MethodGet, path: "/health", degraded: true}, &h)
	return h, err
}

// Skew returns how far the broker's clock is ahead of ours, to about half
// a second.
func (a *API) Skew(ctx context.Context) (time.Duration, error) {
	req, err := a.build(ctx, request{method: http.MethodGet, path: "/health", unsigned: true}, 0)
	if err != nil {
		return 0, err
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return 0, &unreachable{a.base, err}
	}
	resp.Body.Close()
	offset := clockOffset(resp.Header, time.Now())
	if offset == nil {
		return 0, fmt.Errorf("%s does not say what time it has", a.base)
	}
	return *offset, nil
}

// Members lists the members of a mesh.
func (a *API) Members(ctx context.Context, meshID string) ([]wire.Member, error) {
	var res wire.MemberList
	err := a.do(ctx, request{method: http.MethodGet, path: meshPath(meshID, "members")}, &res)
	return res.Members, err
}

// PatchMember changes what a mesh has on record for a member.
func (a *API) PatchMember(ctx context.Context, meshID, memberID string, patch wire.MemberPatch) (res wire.MemberPatched, err error) {
	err = a.do(ctx, request{method: http.MethodPatch, path: meshPath(meshID, "member", memberID), body: patch}, &res)
	return res, err
}

// RevokeMember ends a membership and every session of it.
func (a *API) RevokeMember(ctx context.Context, meshID, memberID string) error {
	return a.do(ctx, request{method: http.MethodDelete, path: meshPath(meshID, "member", memberID)}, nil)
}

// Invites lists the invites of a mesh.
func (a *API) Invites(ctx context.Context, meshID string) ([]wire.Invite, error) {
	var res wire.InviteList
	err := a.do(ctx, request{method: http.MethodGet, path: meshPath(meshID, "invites")}, &res)
	return res.Invites, err
}

// AddInvite registers an invite that the owner has signed.
func (a *API) AddInvite(ctx context.Context, meshID string, invite wire.AddInvite) (*wire.Invite, error) {
	var res wire.InviteResult
	err := a.do(ctx, request{method: http.MethodPost, path: meshPath(meshID, "invites"), body: invite}, &res)
	return res.Invite, err
}

// RevokeInvite makes an invite useless. Members it has made stay.
func (a *API) RevokeInvite(ctx context.Context, meshID, inviteID string) error {
	return a.do(ctx, request{method: http.MethodDelete, path: meshPath(meshID, "invites", inviteID)}, nil)
}

// CreateMesh makes a mesh, owned by the key of the API. adminToken is the
// broker's.
func (a *API) CreateMesh(ctx context.Context, adminToken string, mesh wire.CreateMesh) (res wire.CreateMeshResult, err error) {
	err = a.do(ctx, request{method: http.MethodPost, path: "/mesh", body: mesh, bearer: adminToken}, &res)
	return res, err
}

// Settings changes the settings of a mesh that are not nil.
func (a *API) Settings(ctx context.Context, meshID string, s wire.MeshSettings) error {
	return a.do(ctx, request{method: http.MethodPatch, path: meshPath(meshID, "settings"), body: s}, nil)
}

// HookStatus reports what a session of the API's member is doing. Key, time and
// signature of h are filled in; the mesh id must be given.
func (a *API) HookStatus(ctx context.Context, h wire.HookStatus) (res wire.HookResult, err error) {
	err = a.correctingClock(ctx, func(offset time.Duration) error {
		h.Pubkey, h.Timestamp = a.key.Public().String(), wire.MillisOf(time.Now().Add(offset))
		text, err := seal.HookText(h.MeshID, h.Pubkey, string(h.Status), h.SessionID, h.Cwd, int64(h.Timestamp))
		if err != nil {
			return err
		}
		h.Signature = a.key.Sign(text)
		return a.send(ctx, request{method: http.MethodPost, path: "/hook/set-status", body: h, unsigned: true}, offset, &res)
	})
	return res, err
}

func meshPath(parts ...string) string {
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return "/mesh/" + strings.Join(parts, "/")
}

// A request is one request to the API.
type request struct {
	method   string
	path     string // escaped, as in the request line
	body     any    // nil for none
	bearer   string // token, if any
	unsigned bool   // nothing to sign, or signed in the body
	degraded bool   // 503 with a body is an answer
}

// do sends a request, once more with the broker's time if our clock is wrong.
func (a *API) do(ctx context.Context, r request, res any) error {
	return a.correctingClock(ctx, func(offset time.Duration) error { return a.send(ctx, r, offset, res) })
}

// correctingClock calls try, again where the broker had the same signature
// before, and with the broker's time if our clock is wrong.
func (a *API) correctingClock(ctx context.Context, try func(offset time.Duration) error) error {
	at := func(offset time.Duration) error {
		return signAnew(ctx, rand.Float64, func() error { return try(offset) })
	}
	err := at(0)
	if skew, ok := errors.AsType[*skewError](err); ok && skew.offset != nil {
		err = at(*skew.offset)
	}
	return err
}

// skewError is a refusal for the time of the request.
type skewError struct {
	refusal *wire.Error
	offset  *time.Duration // of the broker's clock from ours, nil if unknown
}

func (e *skewError) Error() string { return e.refusal.Error() }
func (e *skewError) Unwrap() error { return e.refusal }

func (a *API) send(ctx context.Context, r request, offset time.Duration, res any) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, httpTimeout)
		defer cancel()
	}
	req, err := a.build(ctx, r, offset)
	if err != nil {
		return err
	}
	resp, err := a.client.Do(req)
	if err != nil {
		if uerr, ok := errors.AsType[*url.Error](err); ok {
			err = uerr.Err // without the URL, which the text below has in short
		}
		return &unreachable{a.base, err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxHTTPReply+1))
	switch {
	case err != nil:
		return fmt.Errorf("read the answer of %s: %w", a.base, err)
	case len(body) > maxHTTPReply:
		return fmt.Errorf("the answer of %s has more than %d bytes", a.base, maxHTTPReply)
	}
	return a.decode(r, resp, body, res)
}

func (a *API) build(ctx context.Context, r request, offset time.Duration) (*http.Request, error) {
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return nil, fmt.Errorf("%s %s: %w", r.method, r.path, err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, r.method, a.base+r.path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+r.bearer)
	}
	if r.unsigned || a.key.IsZero() {
		return req, nil
	}
	pubkey, now := a.key.Public().String(), time.Now().Add(offset).UnixMilli()
	text, err := seal.HTTPText(r.method, r.path, pubkey, now, sha256.Sum256(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set(wire.HeaderPubkey, pubkey)
	req.Header.Set(wire.HeaderTimestamp, strconv.FormatInt(now, 10))
	req.Header.Set(wire.HeaderSignature, a.key.Sign(text))
	return req, nil
}

// decode reads an answer into res, or returns the refusal it is.
func (a *API) decode(r request, resp *http.Response, body []byte, res any) error {
	var head wire.HTTPResult
	jsonErr := json.Unmarshal(body, &head)
	good := resp.StatusCode == http.StatusOK && (head.OK || r.degraded)
	if jsonErr != nil || !good && !(r.degraded && resp.StatusCode == http.StatusServiceUnavailable) {
		e := httpRefusal(r, resp.StatusCode, head)
		if e.Code == wire.TimestampSkew {
			return &skewError{e, clockOffset(resp.Header, time.Now())}
		}
		return e
	}
	if res == nil {
		return nil
	}
	if err := json.Unmarshal(body, res); err != nil {
		return fmt.Errorf("cannot read the answer to %s %s: %w", r.method, r.path, err)
	}
	return nil
}

// httpRefusal makes an error of an answer that is none. Brokers of older
// versions put prose where the code belongs.
func httpRefusal(r request, status int, head wire.HTTPResult) *wire.Error {
	e := &wire.Error{Code: head.Error, Message: head.Hint}
	if e.Code == "" || strings.Contains(string(e.Code), " ") {
		if e.Message == "" {
			e.Message = wire.Shorten(string(head.Error), 200)
		}
		e.Code = statusCode(status)
	}
	if e.Message == "" {
		e.Message = fmt.Sprintf("the broker refused %s %s with status %d", r.method, strings.TrimSuffix(r.path, "/"), status)
	}
	return e
}

func statusCode(status int) wire.Code {
	switch status {
	case http.StatusUnauthorized:
		return wire.Unauthorized
	case http.StatusForbidden:
		return wire.Forbidden
	case http.StatusNotFound:
		return wire.NotFound
	case http.StatusConflict:
		return wire.Conflict
	case http.StatusRequestEntityTooLarge:
		return wire.TooLarge
	case http.StatusTooManyRequests:
		return wire.RateLimited
	case http.StatusServiceUnavailable:
		return wire.Unavailable
	}
	if status >= 500 {
		return wire.Internal
	}
	return wire.BadRequest
}
