package broker

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"claudemesh/wire"
)

func TestAMemberIsToldWhatItsWatchesSee(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		asked := make(chan struct{})
		s := b.site(func(w http.ResponseWriter, r *http.Request) {
			<-asked
			says("hello")(w, r)
		})
		ann := b.join("ann")
		a, again, bob := ann.modern("a"), ann.modern("a2"), b.join("bob").modern("b")
		ack := a.ask("watch_ack", map[string]any{"type": "watch", "url": "http://site.example/x", "label": "site"})
		if ack["mode"] != "hash" || ack["interval"] != 30.0 || len(ack["watchId"].(string)) != 10 {
			t.Errorf("ack: %v", ack)
		}
		if w := a.watches()[0]; w["lastValue"] != "" || w["lastCheck"] != nil {
			t.Errorf("before the first look: %v", w)
		}
		close(asked)
		pass(time.Second)
		if w := again.watches()[0]; w["lastValue"] != "2cf24dba5fb0a30e" || w["lastHash"] != w["lastValue"] || w["lastCheck"] == nil || w["id"] != ack["watchId"] {
			t.Errorf("after it: %v", w)
		}
		pass(10 * time.Minute)
		if n := s.seen(); n < 18 || n > 21 {
			t.Errorf("%d looks in ten minutes", n)
		}
		s.shows("other")
		pass(34 * time.Second)
		for _, p := range []*testPeer{a, again} {
			push, data := p.triggered()
			if push == nil || push["senderPubkey"] != "system" || push["subtype"] != "system" || push["priority"] != "now" || push["seq"] == nil ||
				data["watchId"] != ack["watchId"] || data["oldValue"] != "2cf24dba5fb0a30e" || data["newValue"] == data["oldValue"] || data["label"] != "site" {
				t.Errorf("told %v", push)
			}
		}
		if push, _ := bob.triggered(); push != nil || len(bob.watches()) != 0 {
			t.Errorf("another member is told %v", push)
		}
		a.ask("watch_ack", map[string]any{"type": "unwatch", "watchId": ack["watchId"]})
		s.seen()
		s.shows("third")
		pass(time.Hour)
		if n := s.seen(); n != 0 || len(a.watches()) != 0 {
			t.Errorf("%d looks after it was ended", n)
		}
	})
}

func TestWhatAWatchSawSurvives(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		s := b.site(says("one"))
		ann := b.join("ann")
		a := ann.modern("a")
		id := a.watch(map[string]any{"headers": map[string]any{"Authorization": "Bearer open-sesame"}})
		pass(time.Second)
		before := a.watches()[0]["lastValue"]
		a.leave()
		b.restart()
		s.does(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("Authorization")) })
		b.watchAt(s)
		pass(2 * time.Minute)
		a = ann.modern("a") // was offline
		first := a.watched()
		if len(first) != 1 {
			t.Fatalf("told %v", first)
		}
		if data := first[0]["eventData"].(map[string]any); data["watchId"] != id || data["oldValue"] != before {
			t.Errorf("told %v", data)
		}
		if got := a.watches()[0]["lastValue"]; got != "9e6e0fce391843f5" { // of the header, which the broker has kept
			t.Errorf("saw %v", got)
		}
		a.leave() // without a word on what it was told
		b.restart()
		b.watchAt(s)
		a = ann.modern("a")
		if twice, _ := a.triggered(); twice == nil || twice["messageId"] != first[0]["messageId"] {
			t.Errorf("after another restart: %v", twice)
		}
		b.stop()
		if strings.Contains(readTree(t, b.cfg.Data), "open-sesame") {
			t.Error("a header is on disk as it is")
		}
	})
}

