//go:build linux || darwin

package tools

import (
	"os"
	"slices"
	"strings"
	"testing"

	"claudemesh/peer"
)

// startBox is a mailbox of a session whose start is remembered in a fresh
// runtime directory.
func startBox(t *testing.T) *mailbox {
	t.Helper()
	dir, err := os.MkdirTemp("", "cm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("XDG_RUNTIME_DIR", dir)
	return nextBox(t)
}

// nextBox is the mailbox of another process of that session.
func nextBox(t *testing.T) *mailbox {
	t.Helper()
	b := newMailbox("push")
	var err error
	if b.starts, err = peer.NewStartMail("one"); err != nil {
		t.Fatal(err)
	}
	return b
}

// open has the hook of a session's start give what there is.
func (b *mailbox) open(t *testing.T, host int) peer.MailAnswer {
	t.Helper()
	if err := b.began(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := b.take(peer.MailRequest{Way: peer.WayHook, Event: eventStart, HostPID: host})
	b.shown(peer.WayHook, ids(a.Records))
	return a
}

func (b *mailbox) wantSeen(t *testing.T, when string, want ...string) {
	t.Helper()
	if !slices.Equal(b.seen, want) {
		t.Errorf("%s seen are %q, want %q", when, b.seen, want)
	}
}

func TestMailOfAStartIsSeenWithASignOfATurn(t *testing.T) {
	for name, sign := range map[string]func(b *mailbox){
		"a prompt, or a tool that has run": func(b *mailbox) { b.turned(true) },
		"the end of a turn":                func(b *mailbox) { b.turned(false) },
		"a call of a tool":                 func(b *mailbox) { b.begun() },
	} {
		t.Run(name, func(t *testing.T) {
			b := startBox(t)
			b.arrive("m1", "hello")
			b.open(t, os.Getpid())
			for _, way := range []string{peer.WayWake, peer.WayHook, peer.WayDigest, peer.WayNative} {
				if a := b.by(way); a.Text != "" {
					t.Errorf("%s got it too: %q", way, a.Text)
				}
			}
			b.wantSeen(t, "before the first turn")
			b.arrive("m2", "hello again")
			sign(b)
			b.wantSeen(t, "with it", "m1")
		})
	}
}

func TestMailOfAStartThatNoTurnFollowedIsGivenAgain(t *testing.T) {
	for name, next := range map[string]func(t *testing.T, b *mailbox) *mailbox{
		"by the same process": func(_ *testing.T, b *mailbox) *mailbox { return b },
		"by another": func(t *testing.T, _ *mailbox) *mailbox {
			b := nextBox(t)
			b.arrive("m1", "hello")
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := startBox(t)
			b.arrive("m1", "hello")
			b.open(t, os.Getpid())
			b = next(t, b)
			a := b.open(t, os.Getpid())
			if len(a.Records) != 1 || !a.Records[0].Again || !strings.Contains(a.Text, "| hello") {
				t.Errorf("the next start has %+v", a)
			}
			b.wantSeen(t, "before the first turn")
			b.turned(true)
			b.wantSeen(t, "with it", "m1")
		})
	}
}

// TestNextProcessKnowsWhatTheStartGave has the hook of a start give mail in place
// of the session's process, which gets the same from the broker when it comes.
func TestNextProcessKnowsWhatTheStartGave(t *testing.T) {
	hook := startBox(t)
	hook.arrive("m1", "hello")
	early := nextBox(t)
	early.arrive("m1", "hello")
	hook.open(t, os.Getpid())
	late := nextBox(t)
	late.arrive("m1", "hello")
	for name, b := range map[string]*mailbox{"there before": early, "there after": late} {
		if a := b.by(peer.WayWake); a.Text != "" {
			t.Errorf("the process that was %s gave %q", name, a.Text)
		}
		b.wantSeen(t, name+":")
	}
	late.turned(true)
	late.wantSeen(t, "with the first turn", "m1")
	after := nextBox(t)
	after.arrive("m1", "hello")
	after.wantSeen(t, "when it comes after the turn", "m1")
	if a := after.by(peer.WayHook); a.Text != "" || after.unseen() != 0 {
		t.Errorf("given again: %q", a.Text)
	}
}

func TestMailOfAStartWhoseHostIsNotKnownIsSeenWhenItIsShown(t *testing.T) {
	b := startBox(t)
	b.arrive("m1", "hello")
	b.open(t, 0)
	b.wantSeen(t, "at once", "m1")
}

func TestWhoeverAsksGetsWhatTheStartGave(t *testing.T) {
	b := startBox(t)
	b.arrive("m1", "hello")
	b.open(t, os.Getpid())
	a := b.by(peer.WayInbox)
	if len(a.Records) != 1 || !a.Records[0].Again {
		t.Fatalf("%+v", a)
	}
	b.shown(peer.WayInbox, ids(a.Records))
	b.turned(true)
	b.wantSeen(t, "when it was read", "m1")
}
