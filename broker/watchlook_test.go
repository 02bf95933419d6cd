package broker

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// A look may find that its watch rests in the moment in which the member returns
// and the watch is to go on.
func TestAWatchThatIsDueDuringItsLookIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	p, w := &pollers{}, &watch{memberID: "ann"}
	p.waiting = append(p.waiting, w)
	if got, _ := p.next(); got != w {
		t.Fatal("it is not looked at")
	}
	p.mu.Lock()
	full := p.running
	p.mu.Unlock()
	for range maxPolls { // so that none begins
		full[&watch{}] = func() {}
	}
	p.add(w)
	p.add(w)
	if len(p.waiting) != 0 {
		t.Error("it waits while it is looked at")
	}
	p.done(w)
	if len(p.waiting) != 1 {
		t.Errorf("%d looks wait after the one that was under way", len(p.waiting))
	}
	p.waiting, p.running[w] = nil, func() {}
	p.add(w)
	p.remove(w)
	p.done(w)
	if len(p.waiting) != 0 {
		t.Error("a watch that has ended is looked at again")
	}
}

func TestFailuresOfAWatchAreTold(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		s := b.site(says("one"))
		a := b.join("ann").modern("a")
		a.watch(map[string]any{"interval": 60})
		pass(time.Second)
		s.does(answers(503))
		pass(8 * 66 * time.Second)
		if push, _ := a.triggered(); push != nil {
			t.Errorf("told too early: %v", push)
		}
		pass(4 * time.Minute)
		if push, _ := a.triggered(); push == nil {
			t.Error("not told")
		}
		w := a.watches()[0]
		if w["lastError"] != "the server answered 503" || w["failures"].(float64) < 10 || w["lastValue"] == "" {
			t.Errorf("listed: %v", w)
		}
		s.seen()
		pass(24 * time.Hour)
		if n := s.seen(); n > 30 {
			t.Errorf("%d looks at what fails, in a day", n)
		}
		s.shows("one")
		pass(66 * time.Minute)
		_, data := a.triggered()
		if data == nil || data["oldValue"] != "error: the server answered 503" || data["newValue"] != w["lastValue"] {
			t.Errorf("on recovery: %v", data)
		}
		s.seen()
		pass(10 * time.Minute)
		if n := s.seen(); n < 9 {
			t.Errorf("%d looks in the ten minutes after", n)
		}
		_, at := b.scrape()
		failures, looks := number(at["broker_watch_failures_total"]), number(at["broker_watch_looks_total"])
		if failures < 10 || looks < failures+10 || at["broker_watch_triggers_total"] != "2" {
			t.Errorf("counted: %v looks, %v failures, %s messages", looks, failures, at["broker_watch_triggers_total"])
		}
	})
}

func TestOneNoticeOfFailures(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		b.site(answers(500))
		a := b.join("ann").modern("a")
		a.watch(map[string]any{"interval": 5})
		pass(4 * time.Hour)
		_, data := a.triggered() // fails if there are two
		if data == nil || data["failing"] != true || data["oldValue"] != "" || data["newValue"] != "error: the server answered 500" {
			t.Errorf("told %v", data)
		}
	})
}

func TestUnchangedPagesAreNotSentAgain(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		var tags []string
		page := func(tag, body string) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				tags = append(tags, r.Header.Get("If-None-Match")+" "+r.Header.Get("If-Modified-Since"))
				w.Header().Set("ETag", tag)
				w.Header().Set("Last-Modified", "Mon, 01 Jan 2001 00:00:00 GMT")
				if r.Header.Get("If-None-Match") == tag {
					w.WriteHeader(http.StatusNotModified)
					return
				}
				fmt.Fprint(w, body)
			}
		}
		s := b.site(page(`"1"`, "one"))
		a := b.join("ann").modern("a")
		a.watch(nil)
		pass(40 * time.Second)
		if push, _ := a.triggered(); push != nil {
			t.Errorf("told %v", push)
		}
		s.does(page(`"2"`, "two"))
		pass(34 * time.Second)
		if push, _ := a.triggered(); push == nil {
			t.Error("not told of the change")
		}
		if want := `"1" Mon, 01 Jan 2001 00:00:00 GMT`; len(tags) < 3 || tags[0] != " " || tags[1] != want || tags[2] != want {
			t.Errorf("asked with %q", tags)
		}
	})
}

func TestALookIsOverInTime(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		drip := func(w http.ResponseWriter, r *http.Request) { // slow loris
			for r.Context().Err() == nil {
				if _, err := fmt.Fprint(w, "x"); err != nil {
					return
				}
				w.(http.Flusher).Flush()
				select {
				case <-time.After(time.Second):
				case <-r.Context().Done():
				}
			}
		}
		b.site(drip)
		slow, quick := b.join("slow").modern("s"), b.join("quick").modern("q")
		for range 10 {
			slow.watch(map[string]any{"interval": 5})
		}
		quick.watch(map[string]any{"url": "http://site.example/quick", "mode": "status"})
		pass(time.Minute)
		if w := slow.watches()[0]; w["lastError"] != "no full answer within 10 s" {
			t.Errorf("slow: %v", w)
		}
		if w := quick.watches()[0]; w["lastValue"] != "200" {
			t.Errorf("others wait for it: %v", w)
		}
		b.srv.polls.mu.Lock()
		running := len(b.srv.polls.running)
		b.srv.polls.mu.Unlock()
		if running > maxMemberPolls {
			t.Errorf("%d looks of one member at a time", running)
		}
		start := time.Now()
		b.stop()
		if time.Since(start) > 5*time.Second {
			t.Error("the broker waits for looks when it stops")
		}
	})
}

func TestTheStatusIsSeenWithoutTheBody(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		s := b.site(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("If-None-Match") != "" {
				t.Error("a status is asked for conditionally")
			}
			w.Header().Set("ETag", `"1"`)
		})
		a := b.join("ann").modern("a")
		a.watch(map[string]any{"mode": "status"})
		pass(40 * time.Second)
		s.does(answers(503))
		pass(34 * time.Second)
		if _, data := a.triggered(); data == nil || data["oldValue"] != "200" || data["newValue"] != "503" {
			t.Errorf("told %v", data)
		}
		synctest.Wait()
	})
}

func TestPausesBetweenLooks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		interval, failures int
		after              time.Duration
		chance             float64
		want               time.Duration
	}{
		{30, 0, 0, 0, 30 * time.Second},
		{30, 10, 0, 0.5, 31500 * time.Millisecond},
		{30, 11, 0, 0, time.Minute},
		{30, 14, 0, 0, 8 * time.Minute},
		{30, 1_000_000, 0, 0, time.Hour},
		{86400, 50, 0, 0, 24 * time.Hour},
		{30, 1, 5 * time.Minute, 0, 5 * time.Minute},
	} {
		if got := pause(c.interval, c.failures, c.after, c.chance); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
