package tools

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"claudemesh/peer"
)

func change(i int) news {
	return news{kind: "state_change", text: fmt.Sprintf("[state] key%d = 1 (set by ann)", i), plural: "state changes", look: "list_state", data: true, keep: true}
}

// told is what a model is shown of ten state changes, by the channel if it works
// and by the next hook.
func told(t *testing.T, mode string, works bool) (byChannel, byHook string) {
	t.Helper()
	b, w, out := channeled(channel{first: works})
	b.setMode(mode)
	close(w.link.initialized)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.hub.tellCounts(ctx) }()
	for i := range 10 {
		w.hub.tell(b.mesh, change(i))
	}
	synctest.Wait()
	time.Sleep(newsWindow)
	synctest.Wait()
	cancel()
	<-done
	return out.String(), b.by(peer.WayHook).Text
}

func TestManyNewsAreCounted(t *testing.T) {
	for _, c := range []struct {
		mode    string
		singles int
		summary string
	}{
		{"push", newsShown, "5 more state changes: list_state"},
		{"inbox", 0, "10 state changes: list_state"},
		{"off", 0, ""},
	} {
		for _, works := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				byChannel, byHook := told(t, c.mode, works)
				text := byHook
				if works {
					text = byChannel
					if byHook != "" {
						t.Errorf("%s: told twice: %q", c.mode, byHook)
					}
				}
				if n := strings.Count(text, "(set by ann)"); n != c.singles || !strings.Contains(text, c.summary) || c.summary == "" && text != "" {
					t.Errorf("%s, channel works %v: %d one by one in %q", c.mode, works, n, text)
				}
			})
		}
	}
}

func TestNewsStartNoTurn(t *testing.T) {
	b, w := pushing("push", nil, nil)
	w.hub.tell(b.mesh, change(1))
	for _, way := range []string{peer.WayWake, peer.WayNative} {
		if a := b.by(way); !a.Empty() {
			t.Errorf("%s: %q", way, a.Text)
		}
	}
	b.arrive("m1", "hello")
	if a := b.by(peer.WayWake); !strings.Contains(a.Text, "key1") {
		t.Errorf("not told with mail: %q", a.Text)
	}
}

func TestWhatMustBeToldWaitsForTheModelToAsk(t *testing.T) {
	b, w := pushing("off", nil, nil)
	n := change(1)
	n.must = true
	w.hub.tell(b.mesh, n)
	if a := b.by(peer.WayHook); !a.Empty() {
		t.Errorf("off: %q", a.Text)
	}
	if a := b.by(peer.WayCheck); !strings.Contains(a.Text, "key1") {
		t.Errorf("check_messages: %q", a.Text)
	}
}
