package launch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// Clients are the MCP clients beside Claude Code that Install knows.
func Clients() []string { return []string{"codex", "gemini", "opencode", "cursor"} }

// client returns where a client keeps its MCP servers, and the entry that it
// wants there.
func (h *Host) client(name string) (target, error) {
	entry := struct {
		Command string   `json:"command"`
		Args    []string `json:"args"`
	}{h.Command, []string{"mcp"}}
	switch name {
	case "codex":
		dir := filepath.Join(h.Home, ".codex")
		if own := h.Getenv("CODEX_HOME"); own != "" {
			dir = own
		}
		return target{path: filepath.Join(dir, "config.toml"), text: h.codexTable()}, nil
	case "gemini":
		return target{path: filepath.Join(h.Home, ".gemini", "settings.json"), wishes: []wish{{path: []string{"mcpServers", serverName}, value: entry}}}, nil
	case "cursor":
		return target{path: filepath.Join(h.Home, ".cursor", "mcp.json"), wishes: []wish{{path: []string{"mcpServers", serverName}, value: entry}}}, nil
	case "opencode":
		local := struct {
			Type    string   `json:"type"`
			Command []string `json:"command"`
			Enabled bool     `json:"enabled"`
		}{"local", []string{h.Command, "mcp"}, true}
		return target{path: filepath.Join(h.xdgConfig(), "opencode", "opencode.json"), wishes: []wish{{path: []string{"mcp", serverName}, value: local}}}, nil
	}
	return target{}, fmt.Errorf("unknown client %q: it is one of %s, %s", name, ClaudeCode, strings.Join(Clients(), ", "))
}

func (h *Host) xdgConfig() string {
	if dir := h.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return dir
	}
	return filepath.Join(h.Home, ".config")
}

// codexTable is the server as a table of TOML. A JSON string without
// characters beyond the basic plane is a TOML string too.
func (h *Host) codexTable() string {
	command, err := json.Marshal(h.Command)
	if err != nil {
		command = []byte(`"` + serverName + `"`)
	}
	return "[mcp_servers." + serverName + "]\ncommand = " + string(command) + "\nargs = [\"mcp\"]\n"
}

// withTable appends a table to a TOML file, with a blank line between. The
// file is not understood any further, so a server of that name, or servers
// written in another form, are an error.
func withTable(file, table string) (string, error) {
	if strings.Contains(file, "\x00") {
		return "", errors.New("it is no text")
	}
	for line := range strings.Lines(file) {
		name := strings.NewReplacer(" ", "", "\t", "", `"`, "", "'", "").Replace(line)
		switch {
		case strings.HasPrefix(name, "[mcp_servers."+serverName+"]"), strings.HasPrefix(name, "[mcp_servers."+serverName+"."),
			strings.HasPrefix(name, "mcp_servers."+serverName):
			return "", fmt.Errorf("it has another server called %s: remove that first", serverName)
		case strings.HasPrefix(name, "mcp_servers="):
			return "", errors.New("its mcp_servers are not written as tables: add the server by hand")
		}
	}
	return file + gapBefore(file) + table, nil
}

func gapBefore(file string) string {
	switch {
	case file == "":
		return ""
	case strings.HasSuffix(file, "\n"):
		return "\n"
	}
	return "\n\n"
}

// installText adds a table to a TOML file, in place of an earlier one.
func (h *Host) installText(ctx context.Context, client, path, table string) (out Outcome, err error) {
	err = editFile(ctx, path, func(data []byte) ([]byte, error) {
		all, err := h.readRecord()
		if err != nil {
			return nil, err
		}
		rec, file := all.of(client, path), string(data)
		out = Added
		if rec.Text != "" && strings.Contains(file, rec.Text) {
			if strings.TrimLeft(rec.Text, "\n") == table {
				out = Unchanged
				return data, nil
			}
			out, file = Updated, strings.Replace(file, rec.Text, "", 1)
		}
		added, err := withTable(file, table)
		if err != nil {
			return nil, err
		}
		rec.Created = rec.Created || data == nil
		rec.Text = added[len(file):]
		return []byte(added), h.note(ctx, rec)
	})
	return out, err
}

// uninstallText takes the recorded text out of a file.
func (h *Host) uninstallText(ctx context.Context, rec fileRecord) (out Outcome, leftover []string, err error) {
	out = Absent
	err = editFile(ctx, rec.Path, func(data []byte) ([]byte, error) {
		file, table := string(data), strings.TrimLeft(rec.Text, "\n")
		switch {
		case strings.Contains(file, rec.Text):
			out, file = Removed, strings.Replace(file, rec.Text, "", 1)
		case strings.Contains(file, "[mcp_servers."+serverName):
			leftover = []string{strings.SplitN(table, "\n", 2)[0]}
		}
		if file == "" && rec.Created || data == nil {
			return nil, nil
		}
		return []byte(file), nil
	})
	if err != nil {
		return out, nil, err
	}
	return out, leftover, h.note(ctx, fileRecord{Path: rec.Path})
}
