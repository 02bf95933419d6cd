package broker

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"claudemesh/store"
	"claudemesh/wire"
)

// hook makes a webhook and returns its URL and secret.
func (p *testPeer) hook(name string, fields map[string]any) (url, secret string) {
	p.t.Helper()
	f := map[string]any{"type": "create_webhook", "name": name}
	for k, v := range fields {
		f[k] = v
	}
	ack := p.ask("webhook_ack", f)
	return ack["url"].(string), ack["secret"].(string)
}

// postTo posts a body with these headers.
func (b *testBroker) postTo(url, body string, headers ...string) (int, map[string]any) {
	b.t.Helper()
	req := must(http.NewRequestWithContext(b.t.Context(), "POST", url, strings.NewReader(body)))
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return b.do(req)
}

// What is posted is shown as it was written, and does not grow on the way.
func TestWhatIsPostedIsNotEscapedForBrowsers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ posts, kind, body, want string }{
		{"JSON", "application/json", `{"a": "<b> & \"c\" é"}`, `{"a":"<b> & \"c\" é"}`},
		{"a form", "application/x-www-form-urlencoded", "a=%3Cb%3E+%26", `{"a":"<b> &"}`},
	} {
		q := &hookRequest{hook: &store.Webhook{Target: "*"}, header: http.Header{"Content-Type": {c.kind}}, body: []byte(c.body)}
		if code := q.decode(); code != "" {
			t.Fatalf("%s: %s", c.posts, code)
		}
		msg := must(hookMessage(q))
		if got, want := msg.Ciphertext, `{"data":`+c.want+`}`; got != want {
			t.Errorf("%s: %s is kept, want %s", c.posts, got, want)
		}
	}
}

// hooked reads until a webhook's message comes.
func (p *testPeer) hooked() map[string]any {
	p.t.Helper()
	return p.answer(func(f map[string]any) bool { return f["type"] == "push" && f["subtype"] == "webhook" })
}

func TestWhatIsPostedComesAsAMessage(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		ann, bob, cy := b.join("ann"), b.join("bob"), b.join("cy")
		a, old := ann.modern("a"), bob.old("b")
		old.ask("ack", map[string]any{"type": "set_visible", "visible": false})
		url, secret := a.hook("ci", nil)
		if url != b.base+"/hook/"+b.mesh+"/"+secret || len(secret) != 64 {
			t.Fatalf("url %s, secret %s", url, secret)
		}
		status, res := b.postTo(url, `{"b": "<&>", "a": [1.50]}`)
		if status != 200 || res["ok"] != true || res["delivered"] != 2.0 || res["queued"] != 1.0 {
			t.Fatalf("%d %v", status, res)
		}
		c := cy.modern("c") // was offline
		for _, p := range []*testPeer{a, old, c} {
			m := p.hooked()
			if m["senderPubkey"] != "webhook:ci" || m["event"] != "ci" || m["priority"] != "next" || m["nonce"] != "" || m["ciphertext"] != "" ||
				m["messageId"] != res["messageId"] || m["text"] != nil || m["senderMemberPubkey"] != nil || !equalJSON(m["eventData"], map[string]any{"a": []any{1.5}, "b": "<&>"}) {
				t.Errorf("push: %v", m)
			}
			if p != old {
				p.acked("seen", m)
			}
		}
		trail := a.ask("message_status_result", map[string]any{"type": "message_status", "messageId": res["messageId"]})
		for _, r := range trail["recipients"].([]any) {
			if st := r.(map[string]any); st["state"] != "seen" && st["state"] != "delivered" {
				t.Errorf("its creator sees %v", st)
			}
		}
	})
}

func TestAWebhooksMessageIsLeasedAndSurvives(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		ann := b.join("ann")
		a := ann.modern("a")
		url, _ := a.hook("ci", map[string]any{"target": ann.pub(), "template": "{{repo.name}}: {{commits[0].id}} {{@event}}{{none}}{{list}}"})
		if status, res := b.postTo(url, `{"repo":{"name":"mesh"},"commits":[{"id":7}],"list":[2,{"b":1,"a":"<"}]}`, "X-GitHub-Event", "push"); status != 200 || res["delivered"] != 1.0 {
			t.Fatal(status, res)
		}
		want := `mesh: 7 push[2,{"a":"<","b":1}]`
		first := a.hooked()
		pass(40 * time.Second) // of the lease, without a word
		if again := a.hooked(); again["messageId"] != first["messageId"] || again["text"] != want {
			t.Errorf("got %v", again)
		}
		a.leave()
		b.restart()
		a = ann.modern("a")
		if again := a.hooked(); again["messageId"] != first["messageId"] || again["text"] != want {
			t.Errorf("after a restart: %v", again)
		}
	})
}

func TestWebhookRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	b := newBroker(t, func(c *Config) { c.WebhookRate = 10 })
	a := b.join("ann").modern("a")
	url, secret := a.hook("ci", nil)
	for _, c := range []struct {
		what, url, body string
		status          int
		says            string
	}{
		{"no JSON", url, `{"a":`, 400, "invalid JSON"},
		{"two values", url, `{} {}`, 400, "invalid JSON"},
		{"not UTF-8", url, "{\"a\":\"\xff\"}", 400, "invalid JSON"},
		{"nothing", url, ``, 400, "invalid JSON"},
		{"a text", url, `"a"`, 400, "invalid JSON body"},
		{"null", url, `null`, 400, "invalid JSON body"},
		{"too much", url, `"` + strings.Repeat("x", wire.MaxHookBody) + `"`, 413, "payload too large"},
		{"just enough", url, `["` + strings.Repeat("x", wire.MaxHookBody-4) + `"]`, 200, ""},
		{"a wrong secret", b.base + "/hook/" + b.mesh + "/" + strings.Repeat("0", 64), `{}`, 404, "not_found"},
		{"the hash of the secret", b.base + "/hook/" + b.mesh + "/" + hex.EncodeToString(digestOfText(secret)), `{}`, 404, "not_found"},
		{"another mesh", b.base + "/hook/nosuchmesh0000000/" + secret, `{}`, 404, "not_found"},
		{"its name", b.base + "/hook/" + b.mesh + "/ci", `{}`, 404, "not_found"},
	} {
		status, res := b.postTo(c.url, c.body)
		if says, _ := res["error"].(string); status != c.status || says != c.says {
			t.Errorf("%s: %d %v", c.what, status, res)
		}
	}
	_, wrong := b.postTo(b.base+"/hook/"+b.mesh+"/"+strings.Repeat("0", 64), `{`)
	_, missing := b.postTo(b.base+"/hook/nosuchmesh0000000/x", `{}`)
	if !equalJSON(wrong, missing) {
		t.Errorf("a wrong secret shows: %v, %v", wrong, missing)
	}
	for n := 0; ; n++ {
		if status, _ := b.postTo(url, `{}`); status == 429 {
			break
		} else if n > 10 {
			t.Fatal("never too often")
		}
	}
	other, _ := a.hook("other", nil)
	if status, _ := b.postTo(other, `{}`, "Webhook-Id", "7"); status != 200 {
		t.Errorf("another webhook is limited too: %d", status)
	}
	b.postTo(other, `{}`, "Webhook-Id", "7")
	b.postTo(other, `{}`, "X-Hub-Signature-256", "sha256=00")
	b.do(must(http.NewRequestWithContext(t.Context(), "GET", other, nil)))
	_, at := b.scrape()
	for outcome, want := range map[string]string{postInvalid: "6", postTooLarge: "1", postUnknown: "6", postLimited: "1", postDuplicate: "1", postUnsigned: "1", postLooked: "1", postFailed: "0"} {
		if got := at[`broker_webhook_requests_total{outcome="`+outcome+`"}`]; got != want {
			t.Errorf("counted as %s: %s, want %s", outcome, got, want)
		}
	}
}

func TestGuessingAtWebhooksIsLimitedByAddress(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		url, _ := b.join("ann").modern("a").hook("ci", nil)
		b.srv.limits.perMinute = 5
		b.srv.limits.by = nil
		for n := range 6 {
			status, _ := b.postTo(b.base+"/hook/"+b.mesh+"/"+fmt.Sprint(n), `{}`)
			if want := 404; n < 5 && status != want || n == 5 && status != 429 {
				t.Errorf("guess %d: %d", n, status)
			}
		}
		if status, _ := b.postTo(url, `{}`); status != 200 {
			t.Errorf("who knows the secret: %d", status)
		}
	})
}

