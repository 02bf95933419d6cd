package bench

import (
	"strings"
	"testing"
)

func TestMarkdownHasALineForEachRow(t *testing.T) {
	r := SuiteReport{Rounds: 5, Machine: Machine{CPU: "a processor", Cores: 2, System: "linux/amd64", Go: "go1.26"}, Rows: []Row{
		{Figure: "send → ack", Unit: "µs", Measured: 412.3, Against: "L", Limit: 131.4, Ratio: 3.14, Goal: "≤ 2.5", Stretch: "≤ 1.5", Reached: "no"},
		{Figure: "idle", Unit: "MiB", Measured: 18.64, Goal: "≤ 30 MiB", Reached: "goal"},
	}}
	const want = `a processor, 2 cores, linux/amd64, go1.26; medians of 5 rounds.

| what | measured | held against | limit | ratio | goal | stretch | reached |
|---|--:|---|--:|--:|--:|--:|---|
| send → ack | 412 µs | L | 131 µs | 3.14 | ≤ 2.5 | ≤ 1.5 | no |
| idle | 18.6 MiB |  |  |  | ≤ 30 MiB |  | goal |
`
	if got := r.markdown(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestEveryFigureIsOfAKnownSeries(t *testing.T) {
	p := quickPace()
	for _, f := range figures(&p, 10) {
		if f.key == "" || f.name == "" || f.unit == "" || (f.limit == "") != (f.against == "") || (f.of == nothing) != (f.goal == 0) {
			t.Errorf("%+v is not complete", f)
		}
		if strings.Contains(f.name, "%!") {
			t.Errorf("%q", f.name)
		}
	}
}
