package tools

import (
	"strings"
	"unicode"

	"claudemesh/wire"
)

// neutral makes the words of a peer harmless without changing what they say:
// control and invisible characters are removed, and what looks like the start
// of one of the host's own tags loses its bracket. Line breaks and tabs stay.
func neutral(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	runes := make([]rune, 0, len(text))
	for _, r := range text {
		switch {
		case r == '\u2028' || r == '\u2029' || r == '\r' || r == '\u0085' || r == '\v' || r == '\f':
			runes = append(runes, '\n')
		case r == '\n' || r == '\t':
			runes = append(runes, r)
		case unicode.IsControl(r):
			runes = append(runes, unicode.ReplacementChar)
		case !hidden(r):
			runes = append(runes, r)
		}
	}
	for i, r := range runes {
		if opensTag(r) && reservedTag(runes[i+1:]) {
			runes[i] = '['
		}
	}
	return string(runes)
}

// neutralLine is neutral for a text that stays on one line and within quotes:
// a name, a summary, the first line of a message. It has at most n characters.
func neutralLine(text string, n int) string {
	text = strings.Map(func(r rune) rune {
		switch r {
		case '\n', '\t':
			return ' '
		case '"':
			return '\''
		}
		return r
	}, neutral(text))
	return wire.Shorten(strings.TrimSpace(neutral(text)), n) // joined lines may make a tag
}

// hidden reports whether r has no image and could hide or reorder what stands
// around it. Joiners stay for the scripts that need them.
func hidden(r rune) bool {
	switch {
	case r == '\u200c' || r == '\u200d':
		return false
	case r >= 0x600 && r <= 0x605, r == 0x6dd, r == 0x70f, r == 0x890, r == 0x891, r == 0x8e2, r == 0x110bd, r == 0x110cd:
		return false
	case r >= 0xe0100 && r <= 0xe01ef: // variation selectors, which can carry a hidden text
		return true
	}
	return unicode.Is(unicode.Cf, r)
}

// opensTag reports whether r is, or looks like, the start of a tag.
func opensTag(r rune) bool {
	return strings.ContainsRune("<＜﹤‹〈⟨〈˂ᐸ❮❰", r)
}

// reservedTags are the beginnings of names that the host gives a meaning to,
// letters only.
var reservedTags = [...]string{
	"channel", "crosssession", "system", "user", "human", "assistant", "antml", "function", "invoke", "tool",
	"task", "command", "localcommand", "bash", "teammate", "thinking",
}

// reservedTag reports whether a name that a host gives a meaning to follows,
// whatever stands between its letters and however they are drawn.
func reservedTag(after []rune) bool {
	var name strings.Builder
	for _, r := range after[:min(len(after), 64)] {
		r = plainLetter(r)
		switch {
		case r >= 'a' && r <= 'z':
			name.WriteRune(r)
		case r == '>' || r == '=' || r == '\n' && name.Len() > 0:
			return hasReserved(name.String())
		}
	}
	return hasReserved(name.String())
}

func hasReserved(name string) bool {
	for _, tag := range reservedTags {
		if strings.HasPrefix(name, tag) {
			return true
		}
	}
	return false
}

// drawnAlike are letters that look like the Latin ones of drawnAs.
const (
	drawnAlike = "аеорсухіјѕһԁԛԝьτνοαρκιυıᴄʜᴀɴᴇʟѵкмтнɡӏⅼ"
	drawnAs    = "aeopcyxijshdqwbtvoapkiuichanelvkmthgll"
)

// plainLetter returns the small Latin letter that r is, or is drawn like.
func plainLetter(r rune) rune {
	switch {
	case r >= 0xff21 && r <= 0xff3a: // full width
		r = r - 0xff21 + 'A'
	case r >= 0xff41 && r <= 0xff5a:
		r = r - 0xff41 + 'a'
	case r >= 0x1d400 && r <= 0x1d6a3: // mathematical alphabets of 52 letters each
		r = 'a' + (r-0x1d400)%26
	}
	r = unicode.ToLower(r)
	i := 0
	for _, d := range drawnAlike {
		if d == r {
			return rune(drawnAs[i])
		}
		i++
	}
	return r
}
