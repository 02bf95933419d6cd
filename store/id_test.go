package store

import (
	"math/rand/v2"
	"regexp"
	"testing"
)

var idPattern = regexp.MustCompile(`^[0-9A-Za-z]{32}$`)

func TestAMessageIDLeadsBackToItsSeq(t *testing.T) {
	seqs := []int64{1, 2, 61, 62, 63, seqSpan - 1}
	for i := range int64(2000) {
		seqs = append(seqs, i+1, rand.Int64N(seqSpan))
	}
	prefixes := make(map[string]int64)
	for _, seq := range seqs {
		id := messageID(seq)
		if !idPattern.MatchString(id) {
			t.Fatalf("id %q", id)
		}
		for _, n := range []int{seqLen, seqLen + 1, idLen} {
			if got, ok := MessageSeq(id[:n]); !ok || got != seq {
				t.Fatalf("%q of %d leads to %d", id[:n], seq, got)
			}
		}
		if other, ok := prefixes[id[:seqLen]]; ok && other != seq {
			t.Fatalf("%d and %d share %q", seq, other, id[:seqLen])
		}
		prefixes[id[:seqLen]] = seq
	}
}

func TestWhatIsNoMessageID(t *testing.T) {
	id := messageID(7)
	for _, s := range []string{"", id[:seqLen-1], id + "0", "abc-efgh", "абвгд", id[:31] + "\x00"} {
		if _, ok := MessageSeq(s); ok {
			t.Errorf("%q passes for an id", s)
		}
	}
}

func FuzzMessageSeq(f *testing.F) {
	f.Add(messageID(1))
	f.Add("zzzzzzzz")
	f.Fuzz(func(t *testing.T, s string) {
		seq, ok := MessageSeq(s)
		if ok && messageID(seq)[:seqLen] != s[:seqLen] {
			t.Errorf("%q leads to %d, whose id begins otherwise", s, seq)
		}
	})
}

func TestNewIDsDiffer(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		id := NewID()
		if !idPattern.MatchString(id) || seen[id] {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
}

func FuzzRecipients(f *testing.F) {
	f.Add(appendRecipients(nil, []int64{1, 200, 1 << 40}))
	f.Add([]byte{0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := parseRecipients(b)
		if err != nil {
			return
		}
		again, err := parseRecipients(appendRecipients(nil, list))
		if err != nil || len(again) != len(list) {
			t.Errorf("%v became %v: %v", list, again, err)
		}
	})
}
