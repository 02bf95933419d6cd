package wire

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseTarget(t *testing.T) {
	hex := strings.Repeat("0123456789abcdef", 5)
	upper := strings.ToUpper(hex)
	key := func(s string) Target { return Target{ToKey, s} }
	prefix := func(s string) Target { return Target{ToPrefix, s} }
	group := func(s string) Target { return Target{ToGroup, s} }
	longest := strings.Repeat("g", MaxGroupName)
	accepted := map[string]Target{
		hex[:64]:              key(hex[:64]),
		upper[:64]:            key(hex[:64]),
		hex[:32] + upper[:32]: key(hex[:64]),
		hex[:63]:              prefix(hex[:63]),
		hex[:8]:               prefix(hex[:8]),
		"DEADBEEF":            prefix("deadbeef"),
		"00000000":            prefix("00000000"),
		"*":                   {Kind: ToAll},
		"@all":                {Kind: ToAll},
		"@All":                group("All"),
		"@all/x":              group("all/x"),
		"@a":                  group("a"),
		"@a/b":                group("a/b"),
		"@a/b/c":              group("a/b/c"),
		"@eng-1/back_end.x":   group("eng-1/back_end.x"),
		"@0123456789":         group("0123456789"),
		"@équipe/日本":          group("équipe/日本"),
		"@" + longest:         group(longest),
	}
	for spec, want := range accepted {
		t.Run(Shorten(spec, 20), func(t *testing.T) {
			got, err := ParseTarget(spec)
			if err != nil || got != want {
				t.Errorf("ParseTarget(%q) = %+v, %v, want %+v", spec, got, err, want)
			}
		})
	}
}

func TestParseTargetRefuses(t *testing.T) {
	hex := strings.Repeat("0123456789abcdef", 5)
	refused := []string{
		"", " ", "**", "* ", " *", "all", "alice", "webhook:x", "system",
		hex[:7], hex[:65], hex[:80], hex[:63] + "g", hex[:7] + " ", "0x" + hex[:62], hex[:62] + "é", hex[:64] + "\n",
		"@", "@@a", "@@all", "@a//b", "@/a", "@a/", "@/", "@.a", "@-a", "@_a", "@a/.b", "@a b", "@a@b", "@a,b", "@*",
		"@a\n", "@a\x00", "@\xff", "@a\u2028", "@" + strings.Repeat("g", MaxGroupName+1),
		"#", "#general", "tag:", "tag:x", "@#a", "\xff\xfe",
	}
	for _, spec := range refused {
		t.Run(Shorten(spec, 20), func(t *testing.T) {
			got, err := ParseTarget(spec)
			if !errors.Is(err, &Error{Code: InvalidTarget}) || got != (Target{}) {
				t.Errorf("ParseTarget(%q) = %+v, %v, want code %s", spec, got, err, InvalidTarget)
			}
		})
	}
}

func TestTargetErrorsSayWhatToDo(t *testing.T) {
	huge := strings.Repeat("x", 1<<20)
	for spec, want := range map[string]string{
		"@a//b":       "write @name",
		"#general":    "reserved",
		"tag:x":       "reserved",
		"alice":       "first 8",
		huge:          "…",
		"@" + huge:    "…",
		"tag:" + huge: "…",
	} {
		_, err := ParseTarget(spec)
		if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 300 {
			t.Errorf("ParseTarget(%q): %v, want a short text with %q", Shorten(spec, 20), err, want)
		}
	}
}

func TestMulticast(t *testing.T) {
	for spec, want := range map[string]bool{"*": true, "@all": true, "@a": true, "deadbeef": false, strings.Repeat("a", 64): false} {
		if target, err := ParseTarget(spec); err != nil || target.Multicast() != want {
			t.Errorf("%s: %+v, %v, want multicast %v", spec, target, err, want)
		}
	}
}

func TestIsHex(t *testing.T) {
	for b := range 256 {
		want := strings.ContainsRune("0123456789abcdefABCDEF", rune(b)) && b < utf8.RuneSelf
		if got := IsHex(string([]byte{byte(b)})); got != want {
			t.Errorf("IsHex of byte %#x = %v", b, got)
		}
	}
	if IsHex("") || IsHex("12g4") {
		t.Error("IsHex takes the empty string or a letter beyond f")
	}
}

func TestShorten(t *testing.T) {
	for _, tt := range []struct {
		in   string
		n    int
		want string
	}{
		{"", 0, ""}, {"a", 0, "…"}, {"abc", 3, "abc"}, {"abcd", 3, "abc…"}, {"äöü", 3, "äöü"}, {"äöüß", 3, "äöü…"},
	} {
		if got := Shorten(tt.in, tt.n); got != tt.want {
			t.Errorf("Shorten(%q, %d) = %q, want %q", tt.in, tt.n, got, tt.want)
		}
	}
}
