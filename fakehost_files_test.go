package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// hostFiles are the files that the fake host shares with the world.
type hostFiles struct {
	claude   string // ~/.claude
	user     string // ~/.claude.json
	cwd      string // with links resolved
	id       string
	settings hostSettings
}

type hostSettings struct {
	Permissions struct{ Allow []string }
	Hooks       map[string][]hookGroup
}

// mcpEntry is how a server is started.
type mcpEntry struct {
	Type    string            `json:"type"`
	Command string            `json:"command"`
	Args    []string          `json:"args"`
	Env     map[string]string `json:"env"`
}

func openHostFiles() (*hostFiles, error) {
	home := os.Getenv("HOME")
	f := &hostFiles{claude: filepath.Join(home, ".claude"), user: filepath.Join(home, ".claude.json")}
	if dir := os.Getenv("CLAUDE_CONFIG_DIR"); dir != "" {
		f.claude, f.user = dir, filepath.Join(dir, ".claude.json")
	}
	wd, err := os.Getwd()
	if err == nil {
		f.cwd, err = filepath.EvalSymlinks(wd)
	}
	return f, err
}

// hooks reads settings.json. One that is no JSON counts for nothing.
func (f *hostFiles) hooks(ctl *control) map[string][]hookGroup {
	text, err := os.ReadFile(filepath.Join(f.claude, "settings.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(text, &f.settings)
	}
	if err != nil {
		f.settings = hostSettings{}
		ctl.fault("settings.json: %v", err)
	}
	return f.settings.Hooks
}

// allowed reports whether a tool may be called without asking.
func (f *hostFiles) allowed(server, tool string) bool {
	return slices.ContainsFunc(f.settings.Permissions.Allow, func(rule string) bool {
		return rule == tool || rule == "mcp__"+server || rule == "mcp__"+server+"__*"
	})
}

// servers returns the MCP servers of the user and of the command line.
func (f *hostFiles) servers(flags hostFlags) (map[string]mcpEntry, error) {
	all := make(map[string]mcpEntry)
	sources := slices.Clone(flags.mcpConfig)
	if !flags.strictMCP {
		sources = append(sources, f.user)
	}
	for _, source := range sources {
		text := []byte(source)
		if !strings.HasPrefix(source, "{") {
			var err error
			if text, err = os.ReadFile(source); errors.Is(err, os.ErrNotExist) {
				continue
			} else if err != nil {
				return nil, err
			}
		}
		var config struct {
			MCPServers map[string]mcpEntry `json:"mcpServers"`
		}
		if err := json.Unmarshal(text, &config); err != nil {
			return nil, fmt.Errorf("MCP configuration: %w", err)
		}
		maps.Copy(all, config.MCPServers)
	}
	return all, nil
}

// begin makes the session one that lives.
func (f *hostFiles) begin(id string) error {
	f.id = id
	for _, dir := range []string{filepath.Dir(f.transcript(id)), filepath.Join(f.claude, "sessions")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	live, err := json.Marshal(map[string]any{"pid": os.Getpid(), "sessionId": id, "cwd": f.cwd})
	if err != nil {
		return err
	}
	return os.WriteFile(f.liveFile(os.Getpid()), live, 0o600)
}

func (f *hostFiles) end() { os.Remove(f.liveFile(os.Getpid())) }

func (f *hostFiles) liveFile(pid int) string {
	return filepath.Join(f.claude, "sessions", strconv.Itoa(pid)+".json")
}

// live reports whether a process has the session.
func (f *hostFiles) live(id string) bool {
	names, _ := filepath.Glob(filepath.Join(f.claude, "sessions", "*.json"))
	return slices.ContainsFunc(names, func(name string) bool {
		var s struct {
			PID       int
			SessionID string
		}
		text, err := os.ReadFile(name)
		if err != nil || json.Unmarshal(text, &s) != nil || s.SessionID != id {
			return false
		}
		p, err := os.FindProcess(s.PID)
		return err == nil && p.Signal(syscall.Signal(0)) == nil
	})
}

// transcript is the file of a session's transcript.
func (f *hostFiles) transcript(id string) string {
	return filepath.Join(projectDir(f.claude, f.cwd), id+".jsonl")
}

// has reports whether a session has a transcript.
func (f *hostFiles) has(id string) bool {
	_, err := os.Stat(f.transcript(id))
	return err == nil
}

// newest returns the id of the session of this directory that was last used.
func (f *hostFiles) newest() (id string) {
	names, _ := filepath.Glob(f.transcript("*"))
	var last int64
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && info.ModTime().UnixNano() > last {
			id, last = strings.TrimSuffix(filepath.Base(name), ".jsonl"), info.ModTime().UnixNano()
		}
	}
	return id
}

// log appends to the transcript.
func (f *hostFiles) log(role, text string) {
	file, err := os.OpenFile(f.transcript(f.id), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer file.Close()
	file.WriteString(transcriptLine(f.id, role, text))
}

// uuidShape reports whether an id has the shape that --session-id takes.
func uuidShape(id string) bool {
	ok, err := regexp.MatchString("^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$", id)
	return ok && err == nil
}
