package cli

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
)

// Clean makes text from elsewhere safe to show on a terminal. Control
// characters, with which it could move the cursor, recolour or retitle the
// window or feed text back as input, become U+FFFD; what is invisible or
// reorders its surroundings (bidi controls, tags) is removed. Line breaks and
// tabs stay.
func Clean(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\u2028' || r == '\u2029':
			return '\n'
		case unicode.IsControl(r):
			return unicode.ReplacementChar
		case invisible(r):
			return -1
		}
		return r
	}, s)
}

// CleanLine is Clean for text that must stay on one line: a name, an error.
// Line breaks and tabs become blanks.
func CleanLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		return r
	}, Clean(s))
}

// invisible reports whether r is a format character without an image of its
// own. Joiners stay, for scripts and emoji need them, and so do the signs that
// Unicode files under format but that are seen.
func invisible(r rune) bool {
	switch {
	case r == '\u200c' || r == '\u200d':
		return false
	case r >= 0x600 && r <= 0x605, r == 0x6dd, r == 0x70f, r == 0x890, r == 0x891, r == 0x8e2, r == 0x110bd, r == 0x110cd:
		return false
	}
	return unicode.Is(unicode.Cf, r)
}

// cleanJSON writes the characters of encoded JSON that Clean would not let
// pass as escapes, which changes no value. encoding/json escapes only the
// lower controls.
func cleanJSON(data []byte) []byte {
	unsafe := func(r rune) bool { return r != '\n' && (unicode.IsControl(r) || invisible(r)) }
	text := string(data)
	if !strings.ContainsFunc(text, unsafe) {
		return data
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case !unsafe(r):
			b.WriteRune(r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return []byte(b.String())
}
