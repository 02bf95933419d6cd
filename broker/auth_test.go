package broker

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

// A signedRequest is a request in the making, for tests that forge one.
type signedRequest struct {
	method, path string
	key          seal.PrivateKey
	body         []byte
	at           wire.Millis

	signedMethod, signedPath string // if they differ
	signedBody               []byte
	pubkey, signature        string
}

// ask sends r and returns what comes.
func (b *testBroker) ask(r signedRequest) (int, map[string]any) {
	b.t.Helper()
	if r.at == 0 {
		r.at = b.stamp()
	}
	if r.signedMethod == "" {
		r.signedMethod = r.method
	}
	if r.signedPath == "" {
		r.signedPath = r.path
	}
	if r.signedBody == nil {
		r.signedBody = r.body
	}
	if r.pubkey == "" {
		r.pubkey = r.key.Public().String()
	}
	if r.signature == "" {
		r.signature = r.key.Sign(must(seal.HTTPText(r.signedMethod, r.signedPath, r.pubkey, int64(r.at), sha256.Sum256(r.signedBody))))
	}
	req := must(http.NewRequestWithContext(b.t.Context(), r.method, b.base+r.path, bytes.NewReader(r.body)))
	req.Header.Set(wire.HeaderPubkey, r.pubkey)
	req.Header.Set(wire.HeaderTimestamp, fmt.Sprint(int64(r.at)))
	req.Header.Set(wire.HeaderSignature, r.signature)
	return b.do(req)
}

func TestOnlyASignatureOfThisRequestProvesWhoAsks(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	alice, stranger := b.join("alice"), must(seal.Generate())
	path := "/mesh/" + b.mesh + "/member/" + alice.id
	body := []byte(`{"roleTag":"x"}`)
	good := signedRequest{method: "PATCH", path: path, key: alice.key, body: body}
	change := func(fn func(*signedRequest)) signedRequest {
		r := good
		fn(&r)
		return r
	}
	sum := sha256.Sum256(body)
	used := change(func(r *signedRequest) { r.at = b.stamp() })
	used.signature = alice.key.Sign(must(seal.HTTPText("PATCH", path, alice.pub(), int64(used.at), sum)))
	upper := change(func(r *signedRequest) { r.at, r.signature = used.at, strings.ToUpper(used.signature) })
	for _, c := range []struct {
		name   string
		req    signedRequest
		status int
		code   string
	}{
		{"signed", used, 200, ""},
		{"a key in upper case", change(func(r *signedRequest) { r.pubkey = strings.ToUpper(alice.pub()) }), 200, ""},
		{"a query that is signed", change(func(r *signedRequest) { r.path += "?a=b%20c" }), 200, ""},
		{"repeated", used, 401, "replayed"},
		{"repeated in upper case", upper, 401, "replayed"},
		{"another path", change(func(r *signedRequest) { r.signedPath = "/mesh/" + b.mesh + "/member/other" }), 401, "bad_signature"},
		{"a query that is not signed", change(func(r *signedRequest) { r.path += "?a=b"; r.signedPath = path }), 401, "bad_signature"},
		{"another method", change(func(r *signedRequest) { r.signedMethod = "DELETE" }), 401, "bad_signature"},
		{"another body", change(func(r *signedRequest) { r.signedBody = []byte(`{}`) }), 401, "bad_signature"},
		{"another key", change(func(r *signedRequest) { r.key, r.pubkey = stranger, alice.pub() }), 401, "bad_signature"},
		{"a stranger's key", change(func(r *signedRequest) { r.key = stranger }), 401, "unauthorized"},
		{"too old", change(func(r *signedRequest) { r.at = wire.MillisOf(time.Now().Add(-2 * time.Minute)) }), 401, "timestamp_skew"},
		{"no hex", change(func(r *signedRequest) { r.signature = strings.Repeat("x", 128) }), 401, "bad_signature"},
		{"no key", change(func(r *signedRequest) { r.pubkey = "abc"; r.signature = "00" }), 401, "unauthorized"},
		{"a mesh that is not there", change(func(r *signedRequest) { r.path = "/mesh/Nothing0Nothing0/member/" + alice.id }), 401, "unauthorized"},
		{"not JSON", change(func(r *signedRequest) { r.body = []byte("{") }), 400, "bad_request"},
		{"too large", change(func(r *signedRequest) { r.body = bytes.Repeat([]byte("x"), maxBody+1) }), 413, "too_large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, res := b.ask(c.req)
			if code, _ := res["error"].(string); status != c.status || code != c.code || res["ok"] != (c.code == "") {
				t.Errorf("%d %v, want %d %s", status, res, c.status, c.code)
			}
		})
	}
	for _, header := range []string{wire.HeaderPubkey, wire.HeaderTimestamp, wire.HeaderSignature} {
		req := must(http.NewRequestWithContext(t.Context(), "GET", b.base+"/mesh/"+b.mesh+"/members", nil))
		for _, h := range []string{wire.HeaderPubkey, wire.HeaderTimestamp, wire.HeaderSignature} {
			if h != header {
				req.Header.Set(h, "1")
			}
		}
		if status, res := b.do(req); status != 401 {
			t.Errorf("without %s: %d %v", header, status, res)
		}
	}
}