func TestADeliveryThatIsRepeatedIsSentOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		ann := b.join("ann")
		a := ann.modern("a")
		url, _ := a.hook("ci", nil)
		two, _ := a.hook("two", nil)
		slack, _ := a.hook("slack", map[string]any{"signature": "slack", "signingSecret": "s"})
		slackPost := func(body string) (int, map[string]any) {
			ts := fmt.Sprint(time.Now().Unix())
			return b.postTo(slack, body, "X-Slack-Request-Timestamp", ts, "X-Slack-Signature", "v0="+macOf("s", "v0:"+ts+":"+body))
		}
		_, first := b.postTo(url, `{"n":1}`, "X-GitHub-Delivery", "d1")
		b.restart()
		for what, c := range map[string]struct {
			res  func() (int, map[string]any)
			same bool
		}{
			"the same":             {func() (int, map[string]any) { return b.postTo(url, `{"n":1}`, "X-GitHub-Delivery", "d1") }, true},
			"to another webhook":   {func() (int, map[string]any) { return b.postTo(two, `{"n":1}`, "X-GitHub-Delivery", "d1") }, false},
			"another":              {func() (int, map[string]any) { return b.postTo(url, `{"n":1}`, "X-GitHub-Delivery", "d2") }, false},
			"one without an id":    {func() (int, map[string]any) { return b.postTo(url, `{"n":1}`) }, false},
			"slack's first":        {func() (int, map[string]any) { return slackPost(`{"event_id":"E1"}`) }, false},
			"of Stripe, elsewhere": {func() (int, map[string]any) { return b.postTo(url, `{"id":"evt"}`) }, false},
		} {
			status, res := c.res()
			if dup := res["duplicate"] == true; status != 200 || dup != c.same || dup && res["messageId"] != first["messageId"] {
				t.Errorf("%s: %d %v", what, status, res)
			}
		}
		if _, res := slackPost(`{"event_id":"E1"}`); res["duplicate"] != true {
			t.Errorf("slack's second: %v", res)
		}
	})
}

func TestAnEndedWebhookIsForgotten(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	for name, end := range map[string]func(p *testPeer){
		"deleted":          func(p *testPeer) { p.ask("webhook_ack", map[string]any{"type": "delete_webhook", "name": "ci"}) },
		"its member leave": func(p *testPeer) { p.ask("ack", map[string]any{"type": "leave_mesh"}) },
	} {
		p := b.join(name).modern(name)
		url, _ := p.hook("ci", nil)
		b.postTo(url, `{}`)
		m := b.srv.meshByID(b.mesh)
		m.hooks.mu.Lock()
		if len(m.hooks.by) != 1 {
			t.Errorf("%s: %d limits before", name, len(m.hooks.by))
		}
		m.hooks.mu.Unlock()
		end(p)
		m.hooks.mu.Lock()
		if len(m.hooks.by) != 0 {
			t.Errorf("%s: its limit of requests stays in memory", name)
		}
		m.hooks.mu.Unlock()
	}
}

