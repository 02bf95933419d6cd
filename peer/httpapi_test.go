package peer

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

// A httpBroker answers HTTP requests and keeps what it was asked.
type httpBroker struct {
	t      *testing.T
	url    string // WebSocket URL
	skew   time.Duration
	status int
	answer string

	dropFirst bool // the first request is not answered

	mu  sync.Mutex // requests of a client that asks again may overlap
	got []httpAsked
}

type httpAsked struct {
	line   string // method and path
	header http.Header
	body   []byte
}

func newHTTPBroker(t *testing.T, status int, answer string) *httpBroker {
	b := &httpBroker{t: t, status: status, answer: answer}
	s := httptest.NewServer(b)
	t.Cleanup(s.Close)
	b.url = "ws" + strings.TrimPrefix(s.URL, "http") + "/ws?x=1"
	return b
}

func (b *httpBroker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		b.t.Error(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, httpAsked{r.Method + " " + r.RequestURI, r.Header, body})
	if b.dropFirst && len(b.got) == 1 {
		panic(http.ErrAbortHandler)
	}
	now := time.Now().Add(b.skew)
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	if !b.fresh(r, body, now) {
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"ok":false,"error":"timestamp_skew","message":"your clock"}`)
		return
	}
	w.WriteHeader(b.status)
	io.WriteString(w, b.answer)
}

// fresh checks the time of a request where it has one.
func (b *httpBroker) fresh(r *http.Request, body []byte, now time.Time) bool {
	ms, err := strconv.ParseInt(r.Header.Get(wire.HeaderTimestamp), 10, 64)
	if err != nil {
		var h wire.HookStatus
		if json.Unmarshal(body, &h) != nil || h.Timestamp == 0 {
			return true
		}
		ms = int64(h.Timestamp)
	}
	return wire.Millis(ms).Within(wire.MaxSkew, now)
}

func TestRequestsAreSignedAndGoToTheirPaths(t *testing.T) {
	b := newHTTPBroker(t, http.StatusOK, `{"ok":true,"members":[{"id":"m1"}],"invites":[{"id":"i1"}],"invite":{"id":"i2"},"member":{"id":"m2"},"meshId":"x","status":"ok"}`)
	key := newKey(t)
	api, err := NewAPI(b.url, key)
	if err != nil {
		t.Fatal(err)
	}
	ctx, name := t.Context(), "New"
	check := func(line string, ok bool, err error) {
		t.Helper()
		asked := b.got[len(b.got)-1]
		if err != nil || !ok {
			t.Errorf("%s: answered %v, %v", line, ok, err)
		}
		if asked.line != line {
			t.Errorf("asked %s, want %s", asked.line, line)
		}
		method, path, _ := strings.Cut(line, " ")
		ms, err := strconv.ParseInt(asked.header.Get(wire.HeaderTimestamp), 10, 64)
		if err != nil {
			t.Error(err)
		}
		text, err := seal.HTTPText(method, path, key.Public().String(), ms, sha256.Sum256(asked.body))
		if err != nil || asked.header.Get(wire.HeaderPubkey) != key.Public().String() ||
			!key.Public().Verify(text, asked.header.Get(wire.HeaderSignature)) {
			t.Errorf("%s is not signed: %v", line, err)
		}
	}
	members, err := api.Members(ctx, "M 1")
	check("GET /mesh/M%201/members", len(members) == 1, err)
	patched, err := api.PatchMember(ctx, "M", "m/2", wire.MemberPatch{DisplayName: &name})
	check("PATCH /mesh/M/member/m%2F2", patched.Member.ID == "m2", err)
	check("DELETE /mesh/M/member/m2", true, api.RevokeMember(ctx, "M", "m2"))
	invites, err := api.Invites(ctx, "M")
	check("GET /mesh/M/invites", len(invites) == 1, err)
	invite, err := api.AddInvite(ctx, "M", wire.AddInvite{Token: "t"})
	check("POST /mesh/M/invites", invite.ID == "i2", err)
	check("DELETE /mesh/M/invites/i1", true, api.RevokeInvite(ctx, "M", "i1"))
	check("PATCH /mesh/M/settings", true, api.Settings(ctx, "M", wire.MeshSettings{}))
	created, err := api.CreateMesh(ctx, "secret", wire.CreateMesh{MeshID: "x"})
	check("POST /mesh", created.MeshID == "x", err)
	if got := b.got[len(b.got)-1].header.Get("Authorization"); got != "Bearer secret" {
		t.Errorf("authorization is %q", got)
	}
	health, err := api.Health(ctx)
	check("GET /health", health.Status == "ok", err)
}

func TestHookStatusIsSignedInItsBody(t *testing.T) {
	b := newHTTPBroker(t, http.StatusOK, `{"ok":true,"updated":2}`)
	b.skew = 2 * time.Hour // corrected by the Date of the refusal
	key := newKey(t)
	api, err := NewAPI(b.url, key)
	if err != nil {
		t.Fatal(err)
	}
	res, err := api.HookStatus(t.Context(), wire.HookStatus{MeshID: "M", Cwd: "/a|b", Status: wire.Working, SessionID: "s"})
	if err != nil || res.Updated != 2 || len(b.got) != 2 {
		t.Fatalf("%+v, %v after %d requests", res, err, len(b.got))
	}
	var h wire.HookStatus
	if err := json.Unmarshal(b.got[1].body, &h); err != nil {
		t.Fatal(err)
	}
	text, err := seal.HookText("M", key.Public().String(), "working", "s", "/a|b", int64(h.Timestamp))
	if err != nil || !key.Public().Verify(text, h.Signature) {
		t.Errorf("not signed: %v", err)
	}
}

func TestWrongClockOfARequestIsCorrectedOnce(t *testing.T) {
	b := newHTTPBroker(t, http.StatusOK, `{"ok":true}`)
	b.skew = -24 * time.Hour
	api, err := NewAPI(b.url, newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.Members(t.Context(), "M"); err != nil || len(b.got) != 2 {
		t.Errorf("%v after %d requests", err, len(b.got))
	}
}

func TestRefusalsOfRequestsAreErrorsWithACode(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		answer string
		want   wire.Code
		text   string
	}{
		{"code and text", 403, `{"ok":false,"error":"forbidden","message":"only an admin"}`, wire.Forbidden, "only an admin"},
		{"code alone", 400, `{"ok":false,"error":"invite_expired"}`, wire.InviteExpired, "status 400"},
		{"prose of an older broker", 400, `{"ok":false,"error":"no such member"}`, wire.BadRequest, "no such member"},
		{"refused with status 200", 200, `{"ok":false,"error":"cwd missing here"}`, wire.BadRequest, "cwd missing"},
		{"no JSON", 404, `not found`, wire.NotFound, "status 404"},
		{"no JSON with 200", 200, `<html>`, wire.BadRequest, "status 200"},
		{"unauthorized", 401, `{}`, wire.Unauthorized, ""},
		{"conflict", 409, `{}`, wire.Conflict, ""},
		{"too large", 413, `{}`, wire.TooLarge, ""},
		{"rate", 429, `{}`, wire.RateLimited, ""},
		{"failed", 500, `{}`, wire.Internal, ""},
		{"unavailable", 503, `{}`, wire.Unavailable, ""},
		{"redirect", 302, ``, wire.BadRequest, "status 302"},
	} {
		b := newHTTPBroker(t, tt.status, tt.answer)
		api, err := NewAPI(b.url, newKey(t))
		if err != nil {
			t.Fatal(err)
		}
		_, err = api.Members(t.Context(), "M")
		if !errors.Is(err, &wire.Error{Code: tt.want}) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestDegradedHealthIsAnAnswer(t *testing.T) {
	b := newHTTPBroker(t, http.StatusServiceUnavailable, `{"status":"degraded","db":"down"}`)
	api, err := NewAPI(b.url, seal.PrivateKey{})
	if err != nil {
		t.Fatal(err)
	}
	if h, err := api.Health(t.Context()); err != nil || h.DB != "down" {
		t.Errorf("%+v, %v", h, err)
	}
	if b.got[0].header.Get(wire.HeaderSignature) != "" {
		t.Error("signed without a key")
	}
}

func TestAnswersAreBounded(t *testing.T) {
	b := newHTTPBroker(t, http.StatusOK, `{"ok":true,"members":[]`+strings.Repeat(" ", maxHTTPReply)+`}`)
	api, err := NewAPI(b.url, newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.Members(t.Context(), "M"); err == nil {
		t.Error("taken")
	}
}

func TestHTTPAddressIsDerivedByParsing(t *testing.T) {
	for in, want := range map[string]string{
		"wss://ws.example.com/ws":      "https://ws.example.com",
		"ws://localhost:7900/ws":       "http://localhost:7900",
		"ws://[::1]:7900/ws?x=1":       "http://[::1]:7900",
		"wss://user@host/a/ws/b":       "https://host",
		"https://example.com:8443/any": "https://example.com:8443",
		"ftp://example.com/":           "",
		"example.com":                  "",
		"ws:///ws":                     "",
		"%":                            "",
	} {
		got, err := httpBase(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", in, got, err)
		}
	}
}
