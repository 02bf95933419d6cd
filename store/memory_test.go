package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// remembers adds memories a minute apart; their ids are their numbers.
func remembers(tb testing.TB, db *DB, all ...*Memory) {
	tb.Helper()
	mustWrite(tb, db, func(tx *Tx) error {
		for i, m := range all {
			m.ID, m.Created = fmt.Sprintf("%032d", i), epoch.Add(time.Duration(i)*time.Minute)
			if m.Author == "" {
				m.Author = "ann"
			}
			if err := tx.AddMemory(m); err != nil {
				return err
			}
		}
		return nil
	})
}

// recalled returns the numbers of the memories that were found.
func recalled(tb testing.TB, db *DB, q MemoryQuery) []int {
	tb.Helper()
	found := []int{}
	if q.Limit == 0 {
		q.Limit = 20
	}
	mustRead(tb, db, func(rx *Rx) error {
		all, err := rx.Recall(q)
		for _, m := range all {
			var n int
			fmt.Sscanf(m.ID, "%d", &n)
			found = append(found, n)
		}
		return err
	})
	return found
}

func TestRecallFindsByWordsAndNarrows(t *testing.T) {
	db := open(t)
	remembers(t, db,
		&Memory{Content: "The staging database runs migrations at deploy", Tags: []string{"Ops", "release notes"}},
		&Memory{Content: "Deploying needs the VPN; deploys are at noon, deploy early", Author: "bob"},
		&Memory{Content: "Cookies are signed with the key in vault", Tags: []string{"deploy"}},
		&Memory{Content: "Füße und straße: größer", Author: "zoé", Tags: []string{"Übergabe", "ΟΔΟΣ"}},
		&Memory{Content: `"quoted" AND (weird* NEAR content:x) -minus ^caret`, Tags: []string{"⚑"}, Author: "⚑"},
	)
	at := func(i int) time.Time { return epoch.Add(time.Duration(i) * time.Minute) }
	for name, c := range map[string]struct {
		q    MemoryQuery
		want []int
	}{
		"endings do not matter, best first, tags weigh less": {MemoryQuery{Words: "deployed"}, []int{1, 0, 2}},
		"all words must match":                               {MemoryQuery{Words: "database deploy"}, []int{0}},
		"of which one may be a tag":                          {MemoryQuery{Words: "cookie DEPLOY"}, []int{2}},
		"stop words are ignored":                             {MemoryQuery{Words: "where is the VPN?"}, []int{1}},
		"nothing but stop words":                             {MemoryQuery{Words: "the and of"}, []int{}},
		"nothing":                                            {MemoryQuery{}, []int{}},
		"nothing but stop words, and a tag":                  {MemoryQuery{Words: "the", Tag: "ops"}, []int{}},
		"a name is no word of the content":                   {MemoryQuery{Words: "bob"}, []int{}},
		"accents do not matter":                              {MemoryQuery{Words: "großer"}, []int{3}},
		"syntax is text":                                     {MemoryQuery{Words: `"quoted" AND (weird* NEAR content:x) -minus ^caret`}, []int{4}},
		"syntax alone":                                       {MemoryQuery{Words: `"*^():-+{}`}, []int{}},
		"a tag":                                              {MemoryQuery{Tag: "ops"}, []int{0}},
		"a tag of two words":                                 {MemoryQuery{Tag: "Release Notes"}, []int{0}},
		"a word of a tag is not the tag":                     {MemoryQuery{Tag: "release"}, []int{}},
		"a tag without letters":                              {MemoryQuery{Tag: "⚑"}, []int{4}},
		"an author":                                          {MemoryQuery{Author: "Ann"}, []int{2, 0}},
		"an author without letters":                          {MemoryQuery{Author: "⚑"}, []int{4}},
		"a tag in another case":                              {MemoryQuery{Tag: "ÜBERGABE"}, []int{3}},
		"a tag whose accents are encoded otherwise":          {MemoryQuery{Tag: "u\u0308bergabe"}, []int{3}},
		"a tag without its accents is another":               {MemoryQuery{Tag: "Ubergabe"}, []int{}},
		"a tag with a letter of three forms":                 {MemoryQuery{Tag: "οδος"}, []int{3}},
		"an author in another case":                          {MemoryQuery{Author: "ZOÉ"}, []int{3}},
		"words and an author":                                {MemoryQuery{Words: "deploy", Author: "bob"}, []int{1}},
		"words and a tag":                                    {MemoryQuery{Words: "migration", Tag: "ops"}, []int{0}},
		"from a time on":                                     {MemoryQuery{After: at(3)}, []int{4, 3}},
		"until a time":                                       {MemoryQuery{Before: at(1).Add(time.Second)}, []int{1, 0}},
		"between":                                            {MemoryQuery{Words: "deploy", After: at(1), Before: at(1)}, []int{1}},
		"after the last":                                     {MemoryQuery{After: at(9)}, []int{}},
		"before the first":                                   {MemoryQuery{Before: at(-1)}, []int{}},
		"some":                                               {MemoryQuery{After: at(0), Limit: 2}, []int{4, 3}},
	} {
		t.Run(name, func(t *testing.T) { equal(t, recalled(t, db, c.q), c.want) })
	}
}

