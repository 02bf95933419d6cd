package peer

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"claudemesh/wire"
)

func TestKeyIsTheSameForTheSameSessionOnly(t *testing.T) {
	keys := NewSessionKeys(t.TempDir())
	get := func(mesh, session string) string {
		key, err := keys.Key(mesh, session)
		if err != nil {
			t.Fatal(err)
		}
		return key.Hex()
	}
	first := get("mesh", "session")
	if get("mesh", "session") != first {
		t.Error("the session got another key")
	}
	for _, other := range [][2]string{{"mesh", "session2"}, {"mesh2", "session"}, {"MESH", "session"}} {
		if get(other[0], other[1]) == first {
			t.Errorf("%v shares the key", other)
		}
	}
}

func TestProcessesThatRaceGetOneKey(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	got := make([]string, 6)
	for i := range got {
		wg.Go(func() {
			out, err := child(t, "key", dir, "").CombinedOutput()
			if err != nil {
				t.Errorf("%v: %s", err, out)
			}
			got[i] = string(out)
		})
	}
	wg.Wait()
	for _, key := range got {
		if key != got[0] || len(key) != 128 {
			t.Fatal("the processes have different keys")
		}
	}
}

func TestKeyFilesArePrivateAndShowNoID(t *testing.T) {
	dir := t.TempDir()
	keys := NewSessionKeys(dir)
	if _, err := keys.Key("../../evil", "../secret-session"); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "sessions", "*", "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("key files: %v, %v", files, err)
	}
	if strings.Contains(files[0], "secret-session") || strings.Contains(files[0], "evil") {
		t.Errorf("the name tells the id: %s", files[0])
	}
	if runtime.GOOS == "windows" {
		return
	}
	for path, want := range map[string]os.FileMode{files[0]: 0o600, filepath.Dir(files[0]): 0o700, keys.Dir(): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %o", path, info.Mode(), err, want)
		}
	}
	if err := os.Chmod(files[0], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Key("../../evil", "../secret-session"); err == nil || !strings.Contains(err.Error(), "chmod 600 "+files[0]) {
		t.Errorf("an exposed key gives %v", err)
	}
}

func TestDamagedKeyIsNotReplaced(t *testing.T) {
	for name, content := range map[string]string{
		"empty":   "",
		"no key":  `{"sessionId":"s","secretKey":"abc"}`,
		"halves":  `{"sessionId":"s","pubkey":"00"}`,
		"no JSON": `secret`,
	} {
		t.Run(name, func(t *testing.T) {
			keys := NewSessionKeys(t.TempDir())
			path := keys.path("mesh", "s")
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := keys.Key("mesh", "s"); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v does not name the file", err)
			}
			if data, err := os.ReadFile(path); err != nil || string(data) != content {
				t.Errorf("the file became %q, %v", data, err)
			}
		})
	}
}

func TestKeyWantsASessionID(t *testing.T) {
	keys := NewSessionKeys(t.TempDir())
	for _, id := range []string{"", strings.Repeat("x", 257)} {
		if _, err := keys.Key("mesh", id); err == nil {
			t.Errorf("an id of %d bytes is taken", len(id))
		}
	}
}

func TestByPubkeyFindsAnotherSession(t *testing.T) {
	keys := NewSessionKeys(t.TempDir())
	want, err := keys.Key("mesh", "gone")
	if err != nil {
		t.Fatal(err)
	}
	got, err := keys.ByPubkey("mesh", want.Public().String())
	if err != nil || got.Hex() != want.Hex() {
		t.Errorf("got %v, %v", got, err)
	}
	for _, mesh := range []string{"other", "mesh"} {
		if _, err := keys.ByPubkey(mesh, strings.Repeat("0", 64)); !errors.Is(err, ErrNoSessionKey) {
			t.Errorf("in %s: %v", mesh, err)
		}
	}
}

func TestPruneRemovesKeysUnusedForLong(t *testing.T) {
	const day = 24 * time.Hour
	keys := NewSessionKeys(t.TempDir())
	lastUsed := func(id string, recorded, written time.Duration) {
		t.Helper()
		key, err := keys.Key("mesh", id)
		if err != nil {
			t.Fatal(err)
		}
		at := wire.Time(time.Now().Add(-recorded))
		data, err := encodeFile(sessionKey{SessionID: id, SecretKey: key.Hex(), Pubkey: key.Public().String(), CreatedAt: at, UsedAt: at})
		if err != nil {
			t.Fatal(err)
		}
		path, mtime := keys.path("mesh", id), time.Now().Add(-written)
		if err := errors.Join(os.WriteFile(path, data, 0o600), os.Chtimes(path, mtime, mtime)); err != nil {
			t.Fatal(err)
		}
	}
	lastUsed("used", 20*day, 20*day)
	lastUsed("unused", 40*day, 40*day)
	lastUsed("touched by another program", 20*day, 40*day)
	if n, err := keys.Prune(t.Context(), 30*day); n != 1 || err != nil {
		t.Fatalf("removed %d, %v; want 1", n, err)
	}
	for id, want := range map[string]bool{"used": true, "unused": false, "touched by another program": true} {
		if _, err := os.Stat(keys.path("mesh", id)); (err == nil) != want {
			t.Errorf("%s: %v", id, err)
		}
	}
	if n, err := NewSessionKeys(filepath.Join(t.TempDir(), "none")).Prune(t.Context(), 0); n != 0 || err != nil {
		t.Errorf("without a directory: %d, %v", n, err)
	}
}

func TestSessionConfigurationSharesKeys(t *testing.T) {
	home, session := t.TempDir(), t.TempDir()
	c, err := LoadConfig(home)
	if err != nil {
		t.Fatal(err)
	}
	want, err := c.SessionKeys().Key("mesh", "s")
	if err != nil {
		t.Fatal(err)
	}
	err = UpdateConfig(t.Context(), session, func(s *Config) error { s.SessionsDir = c.SessionKeys().Dir(); return nil })
	if err != nil {
		t.Fatal(err)
	}
	s, err := LoadConfig(session)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.SessionKeys().Key("mesh", "s"); err != nil || got.Hex() != want.Hex() {
		t.Errorf("another key: %v", err)
	}
}
