package broker

import (
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"

	"claudemesh/wire"
)

// tooLong refuses a field of a message or the presence, which is a request that
// is wrong if it has more than n characters. What is shared fits, or is too
// large.
func tooLong(field, s string, n int) error {
	if utf8.RuneCountInString(s) > n {
		return wire.Errorf(wire.BadRequest, "%s is longer than %d characters", field, n)
	}
	return nil
}

// jsonSize is how many bytes v takes on the wire.
func jsonSize(v any) int {
	p, _ := json.Marshal(v) // of texts and lists of them, which always encode
	return len(p)
}

// checkText refuses a text that must be there and is empty, or that has more
// than n characters.
func checkText(field, s string, n int) error {
	if strings.TrimSpace(s) == "" {
		return wire.Errorf(wire.BadRequest, "%s is missing: it must not be empty", field)
	}
	return fits(field, s, n)
}

// fits refuses a text of more than n characters.
func fits(field, s string, n int) error {
	if got := utf8.RuneCountInString(s); got > n {
		return wire.Errorf(wire.TooLarge, "%s has %d characters, and %d are the most: shorten it", field, got, n)
	}
	return nil
}

// few refuses a list of more than n entries.
func few[T any](field string, list []T, n int) error {
	if len(list) > n {
		return wire.Errorf(wire.TooLarge, "%s has %d entries, and %d are the most: leave some out", field, len(list), n)
	}
	return nil
}

// checkTags refuses more than most tags, and those that nothing could be found
// by, or that have more than n characters.
func checkTags(tags []string, most, n int) error {
	if err := few("tags", tags, most); err != nil {
		return err
	}
	for _, tag := range tags {
		if err := checkText("a tag", tag, n); err != nil {
			return err
		}
		if strings.ContainsFunc(tag, unicode.IsControl) {
			return wire.Errorf(wire.BadRequest, "the tag %q has a control character: leave it out", tag)
		}
	}
	return nil
}

// checkName checks the name of a thing that members make.
func checkName(what, name string, most int) error {
	if name == "" || wire.HasControl(name) {
		return wire.Errorf(wire.BadRequest, "the name of a %s must have 1 to %d characters without control characters", what, most)
	}
	return fits("the name of a "+what, name, most)
}

// checkWords checks a list of at most n short texts.
func checkWords(field string, words []string, n int) error {
	if err := few(field, words, n); err != nil {
		return err
	}
	for _, w := range words {
		if err := fits("an entry of "+field, w, wire.MaxSkillName); err != nil {
			return err
		}
	}
	return nil
}

// checkPath refuses a path or pattern that no file can have.
func checkPath(field, path string, limit int) error {
	if strings.ContainsRune(path, 0) {
		return wire.Errorf(wire.BadRequest, "%s has a zero byte", field)
	}
	return fits(field, path, limit)
}