// Who is nobody cannot fill what remembers signatures.
func TestSignaturesOfStrangersAreNotRemembered(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	remembered := func() int {
		b.srv.replays.mu.Lock()
		defer b.srv.replays.mu.Unlock()
		return len(b.srv.replays.used)
	}
	before := remembered()
	for _, mesh := range []string{b.mesh, "Nothing0Nothing0"} {
		b.ask(signedRequest{method: "DELETE", path: "/mesh/" + mesh + "/member/x", key: must(seal.Generate())})
	}
	(&testMember{b: b, key: must(seal.Generate())}).hook(wire.HookStatus{Status: wire.Idle})
	if n := remembered(); n != before {
		t.Errorf("%d signatures of strangers", n-before)
	}
}

func TestRememberedSignaturesAreBounded(t *testing.T) {
	t.Parallel()
	var r replays
	for i := range maxReplays {
		if err := r.request(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.request("one more"); !errors.Is(err, &wire.Error{Code: wire.Capacity}) {
		t.Errorf("one more: %v", err)
	}
	r.next = time.Time{}
	for k, u := range r.used {
		u.at = u.at.Add(-replayTime)
		r.used[k] = u
	}
	if err := r.request("one more"); err != nil {
		t.Errorf("when their time is over: %v", err)
	}
	if err := r.request("ONE MORE"); !errors.Is(err, &wire.Error{Code: wire.Replayed}) {
		t.Errorf("the same again: %v", err)
	}
}

// Who may do what: the rows of the table in docs/SECURITY.md that HTTP serves.
func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	admin := b.joinAs("admin", "admin")
	mesh := "/mesh/" + b.mesh
	token := func() wire.AddInvite { return wire.AddInvite{Token: b.token("member"), MaxUses: 1} }
	other, self := b.join("other"), b.join("self")
	for _, c := range []struct {
		name   string
		method string
		path   func() string
		body   func() any
		may    string // of owner, admin, self, member, stranger
	}{
		{"list members", "GET", func() string { return mesh + "/members" }, nil, "owner admin self member"},
		{"rename a member", "PATCH", func() string { return mesh + "/member/" + self.id }, func() any { return map[string]any{"displayName": "n"} }, "owner admin self"},
		{"make an admin", "PATCH", func() string { return mesh + "/member/" + self.id }, func() any { return map[string]any{"permission": "admin"} }, "owner admin"},
		{"revoke a member", "DELETE", func() string { return mesh + "/member/" + self.id }, nil, "owner admin self"},
		{"list invites", "GET", func() string { return mesh + "/invites" }, nil, "owner admin"},
		{"register an invite", "POST", func() string { return mesh + "/invites" }, func() any { return token() }, "owner admin"},
		{"revoke an invite", "DELETE", func() string { return mesh + "/invites/" + b.inviteID() }, nil, "owner admin"},
		{"change settings", "PATCH", func() string { return mesh + "/settings" }, func() any { return map[string]any{"messageTtl": 1000} }, "owner admin"},
	} {
		for _, who := range []string{"owner", "admin", "self", "member", "stranger"} {
			t.Run(c.name+" by "+who, func(t *testing.T) {
				key := map[string]seal.PrivateKey{"owner": b.owner, "admin": admin.key, "self": self.key, "member": other.key, "stranger": must(seal.Generate())}[who]
				var body []byte
				if c.body != nil {
					body = must(json.Marshal(c.body()))
				}
				path := c.path()
				status, res := b.ask(signedRequest{method: c.method, path: path, key: key, body: body})
				want := 403
				switch {
				case strings.Contains(" "+c.may+" ", " "+who+" "):
					want = 200
				case who == "stranger":
					want = 401
				}
				if status != want || res["ok"] != (want == 200) {
					t.Errorf("%d %v, want %d", status, res, want)
				}
				if strings.HasSuffix(path, self.id) && status == 200 {
					self = b.join("self") // as before
				}
			})
		}
	}
}
