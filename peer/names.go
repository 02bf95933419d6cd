package peer

import (
	"fmt"
	"os"
)

// DisplayName returns the name a session shows: CLAUDEMESH_DISPLAY_NAME, else
// the configured one. Empty leaves it to the broker, which takes the member's.
func DisplayName(getenv func(string) string, c *Config) string {
	if name := getenv("CLAUDEMESH_DISPLAY_NAME"); name != "" {
		return name
	}
	return c.DisplayName
}

// CommandName returns the display name of a command: DisplayName, else
// <hostname>-<pid>.
func CommandName(getenv func(string) string, c *Config) string {
	if name := DisplayName(getenv, c); name != "" {
		return name
	}
	return ProcessName()
}

// ProcessName returns <hostname>-<pid> of this process.
func ProcessName() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "unknown"
	}
	return fmt.Sprintf("%s-%d", host, os.Getpid())
}

// HostProcess is the variable by which launch says which process the host is
// that it started.
const HostProcess = "CLAUDEMESH_HOST_PID"

// HostSessionID returns the host session this process belongs to as its
// environment says: CLAUDEMESH_SESSION_ID, which launch sets, else
// CLAUDE_CODE_SESSION_ID, which the host gives to what it starts; empty
// outside of a session. A host that runs within a launched one inherits the
// former, and would take the mail of the session that it is in: where CLAUDE_PID
// is not HostProcess, the latter holds.
func HostSessionID(getenv func(string) string) string {
	launched, own := getenv("CLAUDEMESH_SESSION_ID"), getenv("CLAUDE_CODE_SESSION_ID")
	process := getenv(HostProcess)
	if launched == "" || own != "" && process != "" && process != getenv("CLAUDE_PID") {
		return own
	}
	return launched
}

// LaunchedWithChannel is the variable by which launch tells the MCP server of
// the session, with 1, that the host was started with its channel.
const LaunchedWithChannel = "CLAUDEMESH_LAUNCHED_WITH_CHANNEL"

// NativeServices is the variable by which launch tells the MCP server of the
// session which deployed services the host has as servers of their own: their
// names, with commas.
const NativeServices = "CLAUDEMESH_NATIVE_SERVICES"
