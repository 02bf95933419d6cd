package bench

import (
	"time"

	"claudemesh/peer/cli"
)

// A series holds what was measured round by round, by the name of the figure.
type series map[string][]float64

func (s series) add(name string, v float64) { s[name] = append(s[name], v) }

// addKnown adds what a system tells of a process, and nothing where it tells
// nothing.
func (s series) addKnown(name string, v float64, u cli.Usage) {
	if u.RSS > 0 {
		s.add(name, v)
	}
}

func (s series) addSpread(name string, times []time.Duration) {
	sp := spread(times)
	s.add(name+" p50", sp.P50)
	s.add(name+" p99", sp.P99)
}

// ratio returns the median of a figure's ratio to its limit, round by round; 0
// if either was not measured.
func (s series) ratio(name, limit string) float64 {
	got, held := s[name], s[limit]
	var ratios []float64
	for i := range min(len(got), len(held)) {
		if held[i] > 0 {
			ratios = append(ratios, got[i]/held[i])
		}
	}
	return median(ratios)
}
