package broker

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestServersOfOthersLiveTheirLives deploys servers that are not ours from the
// registries of npm and PyPI, and has another member use them while they are
// updated, killed and undeployed. It needs the registries, which CI has.
func TestServersOfOthersLiveTheirLives(t *testing.T) {
	t.Parallel()
	if os.Getenv("CI") == "" {
		t.Skip("it installs from registries for minutes: set CI=1")
	}
	// A registry may be a mirror in the network of this machine.
	var mirrors []string
	for _, host := range []string{"registry.npmjs.org", "pypi.org", "files.pythonhosted.org"} {
		addrs, _ := net.DefaultResolver.LookupHost(t.Context(), host)
		mirrors = append(mirrors, addrs...)
	}
	b := realServices(t, func(c *Config) { c.ServiceAllow = strings.Join(mirrors, ",") })
	a, other := b.join("alice").modern("a"), b.join("bob").modern("b")
	for _, c := range []struct {
		name, registry, program, tool string
		source                        map[string]any
		args                          []string
		call                          map[string]any
		says                          string
	}{
		{"everything", "https://registry.npmjs.org/@modelcontextprotocol%2fserver-everything", "npm", "echo",
			map[string]any{"type": "npx", "package": "@modelcontextprotocol/server-everything"}, nil, map[string]any{"message": "hello"}, "hello"},
		{"filesystem", "https://registry.npmjs.org/@modelcontextprotocol%2fserver-filesystem", "npm", "list_allowed_directories",
			map[string]any{"type": "npx", "package": "@modelcontextprotocol/server-filesystem"}, []string{"."}, map[string]any{}, "filesystem"},
		{"time", "https://pypi.org/simple/mcp-server-time/", "python3", "get_current_time",
			map[string]any{"type": "uvx", "package": "mcp-server-time"}, nil, map[string]any{"timezone": "UTC"}, "UTC"},
	} {
		t.Run(c.name, func(t *testing.T) {
			needsRegistry(t, c.registry, c.program)
			a.t, other.t = t, t
			a.runs(deploy(c.name, "source", c.source, "scope", "mesh", "config", map[string]any{"args": c.args, "memory_mb": 512}))
			use := func() {
				t.Helper()
				for began := time.Now(); time.Since(began) < startIn; {
					if f := other.tool(c.name, c.tool, c.call); f["result"] != nil {
						if text := string(must(json.Marshal(f["result"]))); !strings.Contains(text, c.says) {
							t.Errorf("%s gives %.500s", c.tool, text)
						}
						return
					}
					other.pause()
				}
				t.Fatalf("%s does not answer: %v\n%s", c.name, a.catalog()[c.name], a.logs(c.name))
			}
			use()
			if f := a.outcome(a.asked(map[string]any{"type": "mcp_update", "server_name": c.name})); f["status"] != "running" {
				t.Errorf("updated: %v\n%s", f, a.logs(c.name))
			}
			use()
			killBelow(t, filepath.Join(b.mesh, "services", c.name))
			use()
			if f := a.slowly(a.asked(map[string]any{"type": "mcp_undeploy", "server_name": c.name})); f["status"] != "stopped" {
				t.Errorf("undeployed: %v", f)
			}
		})
	}
	a.t, other.t = t, t
}

// needsRegistry skips a test where a registry does not answer, or the program
// is missing that installs from it.
func needsRegistry(t *testing.T, url, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skip("this machine cannot install it:", err)
	}
	c := http.Client{Timeout: 10 * time.Second}
	res, err := c.Get(url)
	if err != nil {
		t.Skip("the registry does not answer:", err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Skip("the registry answers with", res.Status)
	}
}

// killBelow kills the processes that were started with a path, the supervisor
// of the cell apart.
func killBelow(t *testing.T, path string) {
	t.Helper()
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	killed := 0
	for _, name := range all {
		line, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(line), path) || strings.Contains(string(line), os.Args[0]) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			continue
		}
		if p, err := os.FindProcess(pid); err == nil && p.Kill() == nil {
			killed++
		}
	}
	if killed == 0 {
		t.Error("there is nothing of it to be killed")
	}
}
