package broker

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

// publishes sends entries without an answer, as older clients do.
func (p *testPeer) publishes(stream string, data ...any) {
	p.t.Helper()
	for _, d := range data {
		p.say(map[string]any{"type": "publish", "stream": stream, "data": d})
	}
}

// entries returns what has come of streams, and lets nothing else count.
func (p *testPeer) entries() string {
	p.t.Helper()
	var all []string
	for _, f := range p.news() {
		if f["type"] == "stream_data" {
			all = append(all, fmt.Sprintf("%v:%v=%s", f["stream"], f["seq"], must(json.Marshal(f["data"]))))
		}
	}
	return strings.Join(all, " ")
}

func subscribeTo(stream string, from ...int) map[string]any {
	f := map[string]any{"type": "subscribe", "stream": stream}
	if len(from) > 0 {
		f["from"] = from[0]
	}
	return f
}

func TestOldClientsPublishAndSubscribeWithoutCreating(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	p, s := b.join("pub").old("p"), b.join("sub").old("s")
	s.say(subscribeTo("news"))
	if f := s.expect("subscribed"); f["stream"] != "news" || len(f) != 2 {
		t.Errorf("answer %v", f)
	}
	s.say(subscribeTo("news")) // twice counts once
	s.expect("subscribed")
	p.say(subscribeTo("news"))
	p.expect("subscribed")
	p.publishes("news", map[string]any{"a": 1}, nil)
	if f := s.expect("stream_data"); f["stream"] != "news" || f["publishedBy"] != "pub" || !equalJSON(f["data"], map[string]any{"a": 1}) || f["_reqId"] != nil {
		t.Errorf("got %v", f)
	}
	if f := s.expect("stream_data"); f["data"] != nil {
		t.Errorf("null came as %v", f)
	}
	if got := p.entries(); got != "" {
		t.Errorf("the publisher gets its own: %s", got)
	}
	p.publishes("other", 1)
	s.say(map[string]any{"type": "unsubscribe", "stream": "news"})
	s.ask("stream_list", map[string]any{"type": "list_streams"}) // both connections are served one after the other
	p.publishes("news", "late")
	p.ask("mesh_info_result", map[string]any{"type": "mesh_info"})
	if got := s.entries(); got != "" {
		t.Errorf("after the end of its subscription it gets %s", got)
	}
	for _, f := range s.backlog {
		if f["type"] == "ack" {
			t.Errorf("what has no _reqId was answered: %v", f)
		}
	}
}

func TestCreatingAStreamAgainFindsIt(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	a, c := b.join("ann").old("a"), b.join("bob").old("b")
	first := a.ask("stream_created", map[string]any{"type": "create_stream", "name": "builds", "keep": 3})
	again := c.ask("stream_created", map[string]any{"type": "create_stream", "name": "builds", "keep": 7})
	if first["id"] == "" || first["id"] != again["id"] || first["name"] != "builds" || again["keep"] != 3.0 || first["existed"] != nil || again["existed"] != true {
		t.Errorf("%v, then %v", first, again)
	}
	c.publishes("implied", 1)
	c.ask("subscribed", subscribeTo("builds"))
	list := c.ask("stream_list", map[string]any{"type": "list_streams"})["streams"].([]any)
	if len(list) != 2 {
		t.Fatalf("%v", list)
	}
	one, two := list[0].(map[string]any), list[1].(map[string]any)
	if one["name"] != "builds" || one["createdBy"] != "ann" || one["subscriberCount"] != 1.0 || one["subscribed"] != true || one["id"] != first["id"] || one["keep"] != 3.0 {
		t.Errorf("%v", one)
	}
	if two["name"] != "implied" || two["createdBy"] != "bob" || two["subscriberCount"] != 0.0 || two["last"] != 1.0 || two["keep"] != float64(wire.KeepEntries) {
		t.Errorf("%v", two)
	}
	if info := a.ask("mesh_info_result", map[string]any{"type": "mesh_info"}); !equalJSON(info["streams"], []any{"builds", "implied"}) {
		t.Errorf("mesh_info has %v", info["streams"])
	}
}

