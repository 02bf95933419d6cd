package source

import "strings"

// A Plain error says for people all that there is to say of why a program failed,
// in one line: what the program wrote itself, which often leads astray, is left to
// the log. A Run may return one.
type Plain string

// Error implements error.
func (p Plain) Error() string { return string(p) }

// ErrFull says that there is no room on the disk that services are on.
const ErrFull = Plain("the broker's disk is full: its operator has to make room")

// SaysFull reports whether a program wrote that the disk is full.
func SaysFull(text string) bool {
	for line := range strings.Lines(strings.ToLower(text)) {
		if strings.Contains(line, "file watchers") { // for too many of which Linux has the same number
			continue
		}
		for _, words := range []string{"enospc", "no space left on device", "out of diskspace", "edquot", "disk quota exceeded"} {
			if strings.Contains(line, words) {
				return true
			}
		}
	}
	return false
}
