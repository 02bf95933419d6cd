package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"claudemesh/seal"
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

// keyFile returns how many keys keys.json has, and whether a rotation is not over.
func (b *testBroker) keyFile() string {
	b.t.Helper()
	var f struct {
		Keys      []any
		Resealing bool
	}
	if err := json.Unmarshal(must(os.ReadFile(filepath.Join(b.cfg.Data, "keys.json"))), &f); err != nil {
		b.t.Fatal(err)
	}
	return fmt.Sprintf("%d keys, resealing %v", len(f.Keys), f.Resealing)
}

func (b *testBroker) keysAre(want string) {
	b.t.Helper()
	if got := b.keyFile(); got != want {
		b.t.Errorf("the keyring has %s, want %s", got, want)
	}
}

func watchesHere(c *Config) { c.WatchAllow = "127.0.0.1" }

// asBefore stores what a mesh keeps in the form that it had before there were
// rotations, and restarts the broker.
func (b *testBroker) asBefore() {
	b.t.Helper()
	m := b.srv.meshByID(b.mesh)
	old := func(sealed []byte) []byte {
		plain := must(b.srv.atRest.Open(sealed))
		return must(seal.NewAtRest(b.srv.identity.Key, restPurpose)).Seal(plain)[8+8:]
	}
	err := m.db.Write(b.t.Context(), func(tx *store.Tx) error {
		return m.resealWith(tx, func(sealed []byte) ([]byte, bool) { return old(sealed), true })
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.restart()
}

func TestARotationSealsAllAnewAndLosesNothing(t *testing.T) {
	t.Parallel()
	b := newBroker(t, watchesHere)
	two := b.anotherMesh()
	admin, other := b.joinAs("admin", "admin"), two.join("other")
	admin.modern("a").keepsSecrets("one")
	other.modern("o").keepsSecrets("two")
	b.keepsService(b.mesh)
	b.asBefore()
	p := admin.modern("a")
	ack := p.ask("vault_rotated", map[string]any{"type": "vault_rotate"})
	if ack["values"] != 3.0 || ack["older_keys"] != 1.0 || ack["key_id"] != b.srv.atRest.ring.Load().ID().String() {
		t.Errorf("answered by %v", ack)
	}
	b.readable(b.mesh, 4)
	b.readable(two.mesh, 3)
	b.keysAre("1 keys, resealing true")
	b.srv.finishRotation()
	b.keysAre("1 keys, resealing false")
	first := must(os.ReadFile(filepath.Join(b.cfg.Data, "keys.json")))
	p.ask("vault_rotated", map[string]any{"type": "vault_rotate"})
	b.keysAre("2 keys, resealing true")
	if f := p.ask("vault_rotated", map[string]any{"type": "vault_rotate"}); f["older_keys"] != 2.0 {
		t.Errorf("answered by %v", f)
	}
	b.srv.finishRotation()
	b.keysAre("1 keys, resealing false")
	if now := must(os.ReadFile(filepath.Join(b.cfg.Data, "keys.json"))); string(now) == string(first) {
		t.Error("the key is the same")
	}
	b.restart()
	b.readable(b.mesh, 4)
	b.readable(two.mesh, 3)
	entries := admin.modern("a").ask("audit_result", map[string]any{"type": "audit_query", "eventType": "vault_rotated"})["entries"].([]any)
	if last := entries[2].(map[string]any)["payload"].(map[string]any); len(entries) != 3 || last["keyId"] != ack["key_id"] || last["values"] != 3.0 {
		t.Errorf("the audit log has %v", entries)
	}
	if info, err := os.Stat(filepath.Join(b.cfg.Data, "keys.json")); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("keys.json: %v, %v", info.Mode(), err)
	}
}

// A service is started again with what it was deployed with, though the key was
// changed meanwhile.
func TestAServiceHasItsEnvironmentAfterARotation(t *testing.T) {
	t.Parallel()
	b, f := withServices(t)
	admin := b.joinAs("admin", "admin")
	a := admin.modern("a")
	a.deployed(f, deploy("runs", "config", map[string]any{"env": map[string]any{"KEY": signingSecret}}))
	if ack := a.ask("vault_rotated", map[string]any{"type": "vault_rotate"}); ack["values"] != 1.0 {
		t.Errorf("answered by %v", ack)
	}
	b.srv.finishRotation()
	b.keysAre("1 keys, resealing false")
	b.restart()
	r := f.of(b)
	r.waitFor(t, "resume runs")
	if spec := r.specs["runs"]; spec.Env["KEY"] != signingSecret {
		t.Errorf("resumed with %+v", spec)
	}
}

// The row of docs/SECURITY.md.
func TestWhoMayRotateTheKey(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	admin := b.joinAs("admin", "admin")
	for who, c := range map[string]struct {
		p   *testPeer
		may bool
	}{
		"an admin": {admin.modern("a"), true}, "its command": {admin.command(false), true},
		"a member": {b.join("ann").modern("m"), false}, "a member's command": {b.join("bob").command(false), false}, "an older client": {b.join("old").old("o"), false},
	} {
		f := c.p.askAny(map[string]any{"type": "vault_rotate"})
		if f["type"] == "vault_rotated" != c.may || !c.may && f["code"] != "forbidden" {
			t.Errorf("%s: %v", who, f)
		}
	}
	b.keysAre("2 keys, resealing true")
	b.srv.atRest.busy.Store(true)
	if f := admin.modern("a").askAny(map[string]any{"type": "vault_rotate"}); f["code"] != "rate_limited" {
		t.Errorf("two at a time: %v", f)
	}
	b.srv.atRest.busy.Store(false)
	for range maxRestKeys - 2 {
		admin.modern("a").ask("vault_rotated", map[string]any{"type": "vault_rotate"})
	}
	if f := admin.modern("a").askAny(map[string]any{"type": "vault_rotate"}); f["code"] != "limit" {
		t.Errorf("very many: %v", f)
	}
}

// What was sealed before the new key came may be stored after all was sealed
// anew.
func TestAValueThatComesLateKeepsTheOlderKey(t *testing.T) {
	t.Parallel()
	b := newBroker(t, watchesHere)
	p := b.joinAs("admin", "admin").modern("a")
	p.ask("vault_rotated", map[string]any{"type": "vault_rotate"})
	late := b.srv.atRest.Seal([]byte(signingSecret))
	p.ask("vault_rotated", map[string]any{"type": "vault_rotate"})
	m := b.srv.meshByID(b.mesh)
	if err := m.db.Write(t.Context(), func(tx *store.Tx) error {
		return tx.AddWebhook(&store.Webhook{ID: "w", Name: "late", Style: "stripe", Signing: late, Target: "*", Created: time.Now()}, 10)
	}); err != nil {
		t.Fatal(err)
	}
	b.srv.finishRotation()
	b.keysAre("2 keys, resealing true")
	b.readable(b.mesh, 1)
	b.srv.finishRotation()
	b.keysAre("1 keys, resealing false")
	b.restart()
	b.readable(b.mesh, 1)
}

func TestTheOlderKeyIsGivenUpAMinuteLater(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, b *testBroker) {
		b.joinAs("admin", "admin").modern("a").ask("vault_rotated", map[string]any{"type": "vault_rotate"})
		time.Sleep(rotateAgain - time.Second)
		synctest.Wait()
		b.keysAre("1 keys, resealing true")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		b.keysAre("1 keys, resealing false")
	})
}

