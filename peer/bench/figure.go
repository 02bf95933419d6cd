package bench

import "fmt"

// A figure is a line of the suite's table.
type figure struct {
	name    string
	key     string // of the series
	unit    string
	against string // what the limit is, in words
	limit   string // its series; empty for none
	of      judged
	higher  bool    // more is better
	goal    float64 // 0 for none
	stretch float64
}

// judged says what is held against the goal.
type judged int

const (
	nothing judged = iota
	byRatio
	byValue
)

// figures is the table.
func figures(p *pace, idle int) []figure {
	const (
		isL    = "L"
		redis  = "Redis stream, AOF always"
		nats   = "JetStream, file, sync always"
		commit = "bare group commit"
		fanout = "the same bytes, bare TCP"
		tcp    = "bare TCP echo"
	)
	all := []figure{
		{name: "send → ack, one client, p50", key: "ack p50", unit: "µs", against: isL, limit: "L", of: byRatio, goal: 2.5, stretch: 1.5},
		{name: "send → ack, one client, p99", key: "ack p99", unit: "µs", against: isL, limit: "L", of: byRatio, goal: 12},
		{name: "send → push, one client, p50", key: "push p50", unit: "µs", against: isL, limit: "L", of: byRatio, goal: 2.5, stretch: 1.5},
		{name: "send → push, one client, p99", key: "push p99", unit: "µs", against: isL, limit: "L", of: byRatio, goal: 12},
		{name: "send → ack, a client that only counts, p50", key: "bare ack p50", unit: "µs", against: isL, limit: "L"},
		{name: "send → push, a client that only counts, p50", key: "bare push p50", unit: "µs", against: isL, limit: "L"},
	}
	for _, n := range p.clients {
		at := fmt.Sprintf(" %d", n)
		name := fmt.Sprintf("durable acks, %d clients", n)
		all = append(all,
			figure{name: name, key: "stored" + at, unit: "/s", against: redis, limit: "redis" + at, of: byRatio, higher: true, goal: 0.6, stretch: 1},
			figure{name: name, key: "stored" + at, unit: "/s", against: nats, limit: "nats" + at, of: byRatio, higher: true, goal: 4, stretch: 8},
			figure{name: name, key: "stored" + at, unit: "/s", against: commit, limit: "group commit" + at},
			figure{name: name + ", delivered and acknowledged too", key: "delivered" + at, unit: "/s", against: redis, limit: "redis" + at},
		)
	}
	all = append(all,
		figure{name: "broker CPU per durable message", key: "stored cpu", unit: "µs", against: tcp, limit: "echo cpu", of: byRatio, goal: 5, stretch: 3},
		figure{name: "the same, delivered and acknowledged too", key: "delivered cpu", unit: "µs", against: tcp, limit: "echo cpu"},
		figure{name: fmt.Sprintf("1 → %d, last receiver, p50", p.receivers), key: "fan p50", unit: "µs", against: fanout, limit: "bare fan p50", of: byRatio, goal: 2, stretch: 1.5},
		figure{name: "memory per idle connection", key: "connection", unit: "KiB", against: "bare TCP connection and goroutine", limit: "bare connection", of: byValue, goal: 20, stretch: 12},
		figure{name: "broker idle, memory", key: "idle rss", unit: "MiB", of: byValue, goal: 30, stretch: 20},
		figure{name: "broker idle, wake-ups", key: "idle wakes", unit: "/s"},
	)
	if idle == 0 {
		return all
	}
	many := fmt.Sprintf("%d idle connections", idle)
	return append(all,
		figure{name: many + ", memory in all", key: "crowd rss", unit: "MiB", of: byValue, goal: 250},
		figure{name: many + ", memory of each", key: "crowd connection", unit: "KiB"},
		figure{name: many + ", slowdown of two active ones", key: "crowd slowdown", unit: "×", of: byValue, goal: 1.5},
	)
}

// A Row is a figure with what was measured, medians of the rounds. A figure
// that could not be measured has no row.
type Row struct {
	Figure   string  `json:"figure"`
	Unit     string  `json:"unit"`
	Measured float64 `json:"measured"`
	Against  string  `json:"against,omitempty"`
	Limit    float64 `json:"limit,omitempty"`
	Ratio    float64 `json:"ratio,omitempty"`
	Goal     string  `json:"goal,omitempty"`
	Stretch  string  `json:"stretch,omitempty"`
	// Reached is "stretch", "goal" or "no", empty without a goal.
	Reached string `json:"reached,omitempty"`
}

func (s series) rows(figures []figure) []Row {
	var rows []Row
	for _, f := range figures {
		if len(s[f.key]) == 0 || f.limit != "" && median(s[f.limit]) == 0 {
			continue
		}
		r := Row{Figure: f.name, Unit: f.unit, Measured: median(s[f.key])}
		if f.limit != "" {
			r.Against, r.Limit, r.Ratio = f.against, median(s[f.limit]), s.ratio(f.key, f.limit)
		}
		f.judge(&r)
		rows = append(rows, r)
	}
	return rows
}

// judge holds a row to its goals.
func (f *figure) judge(r *Row) {
	got, unit, bound := r.Ratio, "", "≤ "
	if f.of == nothing {
		return
	}
	if f.of == byValue {
		got, unit = r.Measured, " "+f.unit
	}
	meets := func(goal float64) bool { return goal > 0 && got <= goal }
	if f.higher {
		bound = "≥ "
		meets = func(goal float64) bool { return goal > 0 && got >= goal }
	}
	r.Goal, r.Reached = fmt.Sprintf("%s%g%s", bound, f.goal, unit), "no"
	if f.stretch > 0 {
		r.Stretch = fmt.Sprintf("%s%g%s", bound, f.stretch, unit)
	}
	switch {
	case meets(f.stretch):
		r.Reached = "stretch"
	case meets(f.goal):
		r.Reached = "goal"
	}
}
