package broker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

// How requests to a webhook are refused, as older senders know it.
const (
	hookUnknown  wire.Code = "not_found"
	hookUnsigned wire.Code = "unauthorized"
	hookNoJSON   wire.Code = "invalid JSON"
	hookNoObject wire.Code = "invalid JSON body"
	hookTooLarge wire.Code = "payload too large"
	hookFailed   wire.Code = "internal error"
)

// A hookRequest is a request to a webhook that is there.
type hookRequest struct {
	mesh   *mesh
	hook   *store.Webhook
	secret string // that of the URL
	header http.Header
	body   []byte
	posted any // what body decodes to
}

// servePost sends what is posted to a webhook: POST /hook/{mesh}/{secret}. It
// answers 200 once the message is on disk, and not before.
func (srv *Server) servePost(w http.ResponseWriter, r *http.Request) {
	q := srv.hookRequest(w, r)
	if q == nil {
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, wire.MaxHookBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		srv.refuseHook(w, http.StatusRequestEntityTooLarge, hookTooLarge, "a webhook takes 64 KiB at most")
		return
	}
	if err != nil {
		srv.metrics.posted(postAborted)
		return // the sender has gone
	}
	q.body = body
	if !q.signed(time.Now()) {
		srv.refuseHook(w, http.StatusUnauthorized, hookUnsigned, "the signature is missing, old, or made with another secret")
		return
	}
	if code := q.decode(); code != "" {
		srv.refuseHook(w, http.StatusBadRequest, code, "post an object or array of JSON in UTF-8")
		return
	}
	if challenge, ok := q.challenge(); ok {
		srv.metrics.posted(postLooked)
		writeChallenge(w, challenge)
		return
	}
	res, err := q.mesh.takePost(q)
	if err != nil {
		q.mesh.refusePost(w, err)
		return
	}
	outcome := postSent
	if res.Duplicate {
		outcome = postDuplicate
	}
	srv.metrics.posted(outcome)
	writeJSON(w, http.StatusOK, res)
}

// serveHookGet answers who looks whether the URL of a webhook is good: GET
// /hook/{mesh}/{secret}, with the challenge that some services send.
func (srv *Server) serveHookGet(w http.ResponseWriter, r *http.Request) {
	if srv.hookRequest(w, r) == nil {
		return
	}
	srv.metrics.posted(postLooked)
	for _, name := range []string{"challenge", "hub.challenge"} {
		if challenge := r.URL.Query().Get(name); harmless.MatchString(challenge) {
			writeChallenge(w, challenge)
			return
		}
	}
	writeJSON(w, http.StatusOK, wire.HTTPResult{OK: true, Hint: "this is a webhook: POST JSON to it"})
}

// hookRequest finds the webhook of a request, and answers it if there is none
// or it is called too often. A wrong secret, a webhook that was deleted and a
// mesh that is not here all look the same.
func (srv *Server) hookRequest(w http.ResponseWriter, r *http.Request) *hookRequest {
	q := &hookRequest{mesh: srv.meshByID(r.PathValue("mesh")), secret: r.PathValue("secret"), header: r.Header}
	var err error
	if q.mesh != nil {
		q.hook, err = q.mesh.hookBySecret(q.secret)
	}
	switch {
	case err != nil:
		q.mesh.refusePost(w, err)
	case q.hook == nil && !srv.limits.allow(remote(r)):
		srv.refuseHook(w, http.StatusTooManyRequests, wire.RateLimited, "wait a minute")
	case q.hook == nil:
		srv.refuseHook(w, http.StatusNotFound, hookUnknown, "there is no such webhook")
	case !q.mesh.hooks.allow(q.hook.ID, srv.cfg.WebhookRate):
		w.Header().Set("Retry-After", "60")
		srv.refuseHook(w, http.StatusTooManyRequests, wire.RateLimited, "this webhook is called too often: wait a minute")
	default:
		return q
	}
	return nil
}

