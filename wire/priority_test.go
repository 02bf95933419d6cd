package wire

import "testing"

func TestStatusAllows(t *testing.T) {
	tests := []struct {
		s              Status
		now, next, low bool
	}{
		{Idle, true, true, true},
		{Working, true, false, false},
		{DND, true, false, false},
		{"", true, false, false},
	}
	for _, tt := range tests {
		for i, want := range []bool{tt.now, tt.next, tt.low} {
			if got := tt.s.Allows(Priorities[i]); got != want {
				t.Errorf("%q allows %s = %v", tt.s, Priorities[i], got)
			}
		}
	}
}

func TestRanks(t *testing.T) {
	for p, want := range map[Priority]int{Now: 0, Next: 1, Low: 2, "": -1, "NOW": -1, "urgent": -1} {
		if got := p.Rank(); got != want {
			t.Errorf("rank of priority %q = %d, want %d", p, got, want)
		}
	}
	for s, want := range map[Source]int{SourceHook: 3, SourceManual: 2, SourceJSONL: 1, "": 0, "Hook": 0} {
		if got := s.Rank(); got != want {
			t.Errorf("rank of source %q = %d, want %d", s, got, want)
		}
	}
}

func TestStatusValid(t *testing.T) {
	for s, want := range map[Status]bool{Idle: true, Working: true, DND: true, "": false, "IDLE": false, "busy": false} {
		if got := s.Valid(); got != want {
			t.Errorf("%q valid = %v", s, got)
		}
	}
}
