package tools

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"claudemesh/peer"
)

// channeled is a mailbox with a channel, whose notifications are in out.
func channeled(c channel) (b *mailbox, w *ways, out *bytes.Buffer) {
	b, w = pushing("push", nil, slog.New(slog.DiscardHandler))
	out = new(bytes.Buffer)
	c.open, c.since = true, time.Now()
	w.link.out, w.channel = out, c
	return b, w, out
}

func TestChannelComesFirstAndTheNextWayAfterTwentySeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, w, out := channeled(channel{first: true})
		b.arrive("m1", "hello")
		w.pushChannel()
		w.pushChannel()
		if strings.Count(out.String(), "hello") != 1 {
			t.Fatalf("the channel got %q", out)
		}
		time.Sleep(confirmTime - time.Millisecond)
		for _, way := range []string{peer.WayWake, peer.WayHook, peer.WayStop, peer.WayNative, peer.WayDigest, peer.WayWatch} {
			if a := b.by(way); !a.Empty() {
				t.Errorf("%s got it too, before the channel's time was over", way)
			}
		}
		time.Sleep(time.Millisecond)
		a := b.by(peer.WayWake)
		if len(a.Records) != 1 || !a.Records[0].Again || !strings.Contains(a.Text, "may have been shown this before") || len(b.seen) != 0 {
			t.Errorf("after 20 s the next way got %+v, seen %v", a, b.seen)
		}
		w.pushChannel()
		if strings.Count(out.String(), "hello") != 1 {
			t.Errorf("the channel got it again: %q", out)
		}
	})
}

func TestChannelThatNobodyKnowsLeavesMailToOtherWays(t *testing.T) {
	for _, c := range []struct {
		name  string
		other func(*mailbox, *ways)
	}{
		{"a waiter has come", func(b *mailbox, _ *ways) { b.by(peer.WayWake) }},
		{"a hook has asked", func(b *mailbox, _ *ways) { b.by(peer.WayHook) }},
		{"watch runs", func(b *mailbox, _ *ways) { b.count(peer.WayWatch, 1) }},
		{"the messaging socket", func(_ *mailbox, w *ways) { w.native = new(native) }},
	} {
		synctest.Test(t, func(t *testing.T) {
			b, w, out := channeled(channel{})
			c.other(b, w)
			time.Sleep(time.Minute)
			b.arrive("m1", "hello")
			w.pushChannel()
			if out.Len() > 0 {
				t.Errorf("%s: the channel got %q", c.name, out)
			}
			if a := b.by(peer.WayHook); len(a.Records) != 1 || a.Records[0].Again {
				t.Errorf("%s: the next hook got %+v", c.name, a)
			}
		})
	}
}

func TestChannelIsUsedWhereNothingElseIsAndProvenByAReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, w, out := channeled(channel{})
		b.arrive("m1", "hello")
		w.pushChannel()
		if out.Len() > 0 {
			t.Errorf("before the others had time to come: %q", out)
		}
		time.Sleep(channelPatience)
		w.pushChannel()
		if !strings.Contains(out.String(), "hello") {
			t.Fatal("the only way was not used")
		}
		b.by(peer.WayHook) // there are hooks, after all
		b.answered("m1")
		if len(b.seen) != 1 {
			t.Errorf("seen after the answer: %v", b.seen)
		}
		b.arrive("m2", "and another")
		w.pushChannel()
		if !strings.Contains(out.String(), "and another") {
			t.Error("a channel that was proven is not used")
		}
	})
}

func TestReplyToMailThatAnotherWayHadTooProvesNoChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, w, out := channeled(channel{first: true})
		b.arrive("m1", "hello")
		w.pushChannel()
		time.Sleep(confirmTime)
		b.by(peer.WayWake)
		w.channel.first = false
		b.answered("m1")
		b.arrive("m2", "and another")
		out.Reset()
		if w.pushChannel(); out.Len() > 0 {
			t.Errorf("%q", out)
		}
	})
}

func TestFlagOfTheHostNamesTheChannel(t *testing.T) {
	for line, want := range map[string]bool{
		"claude --dangerously-load-development-channels server:claudemesh --session-id x": true,
		"claude --channels server:other server:claudemesh":                                true,
		"claude --channels=server:claudemesh hi":                                          true,
		"claude --channels server:other --resume server:claudemesh":                       false,
		"claude -p server:claudemesh":                                                     false,
		"claude -- --channels server:claudemesh":                                          false,
		"":                                                                                false,
	} {
		if got := namesChannel(strings.Fields(line)); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}

func TestChannelIsOpenWhereTheHostWasStartedWithIt(t *testing.T) {
	with, without := []string{"claude", "--channels", "server:claudemesh"}, []string{"claude"}
	for _, c := range []struct {
		name               string
		host, said, launch string
		line               []string
		open, first        bool
	}{
		{"the command line says it", "1", "", "", with, true, false},
		{"the command line does not", "1", "", "", without, false, false},
		{"a session within a launched one", "1", "", "1", without, false, false},
		{"the line cannot be seen, launch says it", "1", "", "1", nil, true, false},
		{"the line cannot be seen", "1", "", "", nil, false, false},
		{"another host", "", "", "1", nil, false, false},
		{"the user says it", "", "1", "", without, true, false},
		{"the user knows that it works", "", "first", "", nil, true, true},
		{"the user closes it", "1", "off", "1", with, false, false},
	} {
		env := map[string]string{"CLAUDECODE": c.host, "CLAUDEMESH_CHANNEL": c.said, peer.LaunchedWithChannel: c.launch}
		if got := newChannel(func(name string) string { return env[name] }, c.line); got.open != c.open || got.first != c.first {
			t.Errorf("%s: open %v, first %v", c.name, got.open, got.first)
		}
	}
}
