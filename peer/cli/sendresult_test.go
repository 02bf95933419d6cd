package cli

import (
	"errors"
	"strings"
	"testing"

	"claudemesh/peer"
	"claudemesh/wire"
)

func TestEveryOutcomeOfASendHasPlainWords(t *testing.T) {
	key := strings.Repeat("ab", 32)
	toBob := peer.Resolved{Text: "bob", Target: wire.Target{Kind: wire.ToKey, Name: key}, Name: "Bob"}
	toTeam := peer.Resolved{Text: "@team", Target: wire.Target{Kind: wire.ToGroup, Name: "team"}}
	ack := func(o wire.Outcome, sent, held, queued, full int) wire.Ack {
		return wire.Ack{MessageID: "m1", Outcome: o, Recipients: &wire.OutcomeCounts{Sent: sent, Held: held, Queued: queued, Full: full}}
	}
	for _, c := range []struct {
		to   peer.Resolved
		ack  wire.Ack
		ok   bool
		want string
	}{
		{toBob, ack(wire.Sent, 1, 0, 0, 0), true, "✓ sent to Bob, id m1"},
		{toBob, ack(wire.Held, 0, 1, 0, 0), true, "✓ held: Bob is busy and gets it when idle, id m1"},
		{toBob, ack(wire.Queued, 0, 0, 1, 0), true, "✓ queued: Bob is offline and gets it on its return, id m1"},
		{toTeam, ack(wire.ToNobody, 0, 0, 0, 0), false, "✗ nobody is in @team now"},
		{toTeam, ack(wire.Sent, 2, 1, 3, 1), true, "✓ @team: sent to 2, held for 1 who is busy, queued for 3 who are offline, not for 1 whose mailbox is full"},
		{toTeam, ack(wire.Queued, 0, 2, 1, 0), true, "✓ @team: held for 2 who are busy, queued for 1 who is offline"},
		{toTeam, ack(wire.Queued, 0, 0, 0, 2), false, "✗ @team: not for 2 whose mailboxes are full"},
		{toBob, wire.Ack{MessageID: "m1", Outcome: wire.Sent, Duplicate: true}, true, "✓ accepted before under this --id: sent to Bob"},
	} {
		f := newFixture(t)
		f.fill()
		s := newSent(c.to)
		s.accept(&c.ack)
		s.print(&f.Env)
		if s.OK != c.ok || !strings.HasPrefix(f.stdout.String(), c.want) {
			t.Errorf("ok %v, %q; want %v, %q", s.OK, &f.stdout, c.ok, c.want)
		}
	}
	f := newFixture(t)
	f.fill()
	s := newSent(peer.Resolved{Text: "bob", Err: wire.Errorf(wire.Ambiguous, "fits 2")})
	s.print(&f.Env)
	if s.OK || f.stdout.String() != "✗ not sent to bob: fits 2\n" || s.Error.Code != wire.Ambiguous {
		t.Errorf("%q, %+v", &f.stdout, s.Error)
	}
	if s.fail(errors.New("lost")); s.Error.Code != codeFailed {
		t.Errorf("%+v", s.Error)
	}
}

func TestWaitingSaysHowFarAMessageCame(t *testing.T) {
	for state, want := range map[wire.DeliveryState]string{
		wire.StateQueued:    "not yet: it waits for bob; it stays on its way",
		wire.StateLeased:    "not yet: it was handed to bob, who has not confirmed it; it stays on its way",
		wire.StateDelivered: "not yet: bob has it but has not seen it; it stays on its way",
		wire.StateExpired:   "not yet: it was given up: bob did not come for it",
	} {
		s := &sentJSON{Target: "bob", MessageID: "m1", State: state}
		if got := s.describe(); got != want {
			t.Errorf("%s: %q, want %q", state, got, want)
		}
	}
	s := &sentJSON{Target: "@team", To: "@team", OK: true, State: wire.StateSeen}
	if got := s.describe(); got != "seen by everyone in @team" {
		t.Errorf("%q", got)
	}
}
