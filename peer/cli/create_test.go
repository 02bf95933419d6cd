package cli

import (
	"os"
	"path/filepath"
	"testing"
)

func TestBrokersAreNamedAsPeopleDo(t *testing.T) {
	for text, want := range map[string]string{
		"mesh.example.com":                "ws://mesh.example.com/ws",
		"localhost:7900":                  "ws://localhost:7900/ws",
		"http://localhost:7900":           "ws://localhost:7900/ws",
		"https://mesh.example.com/":       "wss://mesh.example.com/ws",
		"wss://mesh.example.com/ws":       "wss://mesh.example.com/ws",
		"wss://mesh.example.com/other/ws": "wss://mesh.example.com/other/ws",
	} {
		if got, err := socketURL(text); got != want || err != nil {
			t.Errorf("%s is %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "ftp://x", "ws://", "://", "ws://me:secret@host"} {
		if got, err := socketURL(text); err == nil {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
}

func TestTokensComeFromEitherFile(t *testing.T) {
	for content, want := range map[string]string{
		"secret\n": "secret", `{"serverKey":"k","adminToken":"secret"}`: "secret",
		"": "", "{}": "", "two words": "", "\x1b": "",
	} {
		name := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readToken(name); got != want || (err == nil) != (want != "") {
			t.Errorf("%q holds %q, %v; want %q", content, got, err, want)
		}
	}
}