func TestWatchesOfWhoIsAwayRest(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		s := b.site(says("one"))
		ann := b.join("ann")
		a := ann.modern("a")
		a.watch(map[string]any{"interval": 600})
		a.leave()
		pass(23 * time.Hour)
		if n := s.seen(); n < 120 {
			t.Errorf("%d looks in the first day", n)
		}
		pass(2 * time.Hour)
		s.seen()
		pass(24 * time.Hour)
		if n := s.seen(); n != 0 {
			t.Errorf("%d looks on the second day", n)
		}
		command := ann.command(false)
		if w := command.watches(); len(w) != 1 || w[0]["suspended"] != true {
			t.Errorf("a command sees %v", w)
		}
		command.leave()
		s.shows("two")
		a = ann.modern("a")
		pass(10 * time.Second)
		if push, _ := a.triggered(); push == nil || s.seen() != 1 {
			t.Error("it does not go on when its member returns")
		}
		a.leave()
		pass(6*24*time.Hour + 23*time.Hour)
		if w := ann.command(false).watches(); len(w) != 1 {
			t.Errorf("before the week is over: %v", w)
		}
		pass(2 * time.Hour)
		a = ann.modern("a")
		if _, data := a.triggered(); data == nil || data["ended"] != true || len(a.watches()) != 0 {
			t.Errorf("after a week: %v, %v", data, a.watches())
		}
	})
}

func TestOldEventsOfAWatchGiveWay(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		n := 0
		s := b.site(nil)
		s.does(func(w http.ResponseWriter, _ *http.Request) { n++; fmt.Fprintf(w, `{"n":%d}`, n) })
		ann := b.join("ann")
		a := ann.modern("a")
		a.watch(map[string]any{"interval": 5, "mode": "json", "extract": "n"})
		a.leave()
		pass(10 * time.Minute)
		s.does(answers(503))
		pass(10 * time.Second)
		a = ann.modern("a")
		pass(time.Second)
		all := a.watched()
		if len(all) != wire.KeptEvents {
			t.Fatalf("%d events wait after %d looks", len(all), n)
		}
		last := all[len(all)-1]["eventData"].(map[string]any)
		if last["newValue"] != fmt.Sprint(n) {
			t.Errorf("the newest is %v, of %d", last, n)
		}
	})
}