// What a mesh keeps that could not be opened may be under any key.
func TestAMeshThatCannotBeOpenedKeepsTheOlderKeys(t *testing.T) {
	t.Parallel()
	b := newBroker(t, watchesHere)
	two := b.anotherMesh()
	two.join("other").modern("o").keepsSecrets("two")
	admin := b.joinAs("admin", "admin")
	admin.modern("a").ask("vault_rotated", map[string]any{"type": "vault_rotate"})
	b.srv.finishRotation()
	b.keysAre("1 keys, resealing false")
	name := must(store.MeshFile(b.cfg.Data, two.mesh))
	b.stop()
	sound := must(os.ReadFile(name))
	if err := os.WriteFile(name, []byte("no database at all, whatever the name"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.cfg.Listen = "127.0.0.1:0"
	b.start()
	admin.modern("a").ask("vault_rotated", map[string]any{"type": "vault_rotate"})
	b.srv.finishRotation()
	b.restart()
	b.keysAre("2 keys, resealing true")
	b.stop()
	if err := os.WriteFile(name, sound, 0o600); err != nil {
		t.Fatal(err)
	}
	b.start()
	b.keysAre("1 keys, resealing false")
	b.readable(two.mesh, 3)
}

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

// rotationChild, in the environment, has TestRotationThatIsKilled rotate the
// key of the data directory of that name, and die at the step of that number.
const rotationChild, rotationStep = "ROTATION_CHILD", "ROTATION_STEP"

func TestRotationThatIsKilled(t *testing.T) {
	dir := os.Getenv(rotationChild)
	if dir == "" {
		t.Skip("this is the program of another test's children")
	}
	cfg := Defaults()
	cfg.Data, cfg.WatchAllow = dir, "127.0.0.1"
	srv, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	left := must(strconv.Atoi(os.Getenv(rotationStep)))
	srv.atRest.step = func(step string) {
		if left--; left < 0 {
			fmt.Println("killed after: " + step)
			must(os.FindProcess(os.Getpid())).Kill()
			select {}
		}
	}
	if err := srv.atRest.renew(); err != nil {
		t.Fatal(err)
	}
	srv.resealAll(nil)
	srv.finishRotation()
	fmt.Println("rotated")
	os.Exit(0)
}

func TestARotationSurvivesItsBroker(t *testing.T) {
	t.Parallel()
	b := newBroker(t, watchesHere)
	two := b.anotherMesh()
	b.join("ann").modern("a").keepsSecrets("one")
	two.join("other").modern("o").keepsSecrets("two")
	b.keepsService(b.mesh)
	b.asBefore()
	steps := make(map[string]bool)
	for n, rotated := 0, false; !rotated; n++ {
		b.stop()
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestRotationThatIsKilled$")
		cmd.Env = append(os.Environ(), rotationChild+"="+b.cfg.Data, rotationStep+"="+strconv.Itoa(n))
		out, err := cmd.CombinedOutput()
		said := strings.TrimSpace(string(out))
		rotated = strings.Contains(said, "rotated")
		if !rotated && (err == nil || !strings.Contains(said, "killed after: ")) {
			t.Fatalf("step %d: %v\n%s", n, err, said)
		}
		steps[said] = true
		b.start()
		b.keysAre("1 keys, resealing false")
		b.readable(b.mesh, 4)
		b.readable(two.mesh, 3)
	}
	for _, step := range []string{"saved", "resealed", "retired"} {
		if !steps["killed after: "+step] {
			t.Errorf("it was not killed after %s: %v", step, steps)
		}
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
