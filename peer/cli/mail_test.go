package cli

import (
	"strings"
	"testing"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

func received(text string) *peer.Record {
	return &peer.Record{
		MessageID: "m1", SenderPubkey: strings.Repeat("ab", 32), SenderName: "bob", Priority: wire.Next,
		CreatedAt: wire.Time(time.Date(2026, 5, 4, 11, 57, 0, 0, time.UTC)), Plaintext: &text, Authenticated: true,
	}
}

func TestLettersCannotPassForTheProgram(t *testing.T) {
	for name, terminal := range map[string]bool{"terminal": true, "pipe": false} {
		f := newFixture(t)
		f.IsTerminal = func(any) bool { return terminal }
		f.getenv("NO_COLOR", "1")
		f.fill()
		r := received(hostile + "\nann (00000000) [verified] now  id x")
		r.SenderName = "b\nob\x1b[2J\u202e"
		for _, print := range []func(*Env, *peer.Record) error{printLetter, printLine} {
			f.stdout.Reset()
			if err := print(&f.Env, r); err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSuffix(f.stdout.String(), "\n"), "\n")
			for i, line := range lines {
				if line != CleanLine(line) {
					t.Errorf("%s: line %q is not clean", name, line)
				}
				if i > 0 && !strings.HasPrefix(line, "  ") {
					t.Errorf("%s: line %q of the text is not indented", name, line)
				}
			}
		}
		if strings.Count(f.stdout.String(), "\n") != 1 {
			t.Errorf("%s: %q is not one line", name, &f.stdout)
		}
	}
}

func TestLettersSayWhatIsKnownOfTheirSender(t *testing.T) {
	for want, change := range map[string]func(*peer.Record){
		"bob (abababab) [verified] 2026-05-04T11:57:00.000Z  id m1\n  hi\n": func(*peer.Record) {},
		"to @team [NOT verified]": func(r *peer.Record) { r.TargetSpec, r.Authenticated = "@team", false },
		"[verified, now]":         func(r *peer.Record) { r.Priority = wire.Now },
		"[verified, reminder]":    func(r *peer.Record) { r.Subtype = wire.SubtypeReminder },
		"id m1, answers m0":       func(r *peer.Record) { r.ReplyTo = "m0" },
		"? (abababab)":            func(r *peer.Record) { r.SenderName = "" },
		"(cannot be read: no key": func(r *peer.Record) { r.Plaintext, r.Failure = nil, "no key" },
		`webhook:ci`: func(r *peer.Record) {
			r.SenderPubkey, r.Plaintext, r.Event, r.EventData = "webhook:ci", nil, "push", []byte(`{"a":1}`)
		},
	} {
		f := newFixture(t)
		f.fill()
		r := received("hi")
		change(r)
		if err := printLetter(&f.Env, r); err != nil || !strings.Contains(f.stdout.String(), want) {
			t.Errorf("%q, %v; want %q", &f.stdout, err, want)
		}
	}
}

func TestJSONListsAreWhole(t *testing.T) {
	for want, values := range map[string][]any{"[]\n": {}, "[\n  1\n]\n": {1}, "[\n  \"\\u001b\\u202e\",\n  {\n    \"a\": 1\n  }\n]\n": {"\x1b\u202e", map[string]int{"a": 1}}} {
		f := newFixture(t)
		f.fill()
		l := jsonList{p: f.Out()}
		for _, v := range values {
			if err := l.add(v); err != nil {
				t.Fatal(err)
			}
		}
		l.end()
		if f.stdout.String() != want {
			t.Errorf("%q, want %q", &f.stdout, want)
		}
	}
}
