package broker

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"claudemesh/wire"
)

// hostileArchive returns the fixture with a change.
func hostileArchive(t testing.TB, change func(files map[string]string)) string {
	files := fixture(t)
	change(files)
	return zipOf(files)
}

func TestArchivesThatReachOutOfTheirDirectoryAreRefused(t *testing.T) {
	t.Parallel()
	b := realServices(t)
	a := b.join("alice").modern("a")
	for name, archive := range map[string]string{
		"up":       hostileArchive(t, func(f map[string]string) { f["../../../../escaped"] = "x" }),
		"absolute": rawZip("/tmp/claudemesh-escaped", "x", 0o644),
		"link":     rawZip("link", "/etc/passwd", os.ModeSymlink|0o777),
		"none":     "this is no archive",
		"empty":    zipOf(nil),
	} {
		f := a.outcome(a.asked(a.shared(name, archive)))
		if f["status"] != "failed" || f["error"] == "" {
			t.Errorf("%s: %v", name, f)
		}
	}
	for _, path := range []string{"/tmp/claudemesh-escaped", filepath.Join(b.cfg.Data, "escaped"), filepath.Join(b.cfg.Data, "meshes", "escaped")} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s was written", path)
		}
	}
}

func TestServersThatNeverSpeakFail(t *testing.T) {
	t.Parallel()
	b := realServices(t)
	a := b.join("alice").modern("a")
	ids := make(map[string]string)
	for name, script := range map[string]string{
		"exits":  `process.exit(1)`,
		"babble": `console.log("hello"); process.exit(1)`,
		"flood":  `for (;;) require("fs").writeSync(1, "x".repeat(65536))`,
	} {
		ids[name] = a.asked(a.shared(name, zipOf(map[string]string{"package.json": `{"main":"index.js"}`, "index.js": script})))
	}
	for name, id := range ids {
		if f := a.outcome(id); f["status"] != "failed" || f["error"] == "" {
			t.Errorf("%s: %v", name, f)
		}
	}
}

func TestCallsOfServersWithBadHabitsFail(t *testing.T) {
	t.Parallel()
	b := realServices(t)
	a, other := b.join("alice").modern("a"), b.join("bob").modern("b")
	archive := zipOf(fixture(t))
	for _, c := range []struct {
		name, tool string
		args       map[string]any
		ends       bool // the service with it
	}{
		{"huge", "big", map[string]any{"bytes": 50 << 20}, true}, {"big", "big", map[string]any{"bytes": wire.MaxCallResult + 1000}, false},
		{"flood", "flood", nil, true}, {"eat", "eat", nil, true}, {"exit", "exit", nil, true}, {"none", "none", nil, false},
	} {
		name := c.name
		a.runs(a.shared(name, archive, "scope", "mesh"))
		if f := other.tool(name, c.tool, c.args); f["error"] == nil && f["result"].(map[string]any)["isError"] != true {
			t.Errorf("%s gives %.200v", name, f)
		}
		other.backOnFeet(t, name)
		if e := a.catalog()[name]; c.ends && e["restarts"] != 1.0 {
			t.Errorf("after %s: %v", name, e)
		}
	}
	other.news()
	other.says("none", "retool", nil)
	if e := other.event("mcp_updated"); len(e["tools"].([]any)) != 2 {
		t.Errorf("its new tools are %v", e)
	}
}

// backOnFeet waits until a service answers again.
func (p *testPeer) backOnFeet(t *testing.T, name string) {
	t.Helper()
	for began := time.Now(); time.Since(began) < startIn; {
		if f := p.tool(name, "echo", map[string]any{"text": "?"}); f["result"] != nil {
			return
		} else if e, _ := f["error"].(string); strings.Contains(e, "crashed") {
			t.Fatal(e)
		}
		p.pause()
	}
	t.Fatalf("%s does not come back", name)
}

func TestWhatAServiceReachesOfTheMachine(t *testing.T) {
	t.Parallel()
	b := realServices(t)
	a := b.join("alice").modern("a")
	a.runs(a.shared("fix", zipOf(fixture(t))))
	ln := must(net.Listen("tcp", "127.0.0.1:0"))
	defer ln.Close()
	read := func(path string) string { return a.says("fix", "read", map[string]any{"path": path}) }
	for _, path := range []string{filepath.Join(b.cfg.Data, "server.json"), filepath.Join(b.cfg.Data, "meshes", b.mesh, "mesh.db"), "/etc/shadow", "/proc/1/environ"} {
		if text := read(path); !strings.Contains(text, "ENOENT") && !strings.Contains(text, "EACCES") && !strings.Contains(text, "EPERM") {
			t.Errorf("%s is read: %.100q", path, text)
		}
	}
	if text := a.says("fix", "write", map[string]any{"path": "index.js", "text": "x"}); text == "written" {
		t.Error("it has changed its own program")
	}
	if text := a.says("fix", "write", map[string]any{"path": filepath.Join(b.cfg.Data, "x"), "text": "x"}); text == "written" {
		t.Error("it has written beside its directory")
	}
	if text := a.says("fix", "dial", map[string]any{"host": "127.0.0.1", "port": ln.Addr().(*net.TCPAddr).Port}); text == "connected" {
		t.Error("it has reached a port of the machine")
	}
	for _, name := range []string{"SHELL", "CLAUDEMESH_CONFIG_DIR", "GOPATH", "SSH_AUTH_SOCK"} {
		if v := a.says("fix", "env", map[string]any{"name": name}); v != "undefined" {
			t.Errorf("it has %s of the broker: %s", name, v)
		}
	}
	if text := a.tool("fix", "forks", nil); !strings.Contains(fmt.Sprint(text), "refused") && text["error"] == nil {
		t.Errorf("400 processes at once: %v", text)
	}
	a.backOnFeet(t, "fix")
}
