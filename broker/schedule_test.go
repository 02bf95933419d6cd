package broker

import (
	"encoding/base64"
	"maps"
	"strings"
	"testing"
	"time"

	"claudemesh/wire"
)

// in returns the moment that is d from now, as deliverAt has it.
func in(d time.Duration) int64 { return time.Now().Add(d).UnixMilli() }

// later schedules a message, with the fields given, and returns its id.
func (p *testPeer) later(to, text string, fields map[string]any) string {
	p.t.Helper()
	f := map[string]any{"type": "schedule", "to": to, "message": text}
	maps.Copy(f, fields)
	return p.ask("scheduled_ack", f)["scheduledId"].(string)
}

// due reads until a scheduled message comes, and returns it and its text.
func (p *testPeer) due() (push map[string]any, text string) {
	p.t.Helper()
	for {
		f := p.read()
		if f["type"] == "push" && f["scheduleId"] != nil {
			return f, string(must(base64.StdEncoding.DecodeString(f["ciphertext"].(string))))
		}
	}
}

// pending returns the entries that p's member has.
func (p *testPeer) pending() []map[string]any {
	p.t.Helper()
	var all []map[string]any
	for _, e := range p.ask("scheduled_list", map[string]any{"type": "list_scheduled"})["messages"].([]any) {
		all = append(all, e.(map[string]any))
	}
	return all
}

// undue checks that no scheduled message is under way to p.
func (p *testPeer) undue() {
	p.t.Helper()
	for _, f := range p.news() {
		if f["scheduleId"] != nil {
			p.t.Fatalf("unexpected %v", f)
		}
	}
}

func TestAScheduledMessageComesWhenItIsDue(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		alice, robert := b.join("ann"), b.join("bob")
		ann, bob := alice.modern("a"), robert.modern("b")
		at := in(25 * 24 * time.Hour) // more milliseconds than 31 bits count
		id := ann.later(robert.pub(), "stand-up", map[string]any{"deliverAt": at})
		if e := ann.pending(); len(e) != 1 || e[0]["id"] != id || e[0]["deliverAt"] != float64(at) || e[0]["message"] != "stand-up" || e[0]["firedCount"] != nil {
			t.Fatalf("pending: %v", e)
		}
		ann.leave()
		bob.leave()
		pass(25*24*time.Hour - time.Minute)
		ann, bob = alice.modern("a"), robert.modern("b")
		pass(time.Minute - time.Millisecond)
		bob.undue()
		pass(time.Millisecond)
		push, text := bob.due()
		if text != "stand-up" || push["senderPubkey"] != ann.key || push["senderName"] != "ann" || push["nonce"] != "" ||
			push["priority"] != "now" || push["scheduleId"] != id || push["subtype"] != nil || push["targetSpec"] != robert.pub() {
			t.Fatalf("push: %v", push)
		}
		if got := push["scheduledFor"]; got != wire.Time(time.UnixMilli(at)).String() {
			t.Errorf("scheduled for %v", got)
		}
		if e := ann.pending(); len(e) != 0 {
			t.Errorf("it is still pending: %v", e)
		}
		for _, f := range ann.news() {
			if f["type"] == "ack" || f["scheduleId"] != nil {
				t.Errorf("its owner is told %v", f)
			}
		}
	})
}

func TestWhatIsPastIsDueAtOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		p := b.join("ann").modern("a")
		for _, fields := range []map[string]any{{"deliverAt": 0}, {"deliverAt": -5}, {"delay": 0}, {"deliverAt": in(-time.Hour), "missed": "skip"}} {
			p.later(p.b.member(p), "now", fields)
			p.due()
		}
	})
}

// member returns the key of the member behind p.
func (b *testBroker) member(p *testPeer) string {
	b.t.Helper()
	return p.find(p.key)["memberPubkey"].(string)
}

func TestASchedulesRecipientMayBeOffline(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		ann, bob := b.join("ann"), b.join("bob")
		p := ann.modern("a")
		p.later(bob.pub(), "for bob", map[string]any{"delay": 1000})
		p.later("@all", "for all", map[string]any{"delay": 1000})
		p.leave()
		pass(time.Hour)
		q := bob.modern("b")
		got := map[string]bool{}
		for range 2 {
			push, text := q.due()
			got[text] = true
			if push["senderPubkey"] != ann.pub() || push["senderName"] != "ann" {
				t.Errorf("its owner is offline, and it comes from %v %v", push["senderName"], push["senderPubkey"])
			}
			q.acked("seen", push)
		}
		if !got["for bob"] || !got["for all"] {
			t.Errorf("got %v", got)
		}
		q.undue()
	})
}

