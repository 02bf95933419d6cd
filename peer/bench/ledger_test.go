package bench

import "testing"

func TestLedgerCountsWhatIsNotAsItShouldBe(t *testing.T) {
	for name, c := range map[string]struct {
		came []note
		want ledger
	}{
		"each once, in order":        {[]note{{1, 0, 0}, {1, 1, 0}, {1, 64, 0}}, ledger{Unique: 3}},
		"two senders, interleaved":   {[]note{{1, 5, 0}, {2, 0, 0}, {1, 6, 0}, {2, 1, 0}}, ledger{Unique: 4}},
		"with gaps":                  {[]note{{1, 3, 0}, {1, 900, 0}}, ledger{Unique: 2}},
		"one twice":                  {[]note{{1, 0, 0}, {1, 1, 0}, {1, 0, 0}}, ledger{Unique: 2, Twice: 1}},
		"one late":                   {[]note{{1, 1, 0}, {1, 0, 0}, {1, 2, 0}}, ledger{Unique: 3, Disordered: 1}},
		"one late that is the first": {[]note{{1, 70, 0}, {1, 3, 0}}, ledger{Unique: 2, Disordered: 1}},
	} {
		var l ledger
		for _, n := range c.came {
			l.enter(n)
		}
		if l.Unique != c.want.Unique || l.Twice != c.want.Twice || l.Disordered != c.want.Disordered {
			t.Errorf("%s: %d unique, %d twice, %d disordered; want %d, %d, %d",
				name, l.Unique, l.Twice, l.Disordered, c.want.Unique, c.want.Twice, c.want.Disordered)
		}
	}
}
