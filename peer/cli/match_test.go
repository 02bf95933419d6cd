package cli

import (
	"strings"
	"testing"
)

func TestFindTakesIDsNamesAndUniquePrefixes(t *testing.T) {
	all := []nameable{
		{"ann", []string{"aaaa1111", "idann"}},
		{"Bob", []string{"bbbb1111", "idbob"}},
		{"bob", []string{"bbbb2222", "idbob2"}},
		{"cccc3333", []string{"dddd1111", "idcy"}},
		{"", []string{"cccc3333", "idnameless"}},
	}
	for text, want := range map[string]int{
		"ann": 0, "ANN": 0, "aaaa1111": 0, "AAAA1111": 0, "aaaa": 0, "idbob2": 2, "bbbb1": 1, "idbob": 1,
		"cccc3333": 4, // an id wins over a name
		"idna":     4,
	} {
		if i, err := find(all, text, "member"); i != want || err != nil {
			t.Errorf("%q is %d, %v; want %d", text, i, err, want)
		}
	}
	for text, want := range map[string]string{
		"bob":  `"bob" fits 2 members; give more of the id of one: Bob (bbbb1111), bob (bbbb2222)`,
		"bbbb": `"bbbb" fits 2 members`,
		"aaa":  `there is no member "aaa"`,
		"":     `there is no member ""`,
		"nn":   `there is no member "nn"`,
	} {
		if i, err := find(all, text, "member"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is %d, %v; want %q", text, i, err, want)
		}
	}
}
