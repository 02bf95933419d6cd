package seal

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLinksOfEveryShapeGiveTheirToken(t *testing.T) {
	const token = "abcdefghijklmnopqrstu" // 21 characters
	for _, input := range []string{
		"ic://join/" + token, "ic://join/" + token + "/", "  ic://join/" + token + "\n",
		"https://mesh.example/join/" + token, "http://127.0.0.1:7900/join/" + token, "https://mesh.example/de/join/" + token + "/",
		"\t" + token + " ",
	} {
		if got, err := ParseLink(input); err != nil || got != token {
			t.Errorf("%q: %q, %v", input, got, err)
		}
	}
	for input, want := range map[string]string{"ic://join/x": "x", "https://h/join/x": "x", "https://h/en/join/-_": "-_"} {
		if got, err := ParseLink(input); err != nil || got != want {
			t.Errorf("%q: %q, %v", input, got, err)
		}
	}
	i := exampleInvite()
	if err := i.Sign(seeded(3)); err != nil {
		t.Fatal(err)
	}
	if got, err := ParseLink(i.Link()); err != nil || got != exampleToken {
		t.Errorf("Link() gives %q, %v", got, err)
	}
}

func TestWhatIsNoLinkIsRefused(t *testing.T) {
	const token = "abcdefghijklmnopqrstu"
	for _, input := range []string{
		"", " ", token[:20], token + "=", token + "/", "ic://join/", "ic://join//", "ic://join/" + token + "//", "ic://join/a b", "ic://join/a/b",
		"IC://join/" + token, "ic://leave/" + token, "https://h/join/", "https://h/join", "https:///join/" + token, "ftp://h/join/" + token,
		"https://h/DE/join/" + token, "https://h/deu/join/" + token, "https://h/de/at/join/" + token, "https://h/join/" + token + "?x=1",
		"https://h/join/" + token + "#x", "https://h/join/" + token + "//", "https://a b/join/" + token, "https://h/x/join/" + token,
		strings.Repeat("A", MaxLink+1), "\xff\xfe", strings.Repeat("é", 100),
	} {
		got, err := ParseLink(input)
		wantIs(t, err, ErrInviteMalformed)
		if got != "" {
			t.Errorf("%q: an error and yet %q", input, got)
		}
	}
}

func TestLinkErrorsShowFortyCharactersAtMost(t *testing.T) {
	const shown = "ws://0123456789012345678901234567890123é"
	_, err := ParseLink(shown + "SECRET")
	if err == nil || !strings.Contains(err.Error(), shown) || strings.Contains(err.Error(), "S") {
		t.Errorf("error %v", err)
	}
	_, err = ParseLink("ic://join/" + strings.Repeat("a", 30) + "SECRET|")
	if err == nil || strings.Contains(err.Error(), "S") {
		t.Errorf("error %v", err)
	}
	_, err = ParseLink("\x1b[2J\x07")
	if err == nil || strings.ContainsAny(err.Error(), "\x1b\x07") {
		t.Errorf("the error sends control characters to the terminal: %q", err)
	}
}

func FuzzParseLink(f *testing.F) {
	for _, s := range []string{"ic://join/x", "https://h/de/join/" + exampleToken + "/", exampleToken, " x ", "ic://join/", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, input string) {
		token, err := ParseLink(input)
		if err != nil {
			wantIs(t, err, ErrInviteMalformed)
			// 40 characters, each of which may be escaped in up to ten, and the sentence around them.
			if utf8.RuneCountInString(err.Error()) > 600 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			return
		}
		again, err := ParseLink(linkPrefix + token)
		if len(token) < MaxLink-len(linkPrefix) && (err != nil || again != token) {
			t.Errorf("%q gives %q, which as a link gives %q, %v", input, token, again, err)
		}
		if !strings.Contains(input, token) {
			t.Errorf("%q is not part of %q", token, input)
		}
	})
}
