package peer

import (
	"strings"
	"testing"
)

func TestNamesFollowTheirPrecedence(t *testing.T) {
	env := func(pairs ...string) func(string) string {
		return func(key string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == key {
					return pairs[i+1]
				}
			}
			return ""
		}
	}
	named, unnamed := &Config{DisplayName: "Ada"}, &Config{}
	bob := env("CLAUDEMESH_DISPLAY_NAME", "Bob")
	for _, tt := range []struct{ name, got, want string }{
		{"environment wins", DisplayName(bob, named), "Bob"},
		{"configuration", DisplayName(env(), named), "Ada"},
		{"session without a name", DisplayName(env(), unnamed), ""},
		{"command with a name", CommandName(env(), named), "Ada"},
		{"command without a name", CommandName(env(), unnamed), ProcessName()},
		{"own session id", HostSessionID(env("CLAUDE_CODE_SESSION_ID", "b", "CLAUDEMESH_SESSION_ID", "a")), "a"},
		{"the host's session id", HostSessionID(env("CLAUDE_CODE_SESSION_ID", "b")), "b"},
		{"within a launched host", HostSessionID(env("CLAUDE_CODE_SESSION_ID", "b", "CLAUDEMESH_SESSION_ID", "a", HostProcess, "7", "CLAUDE_PID", "7")), "a"},
		{"within a host that runs in a launched one", HostSessionID(env("CLAUDE_CODE_SESSION_ID", "b", "CLAUDEMESH_SESSION_ID", "a", HostProcess, "7", "CLAUDE_PID", "8")), "b"},
		{"within a host that names no session", HostSessionID(env("CLAUDEMESH_SESSION_ID", "a", HostProcess, "7")), "a"},
		{"outside of a session", HostSessionID(env()), ""},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, tt.got, tt.want)
		}
	}
	if !strings.Contains(ProcessName(), "-") {
		t.Errorf("process name %q", ProcessName())
	}
}
