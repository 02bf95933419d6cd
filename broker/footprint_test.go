package broker

import (
	"testing"
	"time"
)

func TestMemoryIsGivenBackOnceItIsQuietAfterMuchWork(t *testing.T) {
	const mib = 1 << 20
	type look struct {
		after     time.Duration
		allocated uint64 // since the look before
		want      bool
	}
	for name, looks := range map[string][]look{
		"never at the first look":           {{0, 100 * mib, false}},
		"not for a little":                  {{0, 9 * mib, false}, {maxTick, 3 * mib, false}, {maxTick, 3 * mib, false}},
		"not while there is work":           {{0, 0, false}, {maxTick, 50 * mib, false}, {maxTick, 50 * mib, false}},
		"when it is over":                   {{0, 0, false}, {maxTick, 50 * mib, false}, {maxTick, mib, true}},
		"once":                              {{0, 0, false}, {maxTick, 50 * mib, false}, {maxTick, mib, true}, {maxTick, mib, false}},
		"again after more work":             {{0, 0, false}, {maxTick, 50 * mib, false}, {maxTick, mib, true}, {maxTick, 50 * mib, false}, {maxTick, 0, true}},
		"when little has become much":       {{0, 0, false}, {maxTick, 3 * mib, false}, {maxTick, 3 * mib, false}, {6 * maxTick, 3 * mib, false}, {maxTick, 3 * mib, false}, {maxTick, 3 * mib, false}, {maxTick, 3 * mib, true}},
		"a pause is as long as a tick":      {{0, 0, false}, {maxTick, 50 * mib, false}, {maxTick / 2, 0, false}, {maxTick / 2, mib, true}},
		"what a short look saw is not lost": {{0, 0, false}, {maxTick / 2, 50 * mib, false}, {maxTick / 2, mib, false}, {maxTick, mib, true}},
	} {
		t.Run(name, func(t *testing.T) {
			var f footprint
			now, allocated := time.Unix(1_700_000_000, 0), uint64(20*mib)
			for i, l := range looks {
				now, allocated = now.Add(l.after), allocated+l.allocated
				if got := f.due(now, allocated); got != l.want {
					t.Errorf("look %d: due %t, want %t", i, got, l.want)
				}
			}
		})
	}
}
