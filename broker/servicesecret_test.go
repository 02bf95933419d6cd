package broker

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSecretsOfServicesStayWithThem deploys a service with a value in its
// environment, a file of the vault and a token for git, has it used, updated and
// the broker restarted, and then looks for the three wherever they must not be.
func TestSecretsOfServicesStayWithThem(t *testing.T) {
	h := newGitHost(t) // sets the environment, so this test is not parallel
	h.token = "tok-5f0e1c9b7a3d2468"
	value, file := "val-0a1b2c3d4e5f6071", "fil-8899aabbccddeeff"
	log := new(lockedBuffer)
	b := realServices(t, func(c *Config) { c.Log, c.ServiceAllow = log.logger(), "127.0.0.2" })
	secrets := []string{value, h.token, file, base64.StdEncoding.EncodeToString([]byte(file))}
	a, other := b.join("alice").modern("a"), b.join("bob").modern("b")
	var frames []string
	noted := func(p *testPeer, f map[string]any) {
		for _, f := range append(p.news(), f) {
			frames = append(frames, string(must(json.Marshal(f))))
		}
	}
	h.commit(t, fixture(t))
	a.runs(deploy("s", "scope", "mesh", "source", map[string]any{"type": "git", "url": h.URL + "/tool.git", "auth": h.token},
		"config", map[string]any{"env": map[string]any{"KEY": value, "FILE": "__vault_file__:dir/key.pem:" + secrets[3]}, "network_allow": []string{"example.com"}}))
	if got := other.says("s", "env", map[string]any{"name": "KEY"}); got != value {
		t.Fatalf("it has not got its value but %q", got)
	}
	path := other.says("s", "env", map[string]any{"name": "FILE"})
	if got := other.says("s", "read", map[string]any{"path": path}); got != file {
		t.Fatalf("it has not got its file but %q", got)
	}
	for range 2 {
		noted(a, a.ask("mcp_catalog_result", map[string]any{"type": "mcp_catalog"}))
		for _, frame := range []map[string]any{
			{"type": "mcp_catalog"}, {"type": "mcp_schema", "server_name": "s"}, {"type": "mcp_scope", "server_name": "s"}, {"type": "mcp_logs", "server_name": "s", "lines": 1000},
			{"type": "mesh_info"}, {"type": "audit_query", "limit": 500}, {"type": "mcp_list"}, {"type": "list_state"}, {"type": "vault_list"},
		} {
			noted(other, other.askAny(frame))
			noted(a, a.askAny(frame))
		}
		files := fixture(t)
		files["new"] = "commit"
		h.commit(t, files)
		noted(a, a.outcome(a.asked(map[string]any{"type": "mcp_update", "server_name": "s"})))
		files["index.js"] = `console.error(process.env.KEY); process.exit(1)` // fails, and talks
		h.commit(t, files)
		noted(a, a.outcome(a.asked(map[string]any{"type": "mcp_update", "server_name": "s"})))
		other = b.join("carol").modern("c")
		frames = append(frames, string(must(json.Marshal(other.ack))))
	}
	for _, secret := range secrets {
		for _, f := range frames {
			if strings.Contains(f, secret) {
				t.Errorf("%s is in the frame %.500s", secret, f)
			}
		}
		if strings.Contains(log.String(), secret) {
			t.Errorf("%s is in the log of the broker", secret)
		}
		_, _, metrics := b.download(b.base + "/metrics")
		if strings.Contains(metrics, secret) {
			t.Errorf("%s is in the metrics", secret)
		}
	}
	b.noneReadable(secrets)
	b.restart()
	a = b.joinAs("admin", "admin").modern("x")
	a.backOnFeet(t, "s")
	if got := a.says("s", "env", map[string]any{"name": "KEY"}); got != value {
		t.Errorf("after a restart it has %q", got)
	}
	a.slowly(a.asked(map[string]any{"type": "mcp_undeploy", "server_name": "s"}))
	b.noneReadable(secrets)
}

// noneReadable checks that no file of the broker's has one of the secrets in it
// that others than its owner may read, and the database none at all.
func (b *testBroker) noneReadable(secrets []string) {
	b.t.Helper()
	err := filepath.WalkDir(b.cfg.Data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // gone meanwhile
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		for _, secret := range secrets {
			if bytes.Contains(text, []byte(secret)) && (info.Mode().Perm()&0o077 != 0 || strings.Contains(d.Name(), ".db")) {
				b.t.Errorf("%s is in %s, %s", secret, path, info.Mode())
			}
		}
		return nil
	})
	if err != nil {
		b.t.Error(err)
	}
}