func TestForgottenMemoriesAreGone(t *testing.T) {
	db := open(t)
	remembers(t, db, &Memory{Content: "apples"}, &Memory{Content: "apples and pears"})
	id := fmt.Sprintf("%032d", 1)
	mustWrite(t, db, func(tx *Tx) error {
		_, err := tx.ForgetMemory(id[:20])
		wants(t, "a prefix of both", err, ErrConflict)
		_, err = tx.ForgetMemory("nothing")
		wants(t, "no such id", err, ErrNotFound)
		got, err := tx.ForgetMemory(id)
		equal(t, got, id)
		return err
	})
	equal(t, recalled(t, db, MemoryQuery{Words: "apple"}), []int{0})
	equal(t, recalled(t, db, MemoryQuery{Words: "pear"}), []int{})
	mustWrite(t, db, func(tx *Tx) error {
		n, err := tx.Memories()
		equal(t, n, 1)
		if err != nil {
			return err
		}
		return tx.script(`INSERT INTO memory_text (memory_text, rank) VALUES ('integrity-check', 1)`)
	})
}

func TestTimesOfMemoriesNeverGoBack(t *testing.T) {
	db := open(t)
	m := &Memory{ID: "b", Content: "later", Author: "ann", Created: epoch.Add(-time.Hour)}
	mustWrite(t, db, func(tx *Tx) error {
		if err := tx.AddMemory(&Memory{ID: "a", Content: "x", Author: "ann", Created: epoch}); err != nil {
			return err
		}
		return tx.AddMemory(m)
	})
	equal(t, m.Created, epoch)
}

func TestLongMemoriesShowWhereTheWordsAre(t *testing.T) {
	db := open(t)
	remembers(t, db, &Memory{Content: strings.Repeat("lorem ipsum dolor ", 60) + "the needle lies here " + strings.Repeat("sit amet ", 60)})
	mustRead(t, db, func(rx *Rx) error {
		all, err := rx.Recall(MemoryQuery{Words: "needles", Limit: 1})
		if len(all) != 1 || !strings.Contains(all[0].Snippet, "the needle lies") || len(all[0].Snippet) > 400 {
			t.Errorf("%+v", all)
		}
		return err
	})
}

// Whatever is asked, it is answered, and what was remembered can be found by
// its own words.
func FuzzRecall(f *testing.F) {
	for _, s := range []string{"", "plain words", `"`, `a" OR "b`, "NEAR(a b)", "content : x", "a*", "^a", "-a", "{tags}:x", "\x00", "a\x00b", "\xff", "ﬁ", "İ", "ß", "日本語", "\u0301", "\U0001e900\U0001e922", "don't", "the"} {
		f.Add(s, s)
	}
	db := open(f)
	f.Fuzz(func(t *testing.T, text, query string) {
		m := &Memory{ID: NewID(), Content: text, Tags: []string{strings.Map(func(r rune) rune {
			if r == '\n' {
				return ' '
			}
			return r
		}, query)}, Author: query, Created: epoch}
		mustWrite(t, db, func(tx *Tx) error { return tx.AddMemory(m) })
		defer mustWrite(t, db, func(tx *Tx) error { _, err := tx.ForgetMemory(m.ID); return err })
		for _, q := range []MemoryQuery{{Words: query}, {Tag: query}, {Author: query}, {Words: text, Tag: query, Author: query}} {
			recalled(t, db, q)
		}
		mustRead(t, db, func(rx *Rx) error { _, err := rx.FindContexts(query, 20); return err })
		plain := strings.Join(slices.DeleteFunc(wordsOf(text), func(w string) bool {
			return strings.Trim(w, "abcdefghijklmnopqrstuvwxyz0123456789") != ""
		}), " ")
		if len(searchWords(plain)) > 0 && utf8.ValidString(text) && !strings.Contains(text, "\x00") && len(recalled(t, db, MemoryQuery{Words: plain})) != 1 {
			t.Errorf("%q is not found by %q", text, plain)
		}
	})
}

// BenchmarkRecall searches 100 000 memories of 30 words that are as unevenly
// used as those of a language, by one to four of these words.
func BenchmarkRecall(b *testing.B) {
	db := open(b)
	r := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(r, 1.1, 20, 30_000)
	words := func(n int) string {
		var all []string
		for range n {
			all = append(all, fmt.Sprintf("w%dx", zipf.Uint64()))
		}
		return strings.Join(all, " ")
	}
	for range 100 {
		mustWrite(b, db, func(tx *Tx) error {
			for range 1000 {
				m := &Memory{ID: NewID(), Content: words(30), Tags: []string{words(1)}, Author: fmt.Sprint("peer", r.IntN(10)), Created: epoch}
				if err := tx.AddMemory(m); err != nil {
					return err
				}
			}
			return nil
		})
	}
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		q := MemoryQuery{Words: words(1 + i%4), Limit: 20}
		if i%8 == 7 {
			q.Author = "peer3"
		}
		begin := time.Now()
		recalled(b, db, q)
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(took[len(took)-1].Microseconds()), "max-µs")
}

// BenchmarkState sets a key, with one client that waits for the disk, and
// reads it.
func BenchmarkState(b *testing.B) {
	db := open(b)
	e := entry("build", `{"status":"green","commit":"5b97e3b"}`, epoch)
	b.Run("set", func(b *testing.B) {
		for b.Loop() {
			mustWrite(b, db, func(tx *Tx) error { return tx.SetState(e) })
		}
	})
	b.Run("get", func(b *testing.B) {
		for b.Loop() {
			mustRead(b, db, func(rx *Rx) error { _, err := rx.StateEntry("build"); return err })
		}
	})
}
