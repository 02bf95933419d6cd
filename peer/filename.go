package peer

import (
	"strings"
	"unicode/utf8"

	"claudemesh/wire"
)

// LocalFileName returns what a file that somebody else has named may be called
// in a directory of this machine: a name without directories, that is no
// device of Windows, hides nowhere, is no option of a command, and is the same
// on every system. A name of which nothing is left becomes "file".
func LocalFileName(name string) string {
	name = wire.CleanFileName(name)
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`<>:"|?*`, r) {
			return '_'
		}
		return r
	}, name)
	name = strings.TrimRight(name, ". ")
	if rest := strings.TrimLeft(name, ".-~ "); rest != name {
		name = "_" + rest // a file of settings, or an option
	}
	stem, _, _ := strings.Cut(name, ".")
	if isDevice(strings.TrimRight(stem, " ")) {
		name = "_" + name
	}
	for len(name) > wire.MaxFileNameBytes {
		_, n := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-n]
	}
	if strings.Trim(name, "_") == "" {
		return "file"
	}
	return name
}

// isDevice reports whether Windows takes a name for a device.
func isDevice(stem string) bool {
	stem = strings.ToUpper(stem)
	switch stem {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$":
		return true
	}
	for _, port := range []string{"COM", "LPT"} {
		if rest, ok := strings.CutPrefix(stem, port); ok && utf8.RuneCountInString(rest) == 1 && strings.ContainsAny(rest, "0123456789¹²³") {
			return true
		}
	}
	return false
}