// The owner's sessions come and go, and others are there: it is never another
// peer who seems to have written it.
func TestTheSenderIsTheOwner(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		ann, robert := b.join("ann"), b.join("bob")
		bob := robert.old("b")
		b.join("cleo").modern("c")
		first := ann.modern("1")
		first.later(robert.pub(), "x", map[string]any{"cron": "* * * * *"})
		next := func() string {
			pass(time.Minute)
			push, _ := bob.due()
			if push["senderMemberPubkey"] != ann.pub() {
				t.Errorf("the member is %v", push["senderMemberPubkey"])
			}
			return push["senderPubkey"].(string)
		}
		if next() != first.key {
			t.Error("it does not come from the session that made it")
		}
		second := ann.modern("2")
		if next() != first.key {
			t.Error("it comes from a newer session")
		}
		first.leave()
		if next() != second.key {
			t.Error("it does not come from the member's other session")
		}
		second.leave()
		if next() != ann.pub() {
			t.Error("it does not come from the member")
		}
		b.restart()
		bob = robert.old("b")
		if next() != ann.pub() {
			t.Error("after a restart it does not come from the member")
		}
	})
}

func TestAReminderReachesItsOwner(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		ann := b.join("ann")
		first, second := ann.modern("1"), ann.modern("2")
		remind := func(by *testPeer, to string) {
			by.later(to, "tea", map[string]any{"delay": 60_000, "subtype": "reminder"})
		}
		gets := func(who string, p *testPeer) {
			t.Helper()
			pass(time.Minute)
			push, text := p.due()
			if push["subtype"] != "reminder" || text != "tea" {
				t.Errorf("%s gets %v", who, push)
			}
			p.acked("seen", push)
		}
		remind(first, ann.pub())
		gets("the session that made it, though another is newer", first)
		remind(first, first.key)
		gets("the session that it names", first)
		second.undue()
		remind(first, ann.pub())
		first.leave()
		gets("another session of the member", second)
		remind(second, second.key) // as an older command does, which then goes
		second.leave()
		pass(time.Hour)
		gets("the next session of the member", ann.modern("3"))
	})
}

func TestAnEnvelopeIsKeptAsItIs(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		ann, bob := b.join("ann"), b.join("bob").modern("b")
		p := ann.modern("a")
		id := p.ask("scheduled_ack", map[string]any{"type": "schedule", "to": bob.key, "nonce": "N", "ciphertext": "C", "delay": 1000})["scheduledId"]
		if e := p.pending()[0]; e["message"] != "" || e["nonce"] != "N" || e["ciphertext"] != "C" {
			t.Errorf("pending: %v", e)
		}
		pass(time.Second)
		push := bob.read()
		for push["scheduleId"] != id {
			push = bob.read()
		}
		if push["nonce"] != "N" || push["ciphertext"] != "C" || push["senderPubkey"] != ann.pub() {
			t.Errorf("it comes as %v, and opens only as the member's", push)
		}
	})
}

func TestSchedulesThatAreRefused(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	p := b.join("ann").modern("a")
	for name, c := range map[string]struct {
		fields map[string]any
		code   wire.Code
	}{
		"no time":             {map[string]any{}, wire.BadRequest},
		"a time of day":       {map[string]any{"deliverAt": "noon"}, wire.BadRequest},
		"a time beyond":       {map[string]any{"deliverAt": 1 << 52}, wire.BadRequest},
		"seconds backwards":   {map[string]any{"delay": -1}, wire.BadRequest},
		"an empty text":       {map[string]any{"deliverAt": 1, "message": ""}, wire.BadRequest},
		"no target":           {map[string]any{"deliverAt": 1, "to": ""}, wire.InvalidTarget},
		"a channel":           {map[string]any{"deliverAt": 1, "to": "#x"}, wire.InvalidTarget},
		"a prefix of nobody":  {map[string]any{"deliverAt": 1, "to": "0123456789"}, wire.UnknownRecipient},
		"a step of zero":      {map[string]any{"cron": "*/0 * * * *"}, wire.InvalidCron},
		"a day that is none":  {map[string]any{"cron": "0 0 30 2 *"}, wire.InvalidCron},
		"nonsense":            {map[string]any{"cron": "TZ=0"}, wire.InvalidCron},
		"a zone that is none": {map[string]any{"cron": "* * * * *", "tz": "Mars/Olympus"}, wire.BadRequest},
		"a zone as a path":    {map[string]any{"cron": "* * * * *", "tz": "../../etc/passwd"}, wire.BadRequest},
		"the broker's zone":   {map[string]any{"cron": "* * * * *", "tz": "Local"}, wire.BadRequest},
		"another policy":      {map[string]any{"deliverAt": 1, "missed": "twice"}, wire.BadRequest},
		"another subtype":     {map[string]any{"deliverAt": 1, "subtype": "system"}, wire.BadRequest},
		"another clock":       {map[string]any{"deliverAt": 1, "clock": "moon"}, wire.BadRequest},
		"no clock there":      {map[string]any{"deliverAt": 1, "clock": "sim"}, wire.NoClock},
		"half an envelope":    {map[string]any{"deliverAt": 1, "message": "", "nonce": "n"}, wire.BadRequest},
		"text and envelope":   {map[string]any{"deliverAt": 1, "nonce": "n", "ciphertext": "c"}, wire.BadRequest},
		"an envelope for all": {map[string]any{"deliverAt": 1, "to": "*", "message": "", "nonce": "n", "ciphertext": "c"}, wire.BadRequest},
	} {
		f := map[string]any{"type": "schedule", "to": p.key, "message": "x"}
		maps.Copy(f, c.fields)
		if a := p.askAny(f); a["type"] != "error" || a["code"] != string(c.code) {
			t.Errorf("%s: %v, want %s", name, a, c.code)
		}
	}
	if e := p.pending(); len(e) != 0 {
		t.Errorf("something was kept: %v", e)
	}
}

