package simulate

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"claudemesh/peer"
	"claudemesh/peer/bench"
	"claudemesh/wire"
)

// A Verdict is an expectation with what came of it.
type Verdict struct {
	Name  string `json:"name"`  // of the expectation
	OK    bool   `json:"ok"`    // it was met
	Found string `json:"found"` // what was the case
}

// What is asked of the broker at the end is bounded, the more so after an
// interrupt.
const (
	verifyWithin  = time.Minute
	verifyBriefly = 3 * time.Second
)

// verify asks the broker what became of the messages and of the state, so that
// nothing is reported that only the personas believe.
func (r *run) verify(ctx context.Context) {
	within := verifyWithin
	if ctx.Err() != nil {
		within = verifyBriefly
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	for _, a := range r.cast {
		if client := a.conn.Load(); client != nil && client.State() == peer.StateOpen {
			_ = client.Flush(ctx) // what is not told now shows as not seen
		}
	}
	if err := r.verifyState(ctx); err != nil {
		r.note("the state could not be read at the end: %v", err)
	}
	for _, m := range r.ledger.messages() {
		if from := r.byName[m.from]; m.id != "" && !r.ask(ctx, from, m) {
			r.note("the broker could not be asked what became of each message")
			return
		}
	}
}

// verifyState has somebody who is there read the state.
func (r *run) verifyState(ctx context.Context) error {
	for _, a := range r.cast {
		if client := a.conn.Load(); client != nil && client.State() == peer.StateOpen {
			return r.readState(ctx, client)
		}
	}
	return peer.ErrNotConnected
}

// ask has the sender of a message ask for its status.
func (r *run) ask(ctx context.Context, from *actor, m *message) bool {
	client := from.conn.Load()
	if client == nil {
		return true
	}
	status, err := peer.Call(ctx, client, wire.GetMessageStatus{MessageID: m.id})
	if _, refused := errors.AsType[*wire.Error](err); err != nil {
		return refused
	}
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	for _, rs := range status.Recipients {
		if to := cmp.Or(r.byAddress[rs.Pubkey], r.byMember[rs.Pubkey]); to != nil && m.deliveries[to.name] != nil {
			m.deliveries[to.name].state = rs.State
		}
	}
	return true
}

// judge holds the run to one expectation.
func (r *run) judge(e *Expectation, all []*message, t *Totals, state map[string]wire.Value) Verdict {
	ok, found := false, ""
	switch {
	case e.Delivered != "":
		ok = t.Missing == 0 && t.Twice == 0 && t.Refused == 0 && t.Strange == 0
		found = fmt.Sprintf("%d of %d delivered, %d missing, %d twice, %d refused, %d to the wrong one", t.Delivered, t.Expected, t.Missing, t.Twice, t.Refused, t.Strange)
	case e.Seen != "":
		ok = t.Seen == t.Expected && t.Refused == 0
		found = fmt.Sprintf("%d of %d seen", t.Seen, t.Expected)
	case e.Messages != nil:
		n := r.count(&e.Messages.Match, all)
		ok = (e.Messages.Min == nil || n >= *e.Messages.Min) && (e.Messages.Max == nil || n <= *e.Messages.Max)
		found = fmt.Sprintf("%d messages, wanted %s", n, bounds(e.Messages.Min, e.Messages.Max))
	case e.Latency != nil:
		ok, found = e.Latency.judge(all)
	case e.Order != nil:
		ok, found = r.inOrder(e.Order, all)
	case e.Reply != nil:
		ok, found = r.replied(e.Reply, all)
	case e.State != nil:
		want, err := valueOf(e.State.Is)
		got, set := state[e.State.Key]
		ok = err == nil && set && bytes.Equal(want, got)
		if found = "it is not set"; set {
			found = "it is " + wire.Shorten(got.String(), 200)
		}
	case e.Runs != nil:
		ok, found = r.ranAs(e.Runs)
	}
	return Verdict{e.Name, ok, found}
}

func bounds(low, high *int) string {
	switch {
	case low == nil:
		return fmt.Sprintf("at most %d", *high)
	case high == nil:
		return fmt.Sprintf("at least %d", *low)
	case *low == *high:
		return fmt.Sprintf("%d", *low)
	}
	return fmt.Sprintf("%d to %d", *low, *high)
}

// fits reports whether a message that the broker took is described by a match.
func (r *run) fits(m *message, w *Match) bool {
	if m.id == "" || w.From != "" && !r.is(m.from, w.From) || w.Text != nil && !w.Text.re.MatchString(m.text) {
		return false
	}
	return w.To == "" || m.to == w.To || m.deliveries[w.To] != nil
}

func (r *run) count(w *Match, all []*message) (n int) {
	for _, m := range all {
		if r.fits(m, w) {
			n++
		}
	}
	return n
}

// judge compares the measured latencies with the bounds.
func (l *Latency) judge(all []*message) (bool, string) {
	times := latencies(all, l.Of)
	if len(times) == 0 {
		return false, "nothing was measured"
	}
	ok := true
	for _, q := range []struct {
		bound Span
		share float64
	}{{l.P50, 0.50}, {l.P95, 0.95}, {l.P99, 0.99}, {l.Max, 1}} {
		ok = ok && (q.bound == 0 || bench.Quantile(times, q.share) <= time.Duration(q.bound))
	}
	return ok, quantiles(times).String()
}

// inOrder looks for messages that fit one after the other. Messages are in order
// by when they left, which is known to the one process that sends them all.
func (r *run) inOrder(want []Match, all []*message) (bool, string) {
	next := 0
	var after time.Time
	for next < len(want) {
		var first *message
		for _, m := range all {
			if r.fits(m, &want[next]) && m.sent.After(after) && (first == nil || m.sent.Before(first.sent)) {
				first = m
			}
		}
		if first == nil {
			return false, fmt.Sprintf("no message%s after the %d before it", want[next].describe(), next)
		}
		after = first.sent
		next++
	}
	return true, fmt.Sprintf("all %d in order", next)
}

// replied looks for the answer to each message that wants one.
func (r *run) replied(w *Reply, all []*message) (bool, string) {
	answers := make(map[string][]*message)
	for _, m := range all {
		if m.replyTo != "" && m.id != "" && (w.From == "" || r.is(m.from, w.From)) {
			answers[m.replyTo] = append(answers[m.replyTo], m)
		}
	}
	asked, late, never := 0, 0, 0
	for _, m := range all {
		if !r.fits(m, &w.To) {
			continue
		}
		asked++
		switch as := answers[m.id]; {
		case len(as) == 0:
			never++
		case as[0].minute-m.minute > w.Within:
			late++
		}
	}
	return asked > 0 && late+never == 0, fmt.Sprintf("of %d messages %d were answered in time, %d later and %d never", asked, asked-late-never, late, never)
}

func (r *run) ranAs(w *Runs) (bool, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, failed, why := 0, 0, ""
	for _, run := range r.runs {
		if w.Of != "" && !r.is(run.Persona, w.Of) {
			continue
		}
		if n++; run.Failure != "" {
			failed++
			why = ", the last because " + run.Failure
		}
	}
	ok := (w.Min == nil || n >= *w.Min) && (w.Failed == nil || failed <= *w.Failed)
	return ok, fmt.Sprintf("%d runs, of which %d failed%s", n, failed, why)
}