func TestWebhooksThatCannotBeMade(t *testing.T) {
	t.Parallel()
	b := newBroker(t, func(c *Config) { c.PublicURL = "https://mesh.example" })
	a := b.join("ann").modern("a")
	url, secret := a.hook("ci", nil)
	if url != "https://mesh.example/hook/"+b.mesh+"/"+secret {
		t.Errorf("behind a proxy: %s", url)
	}
	for _, c := range []struct {
		what   string
		fields map[string]any
		code   string
	}{
		{"no name", map[string]any{"name": " "}, "invalid_webhook"},
		{"a name with a line break", map[string]any{"name": "a\nb"}, "invalid_webhook"},
		{"a long name", map[string]any{"name": strings.Repeat("x", 65)}, "invalid_webhook"},
		{"a name that is taken", map[string]any{"name": "ci"}, "webhook_exists"},
		{"no target", map[string]any{"target": "nobody"}, "invalid_target"},
		{"a prefix of nobody", map[string]any{"target": "01234567"}, "unknown_recipient"},
		{"an open template", map[string]any{"template": "a {{b"}, "bad_request"},
		{"a template of another kind", map[string]any{"template": "{{range .}}{{end}}"}, "bad_request"},
		{"a template with a bad path", map[string]any{"name": "b2", "template": "{{a[x]}}"}, "bad_request"},
		{"a template with an unknown word", map[string]any{"template": "{{@env}}"}, "bad_request"},
		{"a long template", map[string]any{"template": strings.Repeat("x", 2001)}, "too_large"},
		{"many places", map[string]any{"template": strings.Repeat("{{a}}", 51)}, "too_large"},
		{"an unknown style", map[string]any{"signature": "x"}, "bad_request"},
		{"Slack without its secret", map[string]any{"signature": "slack"}, "bad_request"},
		{"a secret without a style", map[string]any{"signingSecret": "x"}, "bad_request"},
	} {
		f := map[string]any{"type": "create_webhook", "name": "n"}
		for k, v := range c.fields {
			f[k] = v
		}
		if res := a.askAny(f); res["type"] == "error" && res["code"] != c.code || res["type"] != "error" && c.code != "" {
			t.Errorf("%s: %v", c.what, res)
		}
	}
	for n := range wire.MaxWebhooks {
		a.askAny(map[string]any{"type": "create_webhook", "name": fmt.Sprint("more", n)})
	}
	if res := a.askAny(map[string]any{"type": "create_webhook", "name": "one too many"}); res["code"] != "limit" {
		t.Errorf("one too many: %v", res)
	}
}

// A row is who is asking about ann's webhook. docs/SECURITY.md has the same table.
func TestWhoMayDoWhatWithWebhooks(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	ann, bob, boss := b.join("ann"), b.join("bob"), b.join("boss")
	b.call("PATCH", "/mesh/"+b.mesh+"/member/"+boss.id, b.owner, wire.MemberPatch{Permission: new(wire.Admin)})
	two := b.anotherMesh()
	owner := ann.modern("a")
	for i, row := range []struct {
		who                         string
		p                           *testPeer
		list, details               bool
		create, rotate, deleteIt, _ string
	}{
		{"its creator", owner, true, true, "ok", "ok", "ok", ""},
		{"another session of its creator", ann.modern("a2"), true, true, "ok", "ok", "ok", ""},
		{"a command of its creator", ann.command(false), true, true, "ok", "ok", "ok", ""},
		{"a member", bob.modern("b"), true, false, "ok", "forbidden", "forbidden", ""},
		{"an admin", boss.modern("d"), true, true, "ok", "ok", "ok", ""},
		{"another mesh", two.join("stranger").modern("s"), false, false, "ok", "not_found", "not_found", ""},
	} {
		name := fmt.Sprint("hook", i)
		owner.hook(name, map[string]any{"template": "text"})
		check := func(what string, f map[string]any, want string) {
			got := "ok"
			if f["type"] == "error" {
				got = f["code"].(string)
			}
			if got != want {
				t.Errorf("%s: %s is %s, want %s", row.who, what, got, want)
			}
		}
		listed := false
		for _, e := range row.p.ask("webhook_list", map[string]any{"type": "list_webhooks"})["webhooks"].([]any) {
			w := e.(map[string]any)
			if w["name"] != name {
				continue
			}
			listed = true
			if w["url"] != "" || w["active"] != true || (w["template"] != nil) != row.details || (w["mine"] == true) != row.details {
				t.Errorf("%s sees %v", row.who, w)
			}
		}
		if listed != row.list {
			t.Errorf("%s: listed is %v", row.who, listed)
		}
		check("create", row.p.askAny(map[string]any{"type": "create_webhook", "name": name + "b"}), row.create)
		check("rotate", row.p.askAny(map[string]any{"type": "rotate_webhook", "name": name}), row.rotate)
		check("delete", row.p.askAny(map[string]any{"type": "delete_webhook", "name": name}), row.deleteIt)
		check("delete what is not there", row.p.askAny(map[string]any{"type": "delete_webhook", "name": "nothing"}), "not_found")
	}
	url, _ := bob.modern("b").hook("bob's", nil)
	b.call("DELETE", "/mesh/"+b.mesh+"/member/"+bob.id, b.owner, nil)
	if status, _ := b.postTo(url, `{}`); status != 404 {
		t.Errorf("the webhook of who is no member any more: %d", status)
	}
}
