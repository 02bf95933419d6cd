package share

import (
	"path/filepath"
	"strings"
)

// Withheld reports whether a path, relative to a directory that is shown, has
// an element that is shown to nobody unless its user says so: a name that
// begins with a dot, or one that keys and credentials usually have.
func Withheld(path string) bool {
	secret := newSecrets()
	for name := range strings.SplitSeq(filepath.ToSlash(path), "/") {
		if name != "." && dotted(name) || secret.hold(name) {
			return true
		}
	}
	return false
}

// Hidden reports whether an element of a relative path begins with a dot, as
// those do that programs take their settings from.
func Hidden(path string) bool {
	for name := range strings.SplitSeq(filepath.ToSlash(path), "/") {
		if name != "." && dotted(name) {
			return true
		}
	}
	return false
}
