//go:build unix

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
)

// keepHooks leaves of the installed hooks those that keep says.
func (u *hostUser) keepHooks(keep func(event, command string) bool) {
	u.t.Helper()
	name := filepath.Join(u.home, ".claude", "settings.json")
	text, err := os.ReadFile(name)
	if err != nil {
		u.t.Fatal(err)
	}
	var settings struct {
		Permissions json.RawMessage        `json:"permissions"`
		Hooks       map[string][]hookGroup `json:"hooks"`
	}
	if err := json.Unmarshal(text, &settings); err != nil {
		u.t.Fatal(err)
	}
	for event, groups := range settings.Hooks {
		var kept []hookGroup
		for _, g := range groups {
			if keep(event, g.Hooks[0].Command) {
				kept = append(kept, g)
			}
		}
		settings.Hooks[event] = kept
	}
	text, err = json.Marshal(settings)
	if err != nil {
		u.t.Fatal(err)
	}
	u.write(".claude/settings.json", string(text))
}

// waits reports whether a hook is one that wakes.
func waits(command string) bool { return strings.Contains(command, " wait ") }
