package broker

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"claudemesh/wire"
)

func macOf(secret, text string) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(text))
	return hex.EncodeToString(h.Sum(nil))
}

func digestOfText(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

func TestSignaturesOfWebhooks(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		a := b.join("ann").modern("a")
		plain, plainSecret := a.hook("plain", nil)
		github, urlSecret := a.hook("github", map[string]any{"signature": "github"})
		own, _ := a.hook("own", map[string]any{"signature": "github", "signingSecret": "s3"})
		stripe, _ := a.hook("stripe", map[string]any{"signature": "stripe", "signingSecret": "whsec_x"})
		slack, _ := a.hook("slack", map[string]any{"signature": "slack", "signingSecret": "s4"})
		const body = `{"id":"evt_1"}`
		now := time.Now().Unix()
		at := func(off time.Duration) string { return fmt.Sprint(now + int64(off/time.Second)) }
		stripeAt := func(ts, secret string) string {
			return "t=" + ts + ",v1=" + strings.Repeat("0", 64) + ",v1=" + macOf(secret, ts+"."+body) + ",v0=1"
		}
		slackAt := func(ts, secret string) []string {
			return []string{"X-Slack-Request-Timestamp", ts, "X-Slack-Signature", "v0=" + macOf(secret, "v0:"+ts+":"+body)}
		}
		for _, c := range []struct {
			what, url string
			headers   []string
			status    int
		}{
			{"none is asked for", plain, nil, 200},
			{"none is asked for, one is given", plain, []string{"X-Hub-Signature-256", "sha256=" + macOf(plainSecret, body)}, 200},
			{"none is asked for, a wrong one is given", plain, []string{"X-Hub-Signature-256", "sha256=" + macOf("x", body)}, 401},
			{"github: missing", github, nil, 401},
			{"github: by the secret of the URL", github, []string{"X-Hub-Signature-256", "sha256=" + macOf(urlSecret, body)}, 200},
			{"github: of another body", github, []string{"X-Hub-Signature-256", "sha256=" + macOf(urlSecret, body+" ")}, 401},
			{"github: without its name", github, []string{"X-Hub-Signature-256", macOf(urlSecret, body)}, 401},
			{"github: no hex", github, []string{"X-Hub-Signature-256", "sha256=zz"}, 401},
			{"github: empty", github, []string{"X-Hub-Signature-256", "sha256="}, 401},
			{"github: by its own secret", own, []string{"X-Hub-Signature-256", "sha256=" + macOf("s3", body)}, 200},
			{"stripe: missing", stripe, nil, 401},
			{"stripe: one of two fits", stripe, []string{"Stripe-Signature", stripeAt(at(0), "whsec_x")}, 200},
			{"stripe: another secret", stripe, []string{"Stripe-Signature", stripeAt(at(0), "x")}, 401},
			{"stripe: old", stripe, []string{"Stripe-Signature", stripeAt(at(-301*time.Second), "whsec_x")}, 401},
			{"stripe: ahead", stripe, []string{"Stripe-Signature", stripeAt(at(301*time.Second), "whsec_x")}, 401},
			{"stripe: nearly old", stripe, []string{"Stripe-Signature", stripeAt(at(-299*time.Second), "whsec_x")}, 200},
			{"stripe: no time", stripe, []string{"Stripe-Signature", "v1=" + macOf("whsec_x", "."+body)}, 401},
			{"slack: fits", slack, slackAt(at(0), "s4"), 200},
			{"slack: old", slack, slackAt(at(-301*time.Second), "s4"), 401},
			{"slack: another secret", slack, slackAt(at(0), "s5"), 401},
			{"slack: of another time", slack, append(slackAt(at(0), "s4"), "X-Slack-Request-Timestamp", at(1*time.Second)), 401},
			{"slack: the style of another", slack, []string{"X-Hub-Signature-256", "sha256=" + macOf("s4", body)}, 401},
		} {
			if status, res := b.postTo(c.url, body, c.headers...); status != c.status {
				t.Errorf("%s: %d %v", c.what, status, res)
			}
		}
	})
}

