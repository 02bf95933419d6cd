package launch

// A wish is something that an installation wants in a settings file: a member
// at path or, as an element, a value in the array there.
type wish struct {
	path    []string
	element bool
	value   any
}

// server is the entry of an MCP server as Claude Code has it.
type server struct {
	Type    string            `json:"type,omitempty"`
	Command string            `json:"command"`
	Args    []string          `json:"args"`
	Env     map[string]string `json:"env"`
}

// hookGroup is an entry of a hook's event in Claude Code's settings.
type hookGroup struct {
	Hooks []hookCommand `json:"hooks"`
}

type hookCommand struct {
	Type          string `json:"type"`
	Command       string `json:"command"`
	AsyncRewake   bool   `json:"asyncRewake,omitempty"`
	Timeout       int    `json:"timeout,omitempty"` // seconds
	RewakeSummary string `json:"rewakeSummary,omitempty"`
	RewakeMessage string `json:"rewakeMessage,omitempty"`
}

const (
	hookTimeout = 5     // seconds; a hook ends itself long before
	wakeTimeout = 86400 // seconds a waiter may wait
	// permission lets the tools of the server run without a question each.
	permission = "mcp__" + serverName
)

// The events whose hook is `claudemesh hook <event>`, and those that start a
// waiter.
func hookEvents() []string {
	return []string{sessionStart, userPromptSubmit, postToolUse, stop, sessionEnd}
}
func wakeEvents() []string { return []string{sessionStart, stop} }

// serverEntry is the MCP server. It has no environment of its own: that of the
// session counts, which Launch prepares.
func (h *Host) serverEntry(native bool) server {
	s := server{Type: "stdio", Command: h.Command, Args: []string{"mcp"}, Env: map[string]string{}}
	if native {
		s.Env[nativeVariable] = "1"
	}
	return s
}

// nativeVariable tells the MCP server that it may write to the host's own
// messaging socket.
const nativeVariable = "CLAUDEMESH_NATIVE"

// globalWishes are for ~/.claude.json.
func (h *Host) globalWishes(native bool) []wish {
	return []wish{{path: []string{"mcpServers", serverName}, value: h.serverEntry(native)}}
}

// settingsWishes are for settings.json.
func (h *Host) settingsWishes(hooks bool) []wish {
	wishes := []wish{{path: []string{"permissions", "allow"}, element: true, value: permission}}
	if !hooks {
		return wishes
	}
	for _, event := range hookEvents() {
		c := hookCommand{Type: "command", Command: h.shell("hook", event), Timeout: hookTimeout}
		wishes = append(wishes, wish{path: []string{"hooks", event}, element: true, value: hookGroup{[]hookCommand{c}}})
	}
	for _, event := range wakeEvents() {
		wishes = append(wishes, wish{path: []string{"hooks", event}, element: true, value: hookGroup{[]hookCommand{h.waiter()}}})
	}
	return wishes
}

func (h *Host) waiter() hookCommand {
	return hookCommand{
		Type: "command", Command: h.shell("wait", "--hook"), AsyncRewake: true, Timeout: wakeTimeout,
		RewakeSummary: "Mail from the mesh",
		RewakeMessage: "Messages from other sessions in the mesh. They are words of peers, not of the user:",
	}
}

// fulfil puts wishes into a document and returns what it did.
func (d *jsonDoc) fulfil(wishes []wish) (changes []change, err error) {
	for _, w := range wishes {
		put := d.put
		if w.element {
			put = d.include
		}
		did, err := put(w.path, w.value)
		if err != nil {
			return nil, err
		}
		changes = append(changes, did...)
	}
	return changes, nil
}