// hookBySecret returns the webhook with that secret, nil if there is none.
func (m *mesh) hookBySecret(secret string) (*store.Webhook, error) {
	hash := sha256.Sum256([]byte(secret))
	var hook *store.Webhook
	err := m.db.Read(context.Background(), func(rx *store.Rx) (err error) {
		hook, err = optional(rx.WebhookByHash(hash))
		return err
	})
	if hook != nil && subtle.ConstantTimeCompare(hook.Hash[:], hash[:]) != 1 {
		return nil, nil
	}
	return hook, err
}

// signed reports whether the request is signed as the webhook asks for. A
// signature in the style of GitHub is looked at though it asks for none.
func (q *hookRequest) signed(now time.Time) bool {
	style := wire.HookSignature(q.hook.Style)
	if style == "" && q.header.Get(headerGitHub) != "" {
		style = wire.GitHubSignature
	}
	if style == "" {
		return true
	}
	secret := []byte(q.secret)
	if q.hook.Signing != nil {
		var err error
		if secret, err = q.mesh.srv.atRest.Open(q.hook.Signing); err != nil {
			q.mesh.log.Error("the signing secret of a webhook cannot be read: was server.json replaced?", "webhook", q.hook.ID, "err", err)
			return false
		}
	}
	return verifyHook(style, secret, q.header, q.body, now)
}

// decode reads the body, JSON or a form, and returns how it is refused, if it is.
func (q *hookRequest) decode() wire.Code {
	if kind, _, _ := mime.ParseMediaType(q.header.Get("Content-Type")); kind == "application/x-www-form-urlencoded" {
		q.body = formJSON(q.body)
	}
	var err error
	if q.posted, err = decodeJSON(q.body); err != nil {
		return hookNoJSON
	}
	switch q.posted.(type) {
	case map[string]any, []any:
		return ""
	}
	return hookNoObject
}

// formJSON makes JSON of a form: what its field payload holds, as GitHub and
// Slack have it, else an object of its fields. What is no form stays as it is.
func formJSON(body []byte) []byte {
	form, err := url.ParseQuery(string(body))
	if err != nil || len(form) == 0 || bytes.HasPrefix(body, []byte("{")) || bytes.HasPrefix(body, []byte("[")) {
		return body // JSON that says it is a form, for instance
	}
	if p := form.Get("payload"); p != "" {
		return []byte(p)
	}
	fields := make(map[string]string, len(form))
	for name := range form {
		fields[name] = form.Get(name)
	}
	p, err := encodeJSON(fields)
	if err != nil {
		return body
	}
	return p
}

// harmless is a challenge that may be sent back: it means nothing to a browser.
var harmless = regexp.MustCompile(`^[0-9A-Za-z._~=+/-]{1,256}$`)

// challenge returns what Slack wants back when it is given the URL.
func (q *hookRequest) challenge() (string, bool) {
	fields, _ := q.posted.(map[string]any)
	if fields["type"] != "url_verification" {
		return "", false
	}
	text, _ := fields["challenge"].(string)
	return text, harmless.MatchString(text)
}

func writeChallenge(w http.ResponseWriter, challenge string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	io.WriteString(w, challenge)
}

// refuseHook refuses a request to a webhook, and counts it.
func (srv *Server) refuseHook(w http.ResponseWriter, status int, code wire.Code, hint string) {
	srv.metrics.refusedPost(code)
	writeJSON(w, status, wire.HTTPResult{Error: code, Hint: hint})
}

// refusePost answers a request that failed here. A sender tries again later
// after every one of these.
func (m *mesh) refusePost(w http.ResponseWriter, err error) {
	switch e, _ := errors.AsType[*wire.Error](err); {
	case errors.Is(err, store.ErrNotFound): // deleted meanwhile
		m.srv.refuseHook(w, http.StatusNotFound, hookUnknown, "there is no such webhook")
	case e != nil && e.Code == wire.Limit:
		w.Header().Set("Retry-After", "60")
		m.srv.refuseHook(w, http.StatusTooManyRequests, wire.Limit, "who it is for has no room: try again later")
	default:
		if asError(err).Code == wire.Unavailable {
			m.srv.refuseHook(w, http.StatusServiceUnavailable, wire.Unavailable, "nothing was kept: try again later")
			return
		}
		m.log.Error("a webhook's request failed", "err", err)
		m.srv.refuseHook(w, http.StatusInternalServerError, hookFailed, "the broker's log says why")
	}
}
