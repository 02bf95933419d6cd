package store

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// stopWords are those that PostgreSQL's English dictionary ignores.
const stopWords = ` i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers herself it its itself they them their theirs themselves what which who whom this that these those am is are was were be been being have has had having do does did doing a an the and but if or because as until while of at by for with about against between into through during before after above below to from up down in out on off over under again further then once here there when where why how all any both each few more most other some such no nor not only own same so than too very s t can will just don should now `

func isStopWord(w string) bool { return strings.Contains(stopWords, " "+w+" ") }

// separates reports whether r stands between words, as FTS5's tokenizer
// unicode61 sees it.
func separates(r rune) bool { return !unicode.In(r, unicode.L, unicode.N, unicode.Mn, unicode.Co) }

// fold makes texts the same that differ in case only, or in how their accents are
// encoded: each letter becomes the first of those that [unicode.SimpleFold] takes for
// it, in the form NFC. ß stays ß, as it does in the full text.
func fold(text string) string {
	folded := strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && !unicode.IsLetter(r) {
			return r
		}
		first := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			first = min(first, f)
		}
		return first
	}, norm.NFC.String(text))
	return norm.NFC.String(folded)
}

// wordsOf are the words of text in lower case, each once.
func wordsOf(text string) []string {
	var words []string
	seen := make(map[string]bool)
	for w := range strings.FieldsFuncSeq(strings.ToLower(text), separates) {
		if !seen[w] {
			seen[w] = true
			words = append(words, w)
		}
	}
	return words
}

// searchWords are the words of a query that count.
func searchWords(query string) []string { return slices.DeleteFunc(wordsOf(query), isStopWord) }

// allOf is the FTS5 expression for what has all the words. They are quoted,
// and have nothing in them but letters and digits: no text of a user is syntax.
func allOf(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = `"` + w + `"`
	}
	return strings.Join(quoted, " AND ")
}

// phrase is the FTS5 expression for the words of text in their order, in one
// column; empty if there are none.
func phrase(column, text string) string {
	words := strings.FieldsFunc(strings.ToLower(text), separates)
	if len(words) == 0 {
		return ""
	}
	return column + ` : "` + strings.Join(words, " ") + `"`
}
