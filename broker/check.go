package broker

import (
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"

	"claudemesh/wire"
)

// tooLong refuses a field of more than n characters as a request that is wrong;
// fits, as one that is too large.
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

// checkTags refuses tags that nothing could be found by.
func checkTags(tags []string) error {
	if len(tags) > wire.MaxTags {
		return wire.Errorf(wire.TooLarge, "tags has %d entries, and %d are the most: leave some out", len(tags), wire.MaxTags)
	}
	for _, tag := range tags {
		if err := checkText("a tag", tag, wire.MaxTag); err != nil {
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
	if n := utf8.RuneCountInString(name); n == 0 || n > most || wire.HasControl(name) {
		return wire.Errorf(wire.BadRequest, "the name of a %s must have 1 to %d characters without control characters", what, most)
	}
	return nil
}

// checkWords checks a list of at most n short texts.
func checkWords(field string, words []string, n int) error {
	if len(words) > n {
		return wire.Errorf(wire.BadRequest, "%s has more than %d entries", field, n)
	}
	for _, w := range words {
		if err := tooLong(field, w, wire.MaxSkillName); err != nil {
			return err
		}
	}
	return nil
}

// checkPath refuses a path or pattern that no file can have.
func checkPath(field, path string, limit int) error {
	if utf8.RuneCountInString(path) > limit {
		return wire.Errorf(wire.BadRequest, "%s is longer than %d characters", field, limit)
	}
	if strings.ContainsRune(path, 0) {
		return wire.Errorf(wire.BadRequest, "%s has a zero byte", field)
	}
	return nil
}
