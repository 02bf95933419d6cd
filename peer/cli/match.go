package cli

import (
	"fmt"
	"strings"
)

// nameable is how a user may mean one of several things: by one of its ids or
// keys, in full or by its first characters, or by its name.
type nameable struct {
	name string
	ids  []string
}

// minIDPrefix is how many characters of an id may stand for it.
const minIDPrefix = 4

// find returns which of all the text means: the one with that id, else the
// only one with that name, ignoring case, else the only one with an id that
// begins with it. kind is what the things are called in the error.
func find(all []nameable, text, kind string) (int, error) {
	for _, means := range []func(nameable) bool{
		func(n nameable) bool { return n.hasID(func(id string) bool { return strings.EqualFold(id, text) }) },
		func(n nameable) bool { return n.name != "" && strings.EqualFold(n.name, text) },
		func(n nameable) bool {
			return len(text) >= minIDPrefix && n.hasID(func(id string) bool { return strings.HasPrefix(id, text) })
		},
	} {
		var fit []int
		for i, n := range all {
			if means(n) {
				fit = append(fit, i)
			}
		}
		switch len(fit) {
		case 0:
		case 1:
			return fit[0], nil
		default:
			return -1, fmt.Errorf("%q fits %d %ss; give more of the id of one: %s", text, len(fit), kind, describeAll(all, fit))
		}
	}
	return -1, fmt.Errorf("there is no %s %q", kind, text)
}

func (n nameable) hasID(is func(string) bool) bool {
	for _, id := range n.ids {
		if id != "" && is(id) {
			return true
		}
	}
	return false
}

func describeAll(all []nameable, which []int) string {
	const most = 10
	var words []string
	for _, i := range which[:min(len(which), most)] {
		word := all[i].ids[0]
		if all[i].name != "" {
			word = all[i].name + " (" + word + ")"
		}
		words = append(words, word)
	}
	if len(which) > most {
		words = append(words, fmt.Sprintf("and %d more", len(which)-most))
	}
	return strings.Join(words, ", ")
}
