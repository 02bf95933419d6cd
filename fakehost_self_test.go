//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// serverOf gives a user a scripted MCP server and returns its journal.
func serverOf(u *hostUser, kinds ...string) (journal string) {
	u.t.Helper()
	journal = filepath.Join(u.home, "journal")
	args, _ := json.Marshal(append([]string{journal}, kinds...))
	u.write(".claude.json", fmt.Sprintf(`{"mcpServers": {"s": {"type": "stdio", "command": "fakeserver", "args": %s}}}`, args))
	return journal
}

// hooksOf writes settings with a hook for an event and leave to use the server.
func hooksOf(u *hostUser, event, hook string) {
	u.t.Helper()
	u.write(".claude/settings.json", fmt.Sprintf(`{"permissions": {"allow": ["mcp__s"]}, "hooks": {%q: [{"hooks": [%s]}]}}`, event, hook))
}

func TestFakeHostSpeaksAsMeasured(t *testing.T) {
	for _, c := range []struct {
		name  string
		kinds []string
		want  []string
	}{
		{"legacy", nil, []string{
			`server/discover "discover-1"`, "initialize 0", "notifications/initialized ", "tools/list", "prompts/list", "resources/list", "tools/call",
		}},
		{"modern", []string{"modern"}, []string{`server/discover "discover-1"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := newHostUser(t, "ann")
			journal := serverOf(u, c.kinds...)
			hooksOf(u, "None", "")
			s := u.start("claude")
			if c.name == "legacy" {
				s.must(hostCommand{Do: "begin", Text: "hi"})
				if got := s.call("echo", `{"say": "x"}`); got != "x" {
					t.Errorf("echo says %q", got)
				}
			}
			s.end()
			text, err := os.ReadFile(journal)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
			for i, line := range got {
				if strings.HasSuffix(c.want[min(i, len(c.want)-1)], "/list") || strings.HasPrefix(line, "tools/call") {
					got[i], _, _ = strings.Cut(line, " ") // the lists come in any order
				}
			}
			if len(got) == len(c.want) && len(got) > 3 {
				slices.Sort(got[3:6])
				slices.Sort(c.want[3:6])
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("the server was sent %q, want %q", got, c.want)
			}
		})
	}
}

func TestFakeHostShowsWhatHooksMayShow(t *testing.T) {
	const put = `{"type": "command", "command": %q}`
	for _, c := range []struct {
		name, event, command string
		want                 []string // ways of MAIL
	}{
		{"plain text at the start", "SessionStart", "echo MAIL", []string{"SessionStart"}},
		{"plain text with a prompt", "UserPromptSubmit", "echo MAIL", []string{"UserPromptSubmit"}},
		{"plain text after a tool", "PostToolUse", "echo MAIL", nil},
		{"context after a tool", "PostToolUse", `echo '{"hookSpecificOutput": {"hookEventName": "PostToolUse", "additionalContext": "MAIL"}}'`, []string{"PostToolUse"}},
		{"context at the end of the session", "SessionEnd", `echo '{"hookSpecificOutput": {"hookEventName": "SessionEnd", "additionalContext": "MAIL"}}'`, nil},
		{"a turn that goes on", "Stop", `test -e done || { touch done; echo '{"decision": "block", "reason": "MAIL"}'; }`, []string{"Stop"}},
		{"turns that never end", "Stop", `echo '{"decision": "block", "reason": "MAIL"}'`, slices.Repeat([]string{"Stop"}, stopsInARow)},
		{"a hook that fails", "UserPromptSubmit", "echo MAIL; exit 1", nil},
		{"what is asked for by the environment", "UserPromptSubmit", `test "$CLAUDECODE" = 1 && kill -0 "$CLAUDE_PID" && grep -q "$CLAUDE_CODE_SESSION_ID" && echo MAIL`, []string{"UserPromptSubmit"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := newHostUser(t, "ann")
			hooksOf(u, c.event, fmt.Sprintf(put, c.command))
			s := u.start("claude")
			s.must(hostCommand{Do: "begin", Text: "hi"})
			s.must(hostCommand{Do: "tool", Name: "Bash"})
			s.must(hostCommand{Do: "stop"})
			s.end()
			if got := s.ways("MAIL"); !slices.Equal(got, c.want) {
				t.Errorf("MAIL was shown by %q, want %q\n%s", got, c.want, s.story())
			}
		})
	}
}

func TestFakeHostIsWokenByAHookThatEndsWithTwo(t *testing.T) {
	for _, c := range []struct {
		name, command string
		want          []string
		faults        int
	}{
		{"two", "test -e done && exit 0; touch done; echo MAIL >&2; exit 2", []string{"wake"}, 0},
		{"none", "echo MAIL >&2", nil, 0},
		{"one", "echo MAIL >&2; exit 1", nil, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := newHostUser(t, "ann")
			hooksOf(u, "SessionStart", fmt.Sprintf(`{"type": "command", "command": %q, "asyncRewake": true, "rewakeSummary": "mail"}`, c.command))
			s := u.start("claude")
			switch {
			case c.want != nil:
				s.await("the turn to end", func(e hostEvent) bool { return e.Event == "idle" && e.Turn == 1 })
			case c.faults > 0:
				s.await("a fault", func(e hostEvent) bool { return e.Event == "fault" })
			}
			s.end()
			if got := s.ways("MAIL"); !slices.Equal(got, c.want) {
				t.Errorf("MAIL was shown by %q, want %q\n%s", got, c.want, s.story())
			}
			if got := s.faults(); len(got) != c.faults {
				t.Errorf("faults %q, want %d", got, c.faults)
			}
		})
	}
}

func TestFakeHostShowsAChannelOnlyIfAllAllowIt(t *testing.T) {
	for _, c := range []struct {
		name  string
		kinds []string
		on    bool
		args  []string
		want  int
	}{
		{"all allow it", []string{"channel"}, true, []string{"--dangerously-load-development-channels", "server:s"}, 1},
		{"the remote flag is off", []string{"channel"}, false, []string{"--dangerously-load-development-channels", "server:s"}, 0},
		{"not named", []string{"channel"}, true, []string{"--channels", "server:t"}, 0},
		{"no flag", []string{"channel"}, true, nil, 0},
		{"not capable", nil, true, []string{"--channels", "server:s"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := newHostUser(t, "ann")
			u.channels = c.on
			serverOf(u, c.kinds...)
			hooksOf(u, "None", "")
			s := u.start("claude", c.args...)
			s.must(hostCommand{Do: "begin", Text: "hi"})
			s.call("echo", `{"say": "x"}`)
			s.must(hostCommand{Do: "stop"})
			s.prompt("again")
			if got := s.ways(`<channel source="s" from="bob">by channel</channel>`); len(got) != c.want {
				t.Errorf("shown %d times, want %d\n%s", len(got), c.want, s.story())
			}
			if got := s.ways("void"); got != nil {
				t.Errorf("a notification with a number in meta was shown by %q", got)
			}
		})
	}
}

func TestFakeHostIsWokenByItsSocket(t *testing.T) {
	for _, c := range []struct {
		name, token string // what is added to the token
		want        []string
	}{{"with the token", "", []string{"socket"}}, {"with another", "x", nil}} {
		t.Run(c.name, func(t *testing.T) {
			u := newHostUser(t, "ann")
			s := u.start("claude")
			s.must(hostCommand{Do: "monitor", Text: "echo = $CLAUDE_CODE_MESSAGING_SOCKET $CLAUDE_CODE_MESSAGING_TOKEN"})
			words := strings.Fields(s.awaitSeen("= ").Text)
			conn, err := net.Dial("unix", words[1])
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, `{"type":"auth","token":%q}`+"\n", words[2]+c.token)
			fmt.Fprintln(conn, `{"type":"user","message":{"role":"user","content":"MAIL"}}`)
			s.await("the host's verdict", func(e hostEvent) bool { return e.Event == "seen" && e.Way == "socket" || e.Event == "fault" })
			if got := s.ways("MAIL"); !slices.Equal(got, c.want) {
				t.Errorf("MAIL was shown by %q, want %q", got, c.want)
			}
		})
	}
}

func TestFakeHostRefusesSessionIDsAsMeasured(t *testing.T) {
	u := newHostUser(t, "ann")
	const id = "01234567-89ab-cdef-0123-456789abcdef"
	s := u.start("claude", "--session-id", id)
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"no UUID", []string{"--session-id", "x"}, "Invalid session ID"},
		{"a live one", []string{"--session-id", id}, "already in use"},
		{"one for a resumed session", []string{"--session-id", id, "--resume", id}, "--fork-session"},
		{"unknown", []string{"--resume", "11234567-89ab-cdef-0123-456789abcdef"}, "No conversation found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := u.command("claude", c.args...).CombinedOutput()
			if err == nil || !strings.Contains(string(out), c.want) {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	s.prompt("hi")
	s.end()
	if again := u.start("claude", "--resume", id); again.ways("nothing") != nil {
		t.Error("a resumed session knows what nobody said")
	}
}
