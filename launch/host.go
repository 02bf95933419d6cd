package launch

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"claudemesh/peer"
)

// serverName is what the MCP server is called in the settings of every client.
const serverName = "claudemesh"

// A Host is a user's host program, as far as its files and how to call this
// program go.
type Host struct {
	// Home is the user's home directory.
	Home string
	// Dir is where Claude Code keeps settings.json: $CLAUDE_CONFIG_DIR, else
	// .claude in Home.
	Dir string
	// Global is Claude Code's file of MCP servers, .claude.json in Home or in
	// $CLAUDE_CONFIG_DIR.
	Global string
	// ConfigDir is the configuration directory of claudemesh, that of the user
	// and not one that Launch made for a session.
	ConfigDir string
	// Executable is the absolute path of this program.
	Executable string
	// Command is how the settings call this program: by its name where PATH
	// leads to it, else by its path.
	Command string
	// Getenv reads the environment.
	Getenv func(string) string
}

// NewHost finds the files of the user's host program. configDir is the
// configuration directory in force. It fails without a home directory.
func NewHost(getenv func(string) string, configDir string) (*Host, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, fmt.Errorf("find the settings of Claude Code: %w", err)
	}
	h := &Host{Home: home, Getenv: getenv, ConfigDir: userConfigDir(configDir)}
	h.Dir, h.Global = filepath.Join(home, ".claude"), filepath.Join(home, ".claude.json")
	if dir := getenv("CLAUDE_CONFIG_DIR"); dir != "" {
		h.Dir, h.Global = dir, filepath.Join(dir, ".claude.json")
	}
	if h.Executable, err = os.Executable(); err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	h.Command = commandFor(h.Executable)
	return h, nil
}

// userConfigDir leads from the configuration that Launch made for a session
// to the user's own.
func userConfigDir(dir string) string {
	c, err := peer.LoadConfig(dir)
	if err != nil || c.SessionsDir == "" {
		return dir
	}
	return filepath.Dir(c.SessionsDir)
}

// commandFor returns the name of this program if a shell would find this very
// file by it.
func commandFor(executable string) string {
	found, err := exec.LookPath(serverName)
	if err != nil {
		return executable
	}
	a, errA := os.Stat(found)
	b, errB := os.Stat(executable)
	if errA != nil || errB != nil || !os.SameFile(a, b) {
		return executable
	}
	return serverName
}

// settings returns the path of Claude Code's settings.json.
func (h *Host) settings() string { return filepath.Join(h.Dir, "settings.json") }

// shell returns a command line that calls this program with args.
func (h *Host) shell(args ...string) string {
	return strings.Join(append([]string{quote(h.Command)}, args...), " ")
}

// quote makes a path one word of a shell's command line.
func quote(word string) string {
	if strings.IndexFunc(word, func(r rune) bool {
		return !strings.ContainsRune("+-./:=@_", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
