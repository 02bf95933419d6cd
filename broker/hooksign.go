package broker

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"claudemesh/wire"
)

// maxSignatures is how many signatures of one request are tried: Stripe sends
// two while its secret changes.
const maxSignatures = 4

// The headers in which senders sign.
const (
	headerGitHub    = "X-Hub-Signature-256"
	headerStripe    = "Stripe-Signature"
	headerSlack     = "X-Slack-Signature"
	headerSlackTime = "X-Slack-Request-Timestamp"
)

// verifyHook reports whether a request is signed in that style under secret, and
// not too long ago where it says when. The formats are those of
// docs.github.com (validating webhook deliveries), docs.stripe.com (verify
// signatures manually) and docs.slack.dev (verifying requests).
func verifyHook(style wire.HookSignature, secret []byte, h http.Header, body []byte, now time.Time) bool {
	switch style {
	case wire.GitHubSignature:
		given, ok := strings.CutPrefix(h.Get(headerGitHub), "sha256=")
		return ok && signedBy(secret, given, body)
	case wire.StripeSignature:
		at, given := stripeSignatures(h.Get(headerStripe))
		fits := false
		for _, sig := range given {
			fits = signedBy(secret, sig, []byte(at+"."), body) || fits
		}
		return fits && recentlySigned(at, now)
	case wire.SlackSignature:
		at := h.Get(headerSlackTime)
		given, ok := strings.CutPrefix(h.Get(headerSlack), "v0=")
		return ok && signedBy(secret, given, []byte("v0:"+at+":"), body) && recentlySigned(at, now)
	}
	return false
}

// stripeSignatures reads t=…,v1=…,v1=….
func stripeSignatures(header string) (at string, v1 []string) {
	for part := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch {
		case name == "t":
			at = value
		case name == "v1" && len(v1) < maxSignatures:
			v1 = append(v1, value)
		}
	}
	return at, v1
}

// signedBy compares in constant time the hex of a MAC with that of the parts.
func signedBy(secret []byte, given string, parts ...[]byte) bool {
	mac, err := hex.DecodeString(given)
	if err != nil {
		return false
	}
	h := hmac.New(sha256.New, secret)
	for _, p := range parts {
		h.Write(p)
	}
	return hmac.Equal(mac, h.Sum(nil))
}

// recentlySigned reports whether a time in seconds is within the tolerance.
func recentlySigned(seconds string, now time.Time) bool {
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return false
	}
	off := n - now.Unix()
	most := int64(wire.SignatureSkew / time.Second)
	return off >= -most && off <= most
}

// deliveryID returns the id that the sender gives what it posts, and that a
// repetition has again; empty if it gives none.
func deliveryID(style wire.HookSignature, h http.Header, posted any) string {
	id := ""
	for _, name := range []string{"X-GitHub-Delivery", "X-Gitea-Delivery", "X-Gitlab-Event-UUID", "Webhook-Id", "Idempotency-Key"} {
		if id == "" {
			id = h.Get(name)
		}
	}
	body, _ := posted.(map[string]any)
	if id == "" && (style == wire.SlackSignature || h.Get(headerSlack) != "") {
		id, _ = body["event_id"].(string)
	}
	if id == "" && (style == wire.StripeSignature || h.Get(headerStripe) != "") {
		id, _ = body["id"].(string)
	}
	if len(id) > wire.MaxDeliveryID {
		return ""
	}
	return id
}

// eventOf returns the kind of event that the sender's header names.
func eventOf(h http.Header) string {
	for _, name := range []string{"X-GitHub-Event", "X-Gitea-Event", "X-Gitlab-Event"} {
		if v := h.Get(name); v != "" {
			return clean(v, wire.MaxWebhookName)
		}
	}
	return ""
}