func TestWatchesThatAreRefused(t *testing.T) {
	t.Parallel()
	b := newBroker(t, func(c *Config) { c.WatchAllow, c.MemberWatches, c.MaxWatches = "10.1.0.0/16", 2, 3 })
	a := b.join("ann").modern("a")
	many := map[string]any{}
	for i := range 21 {
		many[fmt.Sprint("X-", i)] = "x"
	}
	for _, c := range []struct {
		what   string
		fields map[string]any
		code   string
	}{
		{"no url", map[string]any{"url": ""}, "bad_request"},
		{"another scheme", map[string]any{"url": "file:///etc/passwd"}, "bad_request"},
		{"no host", map[string]any{"url": "http://"}, "bad_request"},
		{"a password", map[string]any{"url": "http://a:b@example.com/"}, "bad_request"},
		{"a control character", map[string]any{"url": "http://example.com/\r\nX: y"}, "bad_request"},
		{"a long url", map[string]any{"url": "http://example.com/" + strings.Repeat("x", 2048)}, "too_large"},
		{"loopback", map[string]any{"url": "http://127.0.0.1:7900/"}, "bad_request"},
		{"loopback by name", map[string]any{"url": "http://LocalHost./"}, "bad_request"},
		{"loopback of IPv6", map[string]any{"url": "http://[::1]/"}, "bad_request"},
		{"loopback, mapped", map[string]any{"url": "http://[::ffff:127.0.0.1]/"}, "bad_request"},
		{"a decimal address", map[string]any{"url": "http://2130706433/"}, "bad_request"},
		{"a short address", map[string]any{"url": "http://127.1/"}, "bad_request"},
		{"a hexadecimal address", map[string]any{"url": "http://0x7f.0x1/"}, "bad_request"},
		{"a private network", map[string]any{"url": "http://10.2.0.1/"}, "bad_request"},
		{"metadata of a cloud", map[string]any{"url": "http://169.254.169.254/latest/"}, "bad_request"},
		{"an unknown mode", map[string]any{"mode": "x"}, "bad_request"},
		{"an unknown condition", map[string]any{"notify_on": "always"}, "bad_request"},
		{"a bad path", map[string]any{"mode": "json", "extract": "a[x]"}, "bad_request"},
		{"a path without JSON", map[string]any{"extract": "a"}, "bad_request"},
		{"more than a day", map[string]any{"interval": 86401}, "bad_request"},
		{"a header of the broker", map[string]any{"headers": map[string]any{"host": "x"}}, "bad_request"},
		{"a header's length", map[string]any{"headers": map[string]any{"Content-Length": "9"}}, "bad_request"},
		{"a header with a line break", map[string]any{"headers": map[string]any{"X": "a\nHost: b"}}, "bad_request"},
		{"no header name", map[string]any{"headers": map[string]any{"X y": "a"}}, "bad_request"},
		{"many headers", map[string]any{"headers": many}, "too_large"},
		{"big headers", map[string]any{"headers": map[string]any{"X": strings.Repeat("x", 4097)}}, "too_large"},
		{"what the operator allows", map[string]any{"url": "http://10.1.2.3/", "interval": 1}, ""},
	} {
		f := map[string]any{"type": "watch", "url": "http://example.com/"}
		maps.Copy(f, c.fields)
		res := a.askAny(f)
		if res["type"] == "error" && res["code"] != c.code || res["type"] != "error" && (c.code != "" || res["interval"] != 5.0) {
			t.Errorf("%s: %v", c.what, res)
		}
	}
	other := b.join("bob").modern("b")
	for i, want := range []string{"", "limit"} {
		if res := a.askAny(map[string]any{"type": "watch", "url": "http://10.1.0.1/"}); res["type"] == "error" && res["code"] != want || res["type"] != "error" && want != "" {
			t.Errorf("watch %d of a member that may have two: %v", i+2, res)
		}
	}
	for i, want := range []string{"", "limit"} {
		if res := other.askAny(map[string]any{"type": "watch", "url": "http://10.1.0.1/"}); res["type"] == "error" && res["code"] != want || res["type"] != "error" && want != "" {
			t.Errorf("watch %d of a mesh that may have three: %v", i+3, res)
		}
	}
}

// A row is who is asking about ann's watch. docs/SECURITY.md has the same table.
func TestWhoMayDoWhatWithWatches(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		s := b.site(says("x"))
		ann, bob, boss := b.join("ann"), b.join("bob"), b.join("boss")
		b.call("PATCH", "/mesh/"+b.mesh+"/member/"+boss.id, b.owner, wire.MemberPatch{Permission: new(wire.Admin)})
		owner := ann.modern("a")
		for _, row := range []struct {
			who  string
			p    *testPeer
			list bool
			end  string
		}{
			{"who made it", owner, true, "watch_ack"},
			{"another session of theirs", ann.modern("a2"), true, "watch_ack"},
			{"a command of theirs", ann.command(false), true, "watch_ack"},
			{"a member", bob.modern("b"), false, "not_found"},
			{"an admin", boss.modern("d"), false, "not_found"},
		} {
			id := owner.watch(nil)
			pass(time.Second)
			listed := false
			for _, w := range row.p.watches() {
				listed = listed || w["id"] == id
			}
			res := row.p.askAny(map[string]any{"type": "unwatch", "watchId": id})
			got := res["type"].(string)
			if got == "error" {
				got = res["code"].(string)
			}
			if listed != row.list || got != row.end {
				t.Errorf("%s: listed is %v, to end it is %s", row.who, listed, got)
			}
		}
		if res := owner.askAny(map[string]any{"type": "unwatch", "watchId": "w_00000000"}); res["code"] != "not_found" {
			t.Errorf("an unknown one: %v", res)
		}
		b.call("DELETE", "/mesh/"+b.mesh+"/member/"+ann.id, b.owner, nil)
		s.seen()
		pass(time.Hour)
		if n := s.seen(); n != 0 {
			t.Errorf("%d looks for who is no member any more", n)
		}
	})
}

