package broker

import (
	"archive/zip"
	"bytes"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"claudemesh/broker/runner/confine"
	"claudemesh/wire"
)

// startIn is how long a service may take until it runs, on a busy machine.
const startIn = 2 * time.Minute

// realServices returns a broker that runs services in truth; it skips where
// this machine cannot confine them, or has no node.
func realServices(t testing.TB, tune ...func(*Config)) *testBroker {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("the services of this test are run by node:", err)
	}
	b := newBroker(t, append([]func(*Config){func(c *Config) { c.ShutdownWithin = 10 * time.Second }}, tune...)...)
	if err := b.srv.services().confiner.Check(confine.Limits{}); err != nil {
		t.Skip("services cannot be confined here:", err)
	}
	return b
}

// fixture returns the files of the service that tests deploy.
func fixture(t testing.TB) map[string]string {
	t.Helper()
	files := make(map[string]string)
	for _, name := range []string{"package.json", "index.js"} {
		files[name] = string(must(os.ReadFile(filepath.Join("testdata", "service", name))))
	}
	return files
}

// zipOf makes an archive of files, in a directory of its own as tools make them.
func zipOf(files map[string]string) string {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f := must(w.Create("project/" + name))
		f.Write([]byte(files[name]))
	}
	w.Close()
	return buf.String()
}

// rawZip makes an archive of one file whose name and mode are taken as they are.
func rawZip(name, text string, mode fs.FileMode) string {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	h := &zip.FileHeader{Name: name, Method: zip.Store}
	h.SetMode(mode)
	must(must(w.CreateHeader(h)).Write([]byte(text)))
	w.Close()
	return buf.String()
}

// pause leaves a service a moment to start again.
func (p *testPeer) pause() {
	select {
	case <-time.After(20 * time.Millisecond):
	case <-p.t.Context().Done():
	}
}

// shared shares an archive and returns a deployment of it.
func (p *testPeer) shared(name, archive string, more ...any) map[string]any {
	p.t.Helper()
	id := p.upload(name+".zip", archive, map[string]string{wire.HeaderTarget: "*"}).id()
	return deploy(name, append([]any{"source", map[string]any{"type": "zip", "file_id": id}}, more...)...)
}

// outcome waits for the end of a deployment or update.
func (p *testPeer) outcome(id string) map[string]any {
	p.t.Helper()
	for {
		f := p.slowly(id)
		if f["type"] == "error" || f["status"] != "building" && f["status"] != "installing" {
			return f
		}
	}
}

// slowly is answered for what takes longer than an ordinary answer.
func (p *testPeer) slowly(id string) map[string]any {
	p.t.Helper()
	p.patience = startIn
	defer func() { p.patience = 0 }()
	return p.answered(id)
}

// runs has p deploy a service, which must run.
func (p *testPeer) runs(frame map[string]any) map[string]any {
	p.t.Helper()
	f := p.outcome(p.asked(frame))
	if f["status"] != "running" {
		p.t.Fatalf("deployed: %v\n%s", f, p.logs(frame["server_name"].(string)))
	}
	return f
}

func (p *testPeer) logs(name string) string {
	f := p.askAny(map[string]any{"type": "mcp_logs", "server_name": name, "lines": 1000})
	lines, _ := f["lines"].([]any)
	var text strings.Builder
	for _, l := range lines {
		text.WriteString(l.(string) + "\n")
	}
	return text.String()
}

// tool calls a tool of a service and returns the answer.
func (p *testPeer) tool(name, tool string, args map[string]any) map[string]any {
	p.t.Helper()
	return p.slowly(p.asked(map[string]any{"type": "mcp_call", "serverName": name, "toolName": tool, "args": args}))
}

// says returns the text that a tool gives.
func (p *testPeer) says(name, tool string, args map[string]any) string {
	p.t.Helper()
	f := p.tool(name, tool, args)
	result, _ := f["result"].(map[string]any)
	content, _ := result["content"].([]any)
	if len(content) == 0 {
		p.t.Fatalf("%s gives %.500v", tool, f)
	}
	return content[0].(map[string]any)["text"].(string)
}

func TestAServiceIsDeployedCalledAndUndeployed(t *testing.T) {
	t.Parallel()
	b := realServices(t)
	a, other := b.join("alice").modern("a"), b.join("bob").modern("b")
	a.runs(a.shared("fix", zipOf(fixture(t)), "scope", "mesh", "config", map[string]any{"env": map[string]any{"KEY": "s3cret-value"}, "args": []string{"x", "y"}}))
	if got := other.says("fix", "echo", map[string]any{"text": "hello"}); got != "hello" {
		t.Error(got)
	}
	f := other.tool("fix", "echo", map[string]any{"text": "hi"})
	if !equalJSON(f["result"], map[string]any{"content": []any{map[string]any{"type": "text", "text": "hi"}}, "structuredContent": map[string]any{"heard": "hi"}}) {
		t.Errorf("the whole result is %v", f)
	}
	if got := other.says("fix", "env", map[string]any{"name": "KEY"}); got != "s3cret-value" {
		t.Error(got)
	}
	if text := a.logs("fix"); !strings.Contains(text, "started with 4 arguments") {
		t.Errorf("the log is %s", text)
	}
	dir := filepath.Join(b.cfg.Data, "meshes", b.mesh, "services", "fix")
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
	if f := a.slowly(a.asked(map[string]any{"type": "mcp_undeploy", "server_name": "fix"})); f["status"] != "stopped" {
		t.Error(f)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("what the service consisted of is still there: %v", err)
	}
}

func TestAServiceOfPythonRuns(t *testing.T) {
	t.Parallel()
	if err := exec.CommandContext(t.Context(), "python3", "-c", "import venv").Run(); err != nil {
		t.Skip("there is no Python that makes environments:", err)
	}
	b := realServices(t)
	a := b.join("alice").modern("a")
	archive := zipOf(map[string]string{"server.py": string(must(os.ReadFile(filepath.Join("testdata", "service", "server.py"))))})
	f := a.runs(a.shared("py", archive, "config", map[string]any{"runtime": "python", "env": map[string]any{"KEY": "value"}, "args": []string{"--x"}}))
	if len(f["tools"].([]any)) != 1 {
		t.Errorf("deployed: %v", f)
	}
	if got := a.says("py", "where", nil); got != "python 3 value ['--x']" {
		t.Error(got)
	}
	if e := a.catalog()["py"]; e["runtime"] != "python" {
		t.Errorf("listed as %v", e)
	}
}
