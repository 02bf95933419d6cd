package launch

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

const (
	servicesName = "services.json" // in the directory of a session
	servicesTime = 2 * time.Second
	maxNative    = 20 // each is a process and a connection; the others are tools of the session's own server
	nativePrefix = "mesh:"
)

// RunningServices returns the names of the services that run on the broker of a
// mesh and that its member may use. It takes 2 s at most.
func RunningServices(ctx context.Context, m *peer.Mesh) (names []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, servicesTime)
	defer cancel()
	client, err := peer.Open(ctx, peer.Options{Mesh: *m, Transient: true, Channel: "cli", PeerType: "connector"})
	if err != nil {
		return nil, err
	}
	defer client.Close(ctx)
	for _, d := range client.Services() {
		if wire.ValidServerName(d.Name) && len(names) < maxNative {
			names = append(names, d.Name)
		}
	}
	return names, nil
}

// writeServices writes, for the host, the services that the session has as MCP
// servers of their own, each by a proxy, and returns the file. It lies in the
// directory of the session and goes with that: the user's own files name nothing
// that a session which ended would leave behind.
func (h *Host) writeServices(dir string, names []string) (path string, err error) {
	servers := make(map[string]server)
	for _, name := range names {
		servers[nativePrefix+name] = server{
			Type: "stdio", Command: h.Command, Args: []string{"mcp", "--service", name}, Env: map[string]string{"CLAUDEMESH_CONFIG_DIR": dir},
		}
	}
	data, err := json.MarshalIndent(map[string]any{"mcpServers": servers}, "", "  ")
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, servicesName)
	return path, writeNew(path, append(data, '\n'), 0o600)
}

// checkOrphans looks in the host's own file for entries of services whose
// session has ended. Other programs for meshes write such; they are left to the
// user.
func (h *Host) checkOrphans() Check {
	const name = "entries of services"
	doc, err := readDoc(h.Global)
	if err != nil {
		return holds(name, "not looked at: the file cannot be read")
	}
	entries, err := doc.get("mcpServers")
	var servers map[string]struct {
		MeshSession *struct {
			PID int `json:"pid"`
		} `json:"_meshSession"`
	}
	if err == nil && entries != nil {
		err = json.Unmarshal(entries, &servers)
	}
	if err != nil {
		return holds(name, "not looked at: mcpServers is not what was expected")
	}
	var orphans []string
	for key, s := range servers {
		if !strings.HasPrefix(key, nativePrefix) {
			continue
		}
		pid := 0
		if s.MeshSession != nil {
			pid = s.MeshSession.PID
		} else if i := strings.LastIndexByte(key, ':'); i > len(nativePrefix) {
			pid, _ = strconv.Atoi(key[i+1:]) // 0 is no process
		}
		if pid > 0 && peer.ProcessStart(pid) == "" {
			orphans = append(orphans, key)
		}
	}
	if len(orphans) == 0 {
		return holds(name, "none is left behind in "+h.Global)
	}
	slices.Sort(orphans)
	return fails(name, fmt.Errorf("%s has %s of sessions that have ended", h.Global, strings.Join(orphans, ", ")),
		"take each out with `claude mcp remove --scope user <name>`: every session tries to start them")
}
