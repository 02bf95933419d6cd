package simulate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"claudemesh/peer"
	"claudemesh/peer/bench"
	"claudemesh/wire"
)

// A Report is what a run did, and what came of its expectations.
type Report struct {
	Scenario    string         `json:"scenario"`              // its name
	Description string         `json:"description,omitempty"` // of the scenario
	OK          bool           `json:"ok"`                    // it came to its end, and all expectations were met
	Ended       string         `json:"ended,omitempty"`       // why it ended before its time
	Seed        uint64         `json:"seed"`                  // of all that was drawn
	Clock       string         `json:"clock"`                 // mesh or own
	Speed       float64        `json:"speed"`                 // simulated minutes in a minute
	Minutes     int            `json:"minutes"`               // simulated, that passed
	Duration    int            `json:"duration"`              // minutes that were planned
	StartedAt   wire.Time      `json:"startedAt"`             // when it began
	Seconds     float64        `json:"seconds"`               // that it took
	Broker      string         `json:"broker"`                // its own, or the mesh that was given
	Totals      Totals         `json:"totals"`                // what was sent and delivered
	Ack         Quantiles      `json:"ack"`                   // from sending until the message was on disk
	Push        Quantiles      `json:"push"`                  // from sending until a recipient had it who was there
	Expect      []Verdict      `json:"expect"`                // the expectations
	Personas    []PersonaLine  `json:"personas"`              // all of them
	Talk        []TalkLine     `json:"talk"`                  // who was heard by whom, the most first
	Timeline    []MinuteLine   `json:"timeline"`              // minute by minute
	State       []StateLine    `json:"state"`                 // keys that the run set or expected
	Runs        []CommandRun   `json:"runs"`                  // of commands
	Notes       []string       `json:"notes"`                 // what went otherwise than planned
	Messages    []MessageLine  `json:"messages"`              // the first 1000
	Latencies   []LatencyCount `json:"latencies"`             // how many deliveries took how long

	err error
}

// Totals count messages and their deliveries; one to a group has several.
type Totals struct {
	Sent      int   `json:"sent"`      // messages
	Acked     int   `json:"acked"`     // messages that the broker has on disk
	Refused   int   `json:"refused"`   // messages that it did not take, or never answered
	Expected  int   `json:"expected"`  // deliveries
	Delivered int   `json:"delivered"` // each counted once
	Missing   int   `json:"missing"`   // deliveries that did not come
	Twice     int   `json:"twice"`     // that came again
	Strange   int   `json:"strange"`   // came to somebody they were not for
	Seen      int   `json:"seen"`      // by what the broker says
	Skipped   int64 `json:"skipped"`   // not done because the persona was away
	Cut       int64 `json:"cut"`       // answers not sent because too many had gone before
}

// Quantiles are how measured times are spread, in microseconds.
type Quantiles struct {
	N   int     `json:"n"`   // how many were measured
	P50 float64 `json:"p50"` // microseconds
	P95 float64 `json:"p95"` // microseconds
	P99 float64 `json:"p99"` // microseconds
	Max float64 `json:"max"` // microseconds
}

// String writes them for people.
func (q Quantiles) String() string {
	if q.N == 0 {
		return "not measured"
	}
	return fmt.Sprintf("p50 %s, p95 %s, p99 %s, max %s", micros(q.P50), micros(q.P95), micros(q.P99), micros(q.Max))
}

func micros(us float64) string {
	switch {
	case us < 1000:
		return fmt.Sprintf("%.0f µs", us)
	case us < 1e6:
		return fmt.Sprintf("%.1f ms", us/1000)
	}
	return fmt.Sprintf("%.2f s", us/1e6)
}

// PersonaLine is what one persona did.
type PersonaLine struct {
	Name     string   `json:"name"`
	Role     string   `json:"role,omitempty"`
	Groups   []string `json:"groups,omitempty"`
	Command  bool     `json:"command,omitempty"` // a program answers for it
	Sent     int      `json:"sent"`              // messages
	Received int      `json:"received"`          // messages, each once
}

// TalkLine is how many messages came from one persona to another.
type TalkLine struct {
	From     string `json:"from"`     // the sender
	To       string `json:"to"`       // a recipient
	Messages int    `json:"messages"` // delivered
}

// MinuteLine is what happened in a simulated minute.
type MinuteLine struct {
	Minute    int     `json:"minute"`    // simulated
	Seconds   float64 `json:"seconds"`   // since the run began
	Sent      int     `json:"sent"`      // messages in it
	Delivered int     `json:"delivered"` // deliveries of them
	P50       float64 `json:"p50"`       // of push, in microseconds
	P99       float64 `json:"p99"`       // in microseconds
}

