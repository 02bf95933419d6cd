package simulate

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
)

// A Snapshot is how a run goes at a moment.
type Snapshot struct {
	Minute   Minutes
	Duration Minutes
	Elapsed  time.Duration
	Sent     int
	Due      int // deliveries that are under way
	Arrived  int
	Rate     float64 // deliveries a second, lately
	Push     Quantiles
	Talk     []TalkLine    // the most first, a few
	Last     []MessageLine // but observations and actions
	Running  int           // commands
	Ended    bool
}

const (
	watchEvery = 200 * time.Millisecond
	shownPairs = 8
	shownLast  = 6
	watchedOf  = 500 // the latest messages, of which the rates and latencies are
)

// watch tells Options.Watch how the run goes until ctx ends, and then once more.
func (r *run) watch(ctx context.Context) {
	look := time.NewTicker(watchEvery)
	defer look.Stop()
	before, at := 0, time.Now()
	for {
		s := r.snapshot()
		s.Ended = ctx.Err() != nil
		if past := time.Since(at); past > 0 {
			s.Rate = float64(s.Arrived-before) / past.Seconds()
		}
		before, at = s.Arrived, time.Now()
		if r.opts.Watch(s); s.Ended {
			return
		}
		select {
		case <-look.C:
		case <-ctx.Done():
		}
	}
}

func (r *run) snapshot() *Snapshot {
	s := &Snapshot{Minute: r.now(), Duration: r.Duration, Elapsed: time.Since(r.began), Running: int(r.commands.Load())}
	l := r.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Sent, s.Arrived = len(l.all), l.came
	for _, n := range l.due {
		s.Due += n
	}
	latest := l.all[max(0, len(l.all)-watchedOf):]
	s.Push = quantiles(latencies(latest, "push"))
	said := slices.DeleteFunc(slices.Clone(latest), func(m *message) bool { return conventional(m.text) != "" })
	s.Last = messageLines(said[max(0, len(said)-shownLast):])
	pairs := make(map[[2]string]int)
	for _, m := range latest {
		pairs[[2]string{m.from, m.to}]++
	}
	for p, n := range pairs {
		s.Talk = append(s.Talk, TalkLine{p[0], p[1], n})
	}
	slices.SortFunc(s.Talk, func(a, b TalkLine) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), strings.Compare(a.From, b.From), strings.Compare(a.To, b.To))
	})
	s.Talk = s.Talk[:min(len(s.Talk), shownPairs)]
	return s
}