func TestServicesThatTryTheURL(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	a := b.join("ann").modern("a")
	url, _ := a.hook("ci", nil)
	for _, c := range []struct {
		what, method, url, body string
		status                  int
		says                    string
	}{
		{"a look", "GET", url, "", 200, `{"ok":true,"message":"this is a webhook: POST JSON to it"}`},
		{"a look with a challenge", "GET", url + "?hub.mode=subscribe&hub.challenge=a-1", "", 200, "a-1"},
		{"a challenge for a browser", "GET", url + "?challenge=%3Cscript%3E", "", 200, `{"ok":true,"message":"this is a webhook: POST JSON to it"}`},
		{"a look at nothing", "GET", b.base + "/hook/" + b.mesh + "/x", "", 404, `{"ok":false,"error":"not_found","message":"there is no such webhook"}`},
		{"Slack's challenge", "POST", url, `{"type":"url_verification","challenge":"c4"}`, 200, "c4"},
	} {
		res := must(http.DefaultClient.Do(must(http.NewRequest(c.method, c.url, strings.NewReader(c.body)))))
		text := strings.TrimSpace(string(must(io.ReadAll(res.Body))))
		if res.StatusCode != c.status || text != c.says {
			t.Errorf("%s: %d %s", c.what, res.StatusCode, text)
		}
	}
	if status, _ := b.postTo(url, "payload=%7B%22a%22%3A1%7D", "Content-Type", "application/x-www-form-urlencoded"); status != 200 {
		t.Errorf("a form with a payload: %d", status)
	}
	if m := a.hooked(); !equalJSON(m["eventData"], map[string]any{"a": 1}) { // and not the challenge
		t.Errorf("got %v", m)
	}
	b.postTo(url, "command=%2Fx&text=y", "Content-Type", "application/x-www-form-urlencoded")
	if m := a.hooked(); !equalJSON(m["eventData"], map[string]any{"command": "/x", "text": "y"}) {
		t.Errorf("got %v", m)
	}
}

func FuzzHookSignatures(f *testing.F) {
	now := time.Unix(1_700_000_000, 0)
	f.Add("github", "sha256="+macOf("wrong", "body"), "1700000000", "body")
	f.Add("stripe", "t=1700000000,v1="+macOf("wrong", "1700000000.body"), "", "body")
	f.Add("slack", "v0="+macOf("wrong", "v0:1700000000:body"), "1700000000", "body")
	f.Add("stripe", "t=-9223372036854775808,v1=,v1,=,", "9223372036854775807", "")
	f.Fuzz(func(t *testing.T, style, header, at, body string) {
		h := http.Header{headerGitHub: {header}, headerStripe: {header}, headerSlack: {header}, headerSlackTime: {at}}
		if verifyHook(wire.HookSignature(style), []byte("the secret that nobody knows"), h, []byte(body), now) {
			t.Errorf("%q is taken for a signature", header)
		}
		deliveryID(wire.HookSignature(style), h, nil)
	})
}

func TestASecretOfAWebhookIsShownOnce(t *testing.T) {
	t.Parallel()
	log := new(lockedBuffer)
	b := newBroker(t, func(c *Config) { c.Log = log.logger() })
	a := b.join("ann").modern("a")
	url, secret := a.hook("ci", map[string]any{"signature": "github", "signingSecret": "sign-with-this"})
	b.postTo(url, `{}`)
	list := fmt.Sprint(a.ask("webhook_list", map[string]any{"type": "list_webhooks"}))
	ack := a.ask("webhook_ack", map[string]any{"type": "rotate_webhook", "name": "ci"})
	second := ack["secret"].(string)
	if status, _ := b.postTo(url, `{}`); status != 404 {
		t.Errorf("the old secret: %d", status)
	}
	if status, _ := b.postTo(ack["url"].(string), `{}`, "X-Hub-Signature-256", "sha256="+macOf("sign-with-this", "{}")); status != 200 {
		t.Errorf("the new secret: %d", status)
	}
	a.ask("webhook_ack", map[string]any{"type": "delete_webhook", "name": "ci"})
	if status, _ := b.postTo(ack["url"].(string), `{}`); status != 404 {
		t.Errorf("deleted: %d", status)
	}
	if _, again := a.hook("ci", nil); again == secret || again == second {
		t.Error("a secret comes again")
	}
	b.stop()
	for what, text := range map[string]string{"list": list, "log": log.String(), "data directory": readTree(t, b.cfg.Data)} {
		for _, s := range []string{secret, second, "sign-with-this"} {
			if strings.Contains(text, s) {
				t.Errorf("the %s shows a secret", what)
			}
		}
	}
}

// readTree returns what all files below a directory hold.
func readTree(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		all.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
