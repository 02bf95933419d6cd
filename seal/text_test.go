package seal

import (
	"crypto/sha256"
	"strings"
	"testing"
)

func TestTextsAreAsTheProtocolWritesThem(t *testing.T) {
	pub := strings.ToUpper(seeded(1).Public().String())
	for _, tt := range []struct {
		name, want string
		build      func() (string, error)
	}{
		{"hello", "m|e|" + pub + "|17", func() (string, error) { return HelloText("m", "e", pub, 17) }},
		{"session", "m|e|" + pub + "|s|17", func() (string, error) { return SessionText("m", "e", pub, "s", 17) }},
		{"hook", "hook|m|" + pub + "|idle|sid|/a|b/|17", func() (string, error) { return HookText("m", pub, "idle", "sid", "/a|b/", 17) }},
		{"hook without session", "hook|m|" + pub + "|idle||/a|17", func() (string, error) { return HookText("m", pub, "idle", "", "/a", 17) }},
		{"join", "join|m|" + pub + "|tok", func() (string, error) { return JoinText("m", pub, "tok") }},
		{"http", "http|PATCH|/mesh/m/settings|" + pub + "|17|e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			func() (string, error) {
				return HTTPText("PATCH", "/mesh/m/settings", pub, 17, sha256.Sum256(nil))
			}},
		{"http, path with a bar", "http|GET|/a|b?c|" + pub + "|17|ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
			func() (string, error) { return HTTPText("GET", "/a|b?c", pub, 17, sha256.Sum256([]byte("abc"))) }},
	} {
		if got, err := tt.build(); err != nil || got != tt.want {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
}

func TestTextsThatCouldBeReadTwoWaysAreRefused(t *testing.T) {
	for name, build := range map[string]func() (string, error){
		"hello, mesh":            func() (string, error) { return HelloText("a|b", "e", "k", 1) },
		"hello, member":          func() (string, error) { return HelloText("m", "a|b", "k", 1) },
		"hello, key":             func() (string, error) { return HelloText("m", "e", "k|k", 1) },
		"hello that is a join":   func() (string, error) { return HelloText("join", "m", "k", 1) },
		"session that is a cast": func() (string, error) { return SessionText("multicast", "m", "k", "n", 1) },
		"session, key":           func() (string, error) { return SessionText("m", "e", "k", "s|s", 1) },
		"hook, status":           func() (string, error) { return HookText("m", "k", "idle|", "s", "/", 1) },
		"hook, session":          func() (string, error) { return HookText("m", "k", "idle", "s|", "/", 1) },
		"join, token":            func() (string, error) { return JoinText("m", "k", "t|t") },
		"http, method":           func() (string, error) { return HTTPText("GET|", "/", "k", 1, [32]byte{}) },
		"http, key":              func() (string, error) { return HTTPText("GET", "/", "k|", 1, [32]byte{}) },
		"not UTF-8":              func() (string, error) { return HookText("m", "k", "idle", "s", "/\xff", 1) },
	} {
		if text, err := build(); err == nil {
			t.Errorf("%s: %q was not refused", name, text)
		}
	}
}
