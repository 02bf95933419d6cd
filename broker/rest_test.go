package broker

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"claudemesh/store"
)

const (
	signingSecret = "whsec-hunter2-of-stripe"
	headerSecret  = "Bearer hunter2-of-the-forge"
)

// keepsSecrets has p keep what the broker must seal and read again.
func (p *testPeer) keepsSecrets(name string) {
	p.t.Helper()
	p.hook(name, map[string]any{"signature": "stripe", "signingSecret": signingSecret})
	p.ask("watch_ack", map[string]any{"type": "watch", "url": "http://127.0.0.1:1/" + name, "interval": 86400, "headers": map[string]string{"Authorization": headerSecret}})
}

// keepsService has a mesh keep what is secret of a service.
func (b *testBroker) keepsService(mesh string) {
	b.t.Helper()
	m := b.srv.meshByID(mesh)
	err := m.db.Write(b.t.Context(), func(tx *store.Tx) error {
		none := json.RawMessage("{}")
		return tx.PutService(&store.Service{Name: "svc", SourceType: "npx", Source: none, Config: none, Scope: none, Tools: json.RawMessage("[]"), Status: "failed",
			Secrets: b.srv.atRest.Seal([]byte(signingSecret)), Created: time.Now(), Updated: time.Now()}, 10)
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// secretsOf returns what a mesh has sealed in its store and in memory.
func (b *testBroker) secretsOf(mesh string) (sealed [][]byte) {
	b.t.Helper()
	m := b.srv.meshByID(mesh)
	err := m.db.Read(b.t.Context(), func(rx *store.Rx) error {
		hooks, err := rx.Webhooks()
		if err != nil {
			return err
		}
		for _, w := range hooks {
			sealed = append(sealed, w.Signing)
		}
		watches, err := rx.Watches()
		if err != nil {
			return err
		}
		for _, w := range watches {
			sealed = append(sealed, w.Headers)
		}
		services, err := rx.Services()
		for _, s := range services {
			sealed = append(sealed, s.Secrets)
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.watches {
		sealed = append(sealed, w.row.Headers)
	}
	return sealed
}

// readable fails unless all that the mesh keeps sealed is under the newest key,
// and what it was.
func (b *testBroker) readable(mesh string, n int) {
	b.t.Helper()
	all := b.secretsOf(mesh)
	if len(all) != n {
		b.t.Errorf("%d values are kept, not %d", len(all), n)
	}
	for _, sealed := range all {
		plain, err := b.srv.atRest.Open(sealed)
		if err != nil || string(plain) != signingSecret && string(plain) != `{"Authorization":"`+headerSecret+`"}` {
			b.t.Errorf("opens as %q, %v", plain, err)
		}
		if !b.srv.atRest.ring.Load().IsCurrent(sealed) {
			b.t.Error("a value is under an older key")
		}
	}
}

func watchesHere(c *Config) { c.WatchAllow = "127.0.0.1" }

// A column that is left out would be lost with the key that it is under.
func TestEveryColumnThatIsSealedIsSealedAnew(t *testing.T) {
	t.Parallel()
	want := map[string]bool{"webhook.signing": true, "watch.headers": true, "service.secrets": true} // as keepsSecrets and keepsService have them
	table, column := regexp.MustCompile(`(?i)^CREATE TABLE (\w+)`), regexp.MustCompile(`(?i)^\s*(\w+)\s+BLOB.*--.*\bsealed\b`)
	for _, name := range must(filepath.Glob(filepath.Join("..", "store", "migrations", "*.sql"))) {
		in := ""
		for line := range strings.Lines(string(must(os.ReadFile(name)))) {
			if m := table.FindStringSubmatch(line); m != nil {
				in = m[1]
			}
			m := column.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			if !want[in+"."+m[1]] {
				t.Errorf("%s.%s is sealed: have its feature seal it anew, and this file's tests keep one", in, m[1])
			}
			delete(want, in+"."+m[1])
		}
	}
	if len(want) > 0 {
		t.Errorf("no migration has %v", want)
	}
}

// A value is in no file, log or frame to another member, and no key in one that
// is not for keys.
func TestSecretsAreNowhereInTheOpen(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	b := newBroker(t, watchesHere, func(c *Config) { c.Log = log.logger() })
	admin, bob := b.joinAs("admin", "admin"), b.join("bob")
	p, q := admin.modern("a"), bob.modern("b")
	const value = "hunter2-of-the-vault"
	p.ask("vault_ack", admin.sealed("K", value))
	p.askAny(admin.sealed("K:file", value))
	p.askAny(map[string]any{"type": "vault_set", "key": "plain", "ciphertext": value, "nonce": value, "sealed_key": value})
	p.keepsSecrets("one")
	p.vault("K")
	p.ask("vault_rotated", map[string]any{"type": "vault_rotate"})
	frames := fmt.Sprint(q.vaultKeys())
	for _, ask := range []string{"vault_list", "list_webhooks", "list_watches", "audit_query", "mesh_info", "list_state"} {
		frames += fmt.Sprint(q.askAny(map[string]any{"type": ask}))
	}
	for _, f := range q.news() {
		frames += fmt.Sprint(f)
	}
	keys := string(must(os.ReadFile(filepath.Join(b.cfg.Data, "keys.json"))))
	key := keys[strings.Index(keys, `"key": "`)+8:][:64]
	b.srv.finishRotation()
	texts := map[string]string{"the log": log.String(), "frames to another member": frames}
	err := filepath.WalkDir(b.cfg.Data, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			texts[path] = string(must(os.ReadFile(path)))
			if info := must(e.Info()); info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range texts {
		for _, secret := range []string{value, signingSecret, headerSecret, key} {
			if strings.Contains(text, secret) && !(secret == key && filepath.Base(where) == "keys.json") {
				t.Errorf("%s has %s", where, secret)
			}
		}
	}
	if len(texts) < 5 || len(frames) < 500 {
		t.Errorf("looked at %d texts, %d bytes of frames", len(texts), len(frames))
	}
}
