package tools

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"claudemesh/wire"
)

func TestTranscriptTellsWhatTheSessionDoes(t *testing.T) {
	const (
		prompt   = `{"type":"user","message":{"role":"user","content":"do it"}}` + "\n"
		toolUse  = `{"type":"assistant","message":{"role":"assistant","stop_reason":"tool_use","content":[]}}` + "\n"
		finished = `{"type":"assistant","message":{"role":"assistant","stop_reason":"end_turn","content":[]}}` + "\n"
		side     = `{"type":"assistant","isSidechain":true,"message":{"stop_reason":"end_turn"}}` + "\n"
		stopped  = `{"type":"user","message":{"role":"user","content":[{"type":"text","text":"[Request interrupted by user]"}]}}` + "\n"
		other    = `{"type":"file-history-snapshot"}` + "\n" + `{"type":"system"}` + "\n"
	)
	for _, c := range []struct {
		name, text string
		want       wire.Status
	}{
		{"empty", "", ""}, {"nothing of use", other, ""}, {"a prompt", prompt, wire.Working}, {"a tool", prompt + toolUse, wire.Working},
		{"the end of a turn", prompt + toolUse + finished, wire.Idle}, {"a helper that ended", prompt + side, wire.Working},
		{"what tells nothing comes after", prompt + finished + other, wire.Idle}, {"Escape", prompt + stopped, wire.Idle},
		{"half a line", finished + prompt[:20], wire.Idle}, {"no transcript", "\x00\xff{}[]\n\n\n", ""},
		{"more than is read", strings.Repeat(prompt, 10_000) + finished, wire.Idle}, {"one line too long", strings.Repeat("x", 2*transcriptTail), ""},
	} {
		path := filepath.Join(t.TempDir(), "s.jsonl")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := transcriptStatus(path); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if got := transcriptStatus(filepath.Join(t.TempDir(), "none")); got != "" {
		t.Errorf("no file: %q", got)
	}
}

func FuzzEntryStatus(f *testing.F) {
	f.Add([]byte(`{"type":"assistant","message":{"stop_reason":"end_turn"}}`))
	f.Add([]byte(`{"type":7}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if s := entryStatus(line); s != "" && s != wire.Idle && s != wire.Working {
			t.Errorf("%q tells %q", line, s)
		}
	})
}