// A request that is repeated, because its answer was lost, makes one entry.
func TestARepeatedScheduleIsOne(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		ann, bob := b.join("ann"), b.join("bob")
		p, q := ann.modern("a"), bob.modern("b")
		ask := func(p *testPeer, text string, more map[string]any) map[string]any {
			f := map[string]any{"type": "schedule", "to": bob.pub(), "message": text, "delay": 60_000, "id": "one"}
			maps.Copy(f, more)
			res := p.askAny(f)
			delete(res, "_reqId")
			return res
		}
		first := ask(p, "x", nil)
		again := ask(ann.modern("a2"), "x", nil)
		if again["duplicate"] != true || again["scheduledId"] != first["scheduledId"] || again["deliverAt"] != first["deliverAt"] {
			t.Errorf("first %v, then %v", first, again)
		}
		if res := ask(p, "y", nil); res["code"] != "conflict" {
			t.Errorf("another under its id: %v", res)
		}
		if res := ask(p, "y", map[string]any{"id": strings.Repeat("x", wire.MaxSendID+1)}); res["code"] != "bad_request" {
			t.Errorf("a long id: %v", res)
		}
		if res := ask(q, "of another", nil); res["duplicate"] != nil || res["scheduledId"] == nil {
			t.Errorf("of another member: %v", res)
		}
		if n := len(p.pending()); n != 1 {
			t.Errorf("%d entries", n)
		}
		pass(2 * time.Minute)
		b.restart()
		p = ann.modern("a")
		if res := ask(p, "x", nil); res["duplicate"] != true || len(p.pending()) != 0 {
			t.Errorf("after it was sent: %v", res)
		}
		p.drop()
		pass(26 * time.Hour)
		p = ann.modern("a")
		if res := ask(p, "x", nil); res["duplicate"] != nil {
			t.Errorf("a day later: %v", res)
		}
	})
}

// Who may read, cancel and get what is scheduled, one row per cell of the table
// in docs/SECURITY.md.
func TestWhoMayDoWhatWithSchedules(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	ann := b.join("ann")
	owner, other, command := ann.modern("1"), ann.modern("2"), b.connect(ann.hello("3", func(h *wire.Hello) { h.Transient = true }))
	stranger := b.join("bob").modern("b")
	admin := b.joinAs("eve", "admin").modern("e")
	for _, c := range []struct {
		who     string
		p       *testPeer
		reads   bool
		cancels bool
	}{
		{"the session that made it", owner, true, true},
		{"another session of the member", other, true, true},
		{"a command of the member", command, true, true},
		{"another member", stranger, false, false},
		{"an admin", admin, false, false},
	} {
		id := owner.later("*", "secret", map[string]any{"delay": 3_600_000})
		if got := len(c.p.pending()) > 0; got != c.reads {
			t.Errorf("%s sees it: %v", c.who, got)
		}
		for _, name := range []string{id, id[:8]} {
			ack := c.p.ask("cancel_scheduled_ack", map[string]any{"type": "cancel_scheduled", "scheduledId": name})
			if want := c.cancels && name == id; ack["ok"] != want {
				t.Errorf("%s cancels it: %v", c.who, ack)
			}
		}
		if left := len(owner.pending()); (left == 0) != c.cancels {
			t.Errorf("%s leaves %d", c.who, left)
		}
		owner.ask("cancel_scheduled_ack", map[string]any{"type": "cancel_scheduled", "scheduledId": id})
	}
}

func TestSchedulesEndWithTheMembership(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		ann, bob := b.join("ann").modern("a"), b.join("bob").modern("b")
		ann.later(bob.key, "x", map[string]any{"cron": "* * * * *"})
		ann.ask("ack", map[string]any{"type": "leave_mesh"})
		pass(time.Hour)
		bob.undue()
	})
}
