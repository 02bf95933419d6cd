package launch

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// traces are what a client leaves on a machine: its programs, and the
// directories that it or its installation makes.
type traces struct {
	title    string
	programs []string
	dirs     []string
}

func (h *Host) traces(client string) traces {
	home := func(path ...string) string { return filepath.Join(append([]string{h.Home}, path...)...) }
	switch client {
	case ClaudeCode:
		return traces{"Claude Code", []string{"claude"}, []string{h.Dir}}
	case "codex":
		t := traces{"Codex", []string{"codex"}, []string{home(".codex")}}
		if own := h.Getenv("CODEX_HOME"); own != "" {
			t.dirs = []string{own}
		}
		return t
	case "gemini":
		return traces{"Gemini CLI", []string{"gemini"}, []string{home(".gemini")}}
	case "opencode":
		return traces{"opencode", []string{"opencode"}, []string{filepath.Join(h.xdgConfig(), "opencode"), home(".opencode")}}
	case "cursor":
		t := traces{"Cursor", []string{"cursor", "cursor-agent"}, []string{home(".cursor")}}
		if runtime.GOOS == "darwin" {
			t.dirs = append(t.dirs, "/Applications/Cursor.app", home("Applications", "Cursor.app"))
		}
		return t
	}
	return traces{title: client}
}

// present looks for a client on this machine: where was found is a program or,
// without one on PATH, a directory of its own; empty if there is no trace of it,
// and then missing says in a sentence what was looked for.
func (h *Host) present(client string) (where, missing string) {
	t := h.traces(client)
	for _, name := range t.programs {
		if path, err := exec.LookPath(name); err == nil {
			return path, ""
		}
	}
	for _, dir := range t.dirs {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir, ""
		}
	}
	return "", fmt.Sprintf("%s was not found on this machine: no `%s` on PATH and no %s", t.title, strings.Join(t.programs, "` or `"), strings.Join(t.dirs, " or "))
}
