package bench

import "testing"

func TestRowsAreHeldToTheirGoals(t *testing.T) {
	s := series{
		"fast": {10, 30, 20}, "slow": {100, 100, 100}, "limit": {10, 10, 10}, "none": {0, 0, 0},
		// Ratios are taken round by round: here 2 in each, as the machine varied.
		"varied": {20, 200, 2000}, "varied limit": {10, 100, 1000},
	}
	ratio := func(key, limit string, higher bool, goal, stretch float64) figure {
		return figure{name: key, key: key, limit: limit, against: "a limit", of: byRatio, higher: higher, goal: goal, stretch: stretch}
	}
	for name, c := range map[string]struct {
		f       figure
		reached string
		ratio   float64
	}{
		"within the goal":       {ratio("fast", "limit", false, 2.5, 1.5), "goal", 2},
		"within the stretch":    {ratio("fast", "limit", false, 4, 2), "stretch", 2},
		"beyond the goal":       {ratio("slow", "limit", false, 2.5, 1.5), "no", 10},
		"enough of it":          {ratio("slow", "limit", true, 4, 20), "goal", 10},
		"more than enough":      {ratio("slow", "limit", true, 4, 8), "stretch", 10},
		"too little":            {ratio("fast", "limit", true, 4, 8), "no", 2},
		"no stretch to reach":   {ratio("fast", "limit", false, 12, 0), "goal", 2},
		"varied":                {ratio("varied", "varied limit", false, 2.5, 1.5), "goal", 2},
		"by its value":          {figure{key: "slow", of: byValue, goal: 250}, "goal", 0},
		"by its value, too big": {figure{key: "slow", of: byValue, goal: 20, stretch: 12}, "no", 0},
		"without a goal":        {figure{key: "slow"}, "", 0},
	} {
		rows := s.rows([]figure{c.f})
		if len(rows) != 1 || rows[0].Reached != c.reached || rows[0].Ratio != c.ratio {
			t.Errorf("%s: %+v, want %q at ratio %v", name, rows, c.reached, c.ratio)
		}
	}
	if rows := s.rows([]figure{ratio("fast", "none", false, 1, 1), ratio("unknown", "limit", false, 1, 1)}); len(rows) != 0 {
		t.Errorf("what was not measured has rows: %+v", rows)
	}
}

func TestQuantileAndMedian(t *testing.T) {
	sorted := make([]int, 100)
	for i := range sorted {
		sorted[i] = i + 1
	}
	for q, want := range map[float64]int{0: 1, 0.5: 51, 0.99: 100, 1: 100} {
		if got := Quantile(sorted, q); got != want {
			t.Errorf("quantile %v is %d, want %d", q, got, want)
		}
	}
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{5, 1, 3}, 3}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.values, got, c.want)
		}
	}
}