func TestWhatIsToldOfAChange(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 300)
	for _, c := range []struct {
		mode, extract, on string
		bodies            []string
		told              string // the new values, with a space after each
	}{
		{"hash", "", "change", []string{"a", "a", "b", "b", "a"}, "3e23e8160039594a ca978112ca1bbdca "},
		{"hash", "", "change", []string{"", "a", ""}, "ca978112ca1bbdca e3b0c44298fc1c14 "},
		{"json", "", "change", []string{`{"a":1}`, `{"a": 1}`}, "f9d86028c6e0d64e "},
		{"json", "$.a[0].b", "change", []string{`{"a":[{"b":1}]}`, `{"a":[{"b":1.0}]}`, `{"a":[]}`, `{"a":[{"b":null}]}`}, "1.0 null "},
		{"json", "a.0.b", "change", []string{`{"a":[{"b":true}]}`, `{"a":[{"b":"x"}]}`}, "x "},
		{"json", "a", "change", []string{`{"a":{"y":1,"x":[2]}}`, `{"a":{"x":[2],"y":1}}`, `{"a":{"x":[3],"y":1}}`}, `{"x":[3],"y":1} `},
		{"json", "$", "change", []string{`[1]`, `[1 ]`, `[2]`}, "[2] "},
		{"json", "a", "change", []string{`{"a":1}`, "no JSON"}, "no JSON "},
		{"json", "a", "change", []string{`{"a":""}`, `{"a":"x"}`, `{"a":""}`}, "x  "},
		{"json", "a", "match:up", []string{`{"a":"up"}`, `{"a":"down"}`, `{"a":"up"}`, `{"a":"up"}`}, "up "},
		{"json", "a", "not_match:up", []string{`{"a":"down"}`, `{"a":"up"}`, `{"a":"down"}`, `{"a":"off"}`}, "down "},
		{"json", "a", "change", []string{`{"a":"` + long + `1"}`, `{"a":"` + long + `2"}`}, long[:400] + " "},
	} {
		inBubble(t, func(t *testing.T, b *testBroker) {
			s := b.site(says(c.bodies[0]))
			a := b.join("ann").modern("a")
			f := map[string]any{"mode": c.mode, "notify_on": c.on, "interval": 5}
			if c.extract != "" {
				f["extract"] = c.extract
			}
			a.watch(f)
			told := ""
			for _, body := range c.bodies {
				s.shows(body)
				pass(5600 * time.Millisecond)
				if _, data := a.triggered(); data != nil {
					told += data["newValue"].(string) + " "
				}
			}
			if told != c.told {
				t.Errorf("%s %s %s of %.200q: told %q, want %q", c.mode, c.extract, c.on, c.bodies, told, c.told)
			}
		})
	}
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"$", "$.a", "a[0].b", "a.0", "$[1][2]", "a..b", "[", "a]", "a[99999999999999999999]", "{{a}} {{@event}}", "{{", "}}{{}}"} {
		f.Add(s, `{"a":[{"b":1}]}`)
	}
	f.Fuzz(func(t *testing.T, text, body string) {
		v, err := decodeJSON([]byte(body))
		if err != nil {
			v = nil
		}
		if p, err := parsePath(text); err == nil {
			if out := valueText(p.in(v)); out == "" && v == nil {
				t.Error("nothing is no text")
			}
		}
		if tpl, err := parseTemplate(text); err == nil {
			if out := tpl.fill(v, map[string]string{"@event": "e"}); len(out) > wire.MaxHookText {
				t.Errorf("%d bytes", len(out))
			}
		}
		p, err := json.Marshal(notification{Text: text, Data: json.RawMessage(`{}`)})
		if err != nil || !json.Valid(p) {
			t.Error(err)
		}
	})
}