func TestWhatWasMissedCanBeFetched(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	p, s := b.join("pub").modern("p"), b.join("sub").modern("s")
	p.ask("stream_created", map[string]any{"type": "create_stream", "name": "log", "keep": 4})
	for i := range 6 {
		if ack := p.ask("ack", map[string]any{"type": "publish", "stream": "log", "data": i}); ack["seq"] != float64(i+1) || ack["id"] != ack["_reqId"] {
			t.Errorf("entry %d: %v", i, ack)
		}
	}
	for _, c := range []struct {
		from int
		want string
	}{{0, "[3 4 5 6]"}, {5, "[5 6]"}, {6, "[6]"}, {7, "[]"}, {-1, "[3 4 5 6]"}} {
		f := s.ask("subscribed", subscribeTo("log", c.from))
		seqs := []any{}
		entries, _ := f["entries"].([]any)
		for _, e := range entries {
			seqs = append(seqs, e.(map[string]any)["seq"])
		}
		if fmt.Sprint(seqs) != c.want || f["first"] != 3.0 || f["last"] != 6.0 || f["more"] != nil {
			t.Errorf("from %d: %v", c.from, f)
		}
	}
	ack := p.ask("ack", map[string]any{"type": "publish", "stream": "log", "data": "live"})
	if !equalJSON(ack["recipients"], map[string]any{"sent": 1, "held": 0, "queued": 0}) {
		t.Errorf("ack %v", ack)
	}
	if got := s.entries(); got != `log:7="live"` {
		t.Errorf("got %s", got)
	}
}

func TestMoreThanAFrameHoldsComesByPages(t *testing.T) {
	t.Parallel()
	b := newBroker(t, func(c *Config) { c.MaxFrame = wire.MaxFrameBytes })
	p, s := b.join("pub").modern("p"), b.join("sub").modern("s")
	text := strings.Repeat("<", 40<<10) // six times as long once it is escaped
	for range 4 {
		p.ask("ack", map[string]any{"type": "publish", "stream": "log", "data": text})
	}
	from, pages := 1, 0
	for more := true; more; pages++ {
		f := s.ask("subscribed", subscribeTo("log", from))
		if n := len(must(json.Marshal(f))); n > wire.MaxFrameBytes {
			t.Errorf("a page has %d bytes", n)
		}
		for _, e := range f["entries"].([]any) {
			if e.(map[string]any)["seq"] != float64(from) {
				t.Fatalf("entry %v, want %d", e.(map[string]any)["seq"], from)
			}
			from++
		}
		more, _ = f["more"].(bool)
	}
	if from != 5 || pages < 2 {
		t.Errorf("%d entries in %d pages", from-1, pages)
	}
}

func TestSubscriptionsLastAsLongAsThePresence(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		p := b.join("pub").modern("p")
		sub, key := b.join("sub"), must(seal.Generate())
		connect := func() *testPeer { return b.connect(sub.keyed(sub.hello("s"), key)) }
		count := func() any {
			p.ask("ack", map[string]any{"type": "publish", "stream": "s", "data": 0})
			return p.ask("stream_list", map[string]any{"type": "list_streams"})["streams"].([]any)[0].(map[string]any)["subscriberCount"]
		}
		s := connect()
		s.ask("subscribed", subscribeTo("s"))
		if n := count(); n != 1.0 {
			t.Errorf("%v subscribers", n)
		}
		s.drop()
		pass(time.Minute) // within the grace
		if n := count(); n != 1.0 {
			t.Errorf("%v subscribers in the grace", n)
		}
		s = connect()
		count()
		if got := s.entries(); got != "s:3=0" {
			t.Errorf("after a lost connection it gets %s", got)
		}
		newer := connect()
		count()
		if got := newer.entries(); got != "s:4=0" {
			t.Errorf("the newer connection gets %s", got)
		}
		newer.drop()
		pass(time.Hour)
		if n := count(); n != 0.0 {
			t.Errorf("%v subscribers after the grace", n)
		}
		back := connect()
		count()
		if got := back.entries(); got != "" {
			t.Errorf("after its presence ended it gets %s", got)
		}
	})
}

func TestSubscriptionsSurviveARestart(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	sub, key := b.join("sub"), must(seal.Generate())
	connect := func() *testPeer { return b.connect(sub.keyed(sub.hello("s"), key)) }
	s, old := connect(), b.join("old").old("o")
	pub := b.join("pub")
	p := pub.modern("p")
	s.ask("subscribed", subscribeTo("kept"))
	s.ask("subscribed", subscribeTo("ended"))
	s.ask("ack", map[string]any{"type": "unsubscribe", "stream": "ended"})
	old.ask("subscribed", subscribeTo("kept"))
	p.ask("ack", map[string]any{"type": "publish", "stream": "kept", "data": "before"})
	b.restart()
	p, s = pub.modern("p2"), connect()
	p.ask("ack", map[string]any{"type": "publish", "stream": "ended", "data": "not for it"})
	ack := p.ask("ack", map[string]any{"type": "publish", "stream": "kept", "data": "after"})
	if got := s.entries(); got != `kept:2="after"` || ack["recipients"].(map[string]any)["sent"] != 1.0 {
		t.Errorf("got %s, ack %v", got, ack)
	}
	f := s.ask("subscribed", subscribeTo("kept", 1))
	if entries := f["entries"].([]any); len(entries) != 2 || entries[0].(map[string]any)["data"] != "before" {
		t.Errorf("kept is %v", f)
	}
}