// StateLine is a key of the state that the run set, with its value at the end.
type StateLine struct {
	Key   string     `json:"key"`
	Value wire.Value `json:"value"`
	By    string     `json:"by"` // who set it last
}

// MessageLine is a message.
type MessageLine struct {
	Minute  int     `json:"minute"`            // to which it belongs
	From    string  `json:"from"`              // the sender
	To      string  `json:"to"`                // a persona, a @group or everyone
	Text    string  `json:"text"`              // its beginning
	Answers bool    `json:"answers,omitempty"` // another message
	Refused string  `json:"refused,omitempty"` // why the broker did not take it
	Micros  float64 `json:"micros"`            // until the last recipient had it; 0 if one has not
}

// LatencyCount is how many deliveries took up to so many microseconds, and
// longer than those of the count before.
type LatencyCount struct {
	UpTo  float64 `json:"upTo"`  // microseconds
	Count int     `json:"count"` // of deliveries
}

const (
	maxMessageLines = 1000
	maxTalkLines    = 2000
)

// report sums up a run that has ended, before its time if ended is not nil.
func (r *run) report(ended error) *Report {
	all := r.ledger.messages()
	rep := &Report{
		Scenario: r.Name, Description: r.Description, Seed: r.seed, Clock: r.Clock.Of, Speed: r.Clock.Speed,
		Minutes: max(0, int(r.minute.Load())), Duration: int(r.Duration), StartedAt: wire.Time(r.began), Seconds: time.Since(r.began).Seconds(),
		Broker: "its own", Totals: r.totals(all), Ack: quantiles(latencies(all, "ack")), Push: quantiles(latencies(all, "push")), err: ended,
		Latencies: histogram(latencies(all, "push")),
	}
	if r.opts.Broker.Own() == nil {
		rep.Broker = "the mesh " + r.mesh.Slug
	}
	if ended != nil {
		rep.Ended = ended.Error()
		if errors.Is(ended, context.Canceled) {
			rep.Ended = "it was interrupted"
		}
	}
	rep.OK = ended == nil
	state := make(map[string]wire.Value)
	for _, line := range r.final {
		state[line.Key] = line.Value
	}
	rep.State = append([]StateLine{}, r.final...)
	rep.Expect = []Verdict{}
	for i := range r.Expect {
		v := r.judge(&r.Expect[i], all, &rep.Totals, state)
		rep.OK = rep.OK && v.OK
		rep.Expect = append(rep.Expect, v)
	}
	r.noteLeftOut(&rep.Totals)
	r.mu.Lock()
	defer r.mu.Unlock()
	rep.Notes, rep.Runs = append([]string{}, r.notes...), append([]CommandRun{}, r.runs...)
	rep.Personas, rep.Talk = r.talk(all)
	rep.Timeline = r.timeline(all)
	rep.Messages = messageLines(all)
	return rep
}

// noteLeftOut says what was not done of what the scenario has.
func (r *run) noteLeftOut(t *Totals) {
	if t.Skipped > 0 {
		r.note("%d things were not done because the persona was away", t.Skipped)
	}
	if n := r.unsent.Load(); n > 0 {
		r.note("%d times a persona was away when a message went to its group: the personas are sessions of yours, and such a message is for those who are there", n)
	}
	if t.Cut > 0 {
		r.note("%d messages were not sent: more than %d answered each other, or there were more than %d in all", t.Cut, maxHops, maxMessages)
	}
}

// Err returns why the run ended before its time, nil if it did not.
func (rep *Report) Err() error { return rep.err }

// Failed returns the names of the expectations that were not met.
func (rep *Report) Failed() (names []string) {
	for _, v := range rep.Expect {
		if !v.OK {
			names = append(names, v.Name)
		}
	}
	return names
}

func (r *run) totals(all []*message) Totals {
	t := Totals{Sent: len(all), Strange: r.ledger.strange, Skipped: r.skipped.Load(), Cut: r.cut.Load()}
	for _, m := range all {
		if m.id == "" {
			t.Refused++
			if m.refused != "" {
				r.note("minute %d, from %s to %s: %s", m.minute, m.from, m.to, m.refused)
			}
			continue
		}
		t.Acked++
		for _, d := range m.deliveries {
			t.Expected++
			if d.times == 0 {
				t.Missing++
				continue
			}
			t.Delivered++
			t.Twice += d.times - 1
			if d.state == wire.StateSeen {
				t.Seen++
			}
		}
	}
	return t
}

