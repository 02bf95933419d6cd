package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"claudemesh/seal"
	"claudemesh/store"
)

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