func TestSubscriptionsOfOthersEndWithTheirConnection(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		p, alice := b.join("pub").modern("p"), b.join("alice")
		list := func() map[string]any {
			return p.ask("stream_list", map[string]any{"type": "list_streams"})["streams"].([]any)[0].(map[string]any)
		}
		p.ask("stream_created", map[string]any{"type": "create_stream", "name": "s"})
		for name, connect := range map[string]func() *testPeer{
			"an old client": func() *testPeer { return alice.old("a") }, "a command": func() *testPeer { return alice.command(false) },
		} {
			c := connect()
			c.ask("subscribed", subscribeTo("s"))
			p.ask("ack", map[string]any{"type": "publish", "stream": "s", "data": name})
			if got := c.entries(); !strings.HasSuffix(got, `"`+name+`"`) {
				t.Errorf("%s gets %s", name, got)
			}
			c.drop()
			pass(time.Second)
			if n := list()["subscriberCount"]; n != 0.0 {
				t.Errorf("%s leaves %v subscribers", name, n)
			}
		}
	})
}

func TestWhoPublishesDoesNotGetItAndOtherCommandsDo(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		alice, key := b.join("alice"), must(seal.Generate())
		session := b.connect(alice.keyed(alice.hello("a"), key))
		watching := alice.command(false)
		for _, p := range []*testPeer{session, watching} {
			p.ask("subscribed", subscribeTo("s"))
		}
		alice.commandOf(key, false).ask("ack", map[string]any{"type": "publish", "stream": "s", "data": "from the session"})
		if got := session.entries(); got != "" {
			t.Errorf("the session gets what a command in it has published: %s", got)
		}
		alice.command(false).ask("ack", map[string]any{"type": "publish", "stream": "s", "data": "from a shell"})
		if got := watching.entries(); got != `s:1="from the session" s:2="from a shell"` {
			t.Errorf("a command beside it gets %s", got)
		}
	})
}

func TestASubscriberThatIsSlowMissesTheOldestAndSeesIt(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		p, sub := b.join("pub").modern("p"), b.join("sub")
		b.bubble = false // this one reads when it is told to, and its pipe holds nothing
		s := sub.modern("s")
		b.bubble = true
		s.ask("subscribed", subscribeTo("s"))
		const sent = 40
		for i := range sent {
			p.ask("ack", map[string]any{"type": "publish", "stream": "s", "data": i})
		}
		var last, missed float64
		for last < sent {
			f := s.expect("stream_data")
			missed += f["seq"].(float64) - last - 1
			last = f["seq"].(float64)
		}
		if missed == 0 {
			t.Error("nothing was dropped")
		}
		_, samples := b.scrape()
		if n := samples[`broker_drops_total{reason="stream_data"}`]; n != fmt.Sprint(missed) {
			t.Errorf("%g missed, and %s counted", missed, n)
		}
		if f := s.ask("subscribed", subscribeTo("s", int(last))); f["last"] != float64(sent) {
			t.Errorf("it cannot fetch: %v", f)
		}
	}, func(c *Config) { c.QueueFrames = 8 })
}

func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	p := b.join("pub").modern("p")
	for i := range wire.MaxSubscriptions {
		p.ask("subscribed", subscribeTo(fmt.Sprint(i)))
	}
	for name, c := range map[string]struct {
		frame map[string]any
		code  string
	}{
		"one subscription too many": {subscribeTo("more"), "limit"},
		"no name":                   {subscribeTo(""), "bad_request"},
		"a long name":               {map[string]any{"type": "create_stream", "name": strings.Repeat("x", wire.MaxStreamName+1)}, "too_large"},
		"a control character":       {map[string]any{"type": "publish", "stream": "a\nb", "data": 1}, "bad_request"},
		"no data":                   {map[string]any{"type": "publish", "stream": "a"}, "bad_request"},
		"too much is kept":          {map[string]any{"type": "create_stream", "name": "a", "keep": wire.MaxKeep + 1}, "bad_request"},
		"less than nothing is kept": {map[string]any{"type": "create_stream", "name": "a", "keep": -1}, "bad_request"},
		"deleting what is not":      {map[string]any{"type": "delete_stream", "name": "a"}, "not_found"},
	} {
		if f := p.askAny(c.frame); f["type"] != "error" || f["code"] != c.code {
			t.Errorf("%s: %v, want %s", name, f, c.code)
		}
	}
}