// latencies returns the measured times, sorted: of ack, or of push, of which
// those to personas who were away are left out.
func latencies(all []*message, of string) (times []time.Duration) {
	for _, m := range all {
		if of == "ack" && m.id != "" {
			times = append(times, m.acked.Sub(m.sent))
		}
		for _, d := range m.deliveries {
			if of == "push" && d.times > 0 && !d.away {
				times = append(times, d.at.Sub(m.sent))
			}
		}
	}
	slices.Sort(times)
	return times
}

func quantiles(sorted []time.Duration) Quantiles {
	if len(sorted) == 0 {
		return Quantiles{}
	}
	us := func(q float64) float64 { return float64(bench.Quantile(sorted, q)) / float64(time.Microsecond) }
	return Quantiles{len(sorted), us(0.50), us(0.95), us(0.99), us(1)}
}

// histogram counts times in steps that double each third time.
func histogram(sorted []time.Duration) []LatencyCount {
	counts := []LatencyCount{}
	upTo, i := 100.0, 0
	for i < len(sorted) && len(counts) < 80 {
		c := LatencyCount{UpTo: upTo}
		for ; i < len(sorted) && float64(sorted[i])/float64(time.Microsecond) <= upTo; i++ {
			c.Count++
		}
		if c.Count > 0 || len(counts) > 0 {
			counts = append(counts, c)
		}
		upTo *= 1.26 // the third root of two
	}
	return counts
}

func (r *run) talk(all []*message) ([]PersonaLine, []TalkLine) {
	sent, received := make(map[string]int), make(map[string]int)
	pairs := make(map[[2]string]int)
	for _, m := range all {
		sent[m.from]++
		for name, d := range m.deliveries {
			if d.times > 0 {
				received[name]++
				pairs[[2]string{m.from, name}]++
			}
		}
	}
	people := make([]PersonaLine, 0, len(r.cast))
	for _, a := range r.cast {
		people = append(people, PersonaLine{a.name, a.Role, a.Groups, len(a.Command) > 0, sent[a.name], received[a.name]})
	}
	talk := make([]TalkLine, 0, len(pairs))
	for p, n := range pairs {
		talk = append(talk, TalkLine{p[0], p[1], n})
	}
	slices.SortFunc(talk, func(a, b TalkLine) int {
		return cmp.Or(-cmp.Compare(a.Messages, b.Messages), strings.Compare(a.From, b.From), strings.Compare(a.To, b.To))
	})
	return people, talk[:min(len(talk), maxTalkLines)]
}

// timeline is called with mu held.
func (r *run) timeline(all []*message) []MinuteLine {
	lines := make([]MinuteLine, len(r.ticks))
	of := make(map[Minutes][]*message)
	for _, m := range all {
		of[m.minute] = append(of[m.minute], m)
	}
	for i, t := range r.ticks {
		q := quantiles(latencies(of[t.minute], "push"))
		lines[i] = MinuteLine{int(t.minute), t.at.Sub(r.began).Seconds(), len(of[t.minute]), 0, q.P50, q.P99}
		for _, m := range of[t.minute] {
			for _, d := range m.deliveries {
				lines[i].Delivered += min(1, d.times)
			}
		}
	}
	return lines
}

func messageLines(all []*message) []MessageLine {
	lines := []MessageLine{}
	for _, m := range all[:min(len(all), maxMessageLines)] {
		line := MessageLine{Minute: int(m.minute), From: m.from, To: m.to, Text: wire.Shorten(m.text, 400), Answers: m.replyTo != "", Refused: m.refused}
		last := time.Time{}
		for _, d := range m.deliveries {
			if d.times == 0 {
				last = time.Time{}
				break
			}
			if d.at.After(last) {
				last = d.at
			}
		}
		if !last.IsZero() {
			line.Micros = float64(last.Sub(m.sent)) / float64(time.Microsecond)
		}
		lines = append(lines, line)
	}
	return lines
}

// readState asks for the keys that the run set and those it expects, and in a
// mesh that is not its own removes those that it set.
func (r *run) readState(ctx context.Context, c *peer.Client) error {
	r.mu.Lock()
	keys := maps.Clone(r.keys)
	r.mu.Unlock()
	for i := range r.Expect {
		if s := r.Expect[i].State; s != nil {
			keys[s.Key] = true
		}
	}
	for _, key := range sortedKeys(keys) {
		res, err := peer.Call(ctx, c, wire.GetState{Key: key})
		if err != nil {
			return err
		}
		if res.UpdatedAt.IsZero() {
			continue
		}
		r.final = append(r.final, StateLine{res.Key, res.Value, res.UpdatedBy})
		if r.keys[key] && r.opts.Broker.Own() == nil {
			if _, err := peer.Call(ctx, c, wire.DeleteState{Key: key}); err != nil {
				return err
			}
		}
	}
	return nil
}
