package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// TestChild is what other tests run as another process: CHILD names what it
// does.
func TestChild(t *testing.T) {
	switch dir := os.Getenv("CHILD_DIR"); os.Getenv("CHILD") {
	case "update":
		exitOn(UpdateConfig(context.Background(), dir, func(c *Config) error {
			c.AddMesh(Mesh{MeshID: os.Getenv("CHILD_ARG"), Slug: "m"})
			return nil
		}))
	case "die":
		_, err := stage(configPath(dir), []byte("half"))
		exitOn(err)
	case "key":
		key, err := NewSessionKeys(dir).Key("mesh", "session")
		if err == nil {
			fmt.Print(key.Hex())
		}
		exitOn(err)
	default:
		t.Skip("runs as a child of other tests")
	}
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func child(t *testing.T, do, dir, arg string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), "CHILD="+do, "CHILD_DIR="+dir, "CHILD_ARG="+arg)
	return cmd
}

func readConfig(t *testing.T, dir string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, configName))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestConcurrentUpdatesLoseNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			id := fmt.Sprintf("id-%d", i)
			if i%4 == 0 {
				if out, err := child(t, "update", dir, id).CombinedOutput(); err != nil {
					t.Errorf("process %d: %v: %s", i, err, out)
				}
				return
			}
			err := UpdateConfig(t.Context(), dir, func(c *Config) error {
				c.AddMesh(Mesh{MeshID: id, Slug: "m"})
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	c, err := LoadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	slugs := slices.Sorted(slices.Values(c.Slugs()))
	if len(slices.Compact(slugs)) != 20 {
		t.Errorf("%d meshes of 20 are left: %v", len(slugs), slugs)
	}
}

func TestUpdateKeepsUnknownKeysAndTheForm(t *testing.T) {
	const content = `{
  "version": 1,
  "meshes": [
    {
      "meshId": "1",
      "memberId": "",
      "slug": "a&b",
      "name": "",
      "pubkey": "",
      "secretKey": "",
      "brokerUrl": "",
      "note": {
        "n": 12345678901234567890
      }
    }
  ],
  "owned": [
    {
      "meshId": "1",
      "slug": "",
      "name": "",
      "ownerPubkey": "",
      "ownerSecretKey": "",
      "brokerUrl": "",
      "later": []
    }
  ],
  "brokers": [
    {
      "url": "ws://b",
      "adminToken": "",
      "x": null
    }
  ],
  "accounts": {
    "a": "<b>"
  }
}
`
	dir := writeConfig(t, content)
	if err := UpdateConfig(t.Context(), dir, func(*Config) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if got := readConfig(t, dir); got != content {
		t.Errorf("the file became\n%s", got)
	}
}

func TestUpdateLeavesTheFileWhereItFails(t *testing.T) {
	failed := errors.New("no")
	for name, tt := range map[string]struct {
		content string
		change  func(*Config) error
	}{
		"invalid JSON":    {"{", func(*Config) error { return nil }},
		"meshes no array": {`{"meshes":{"a":1}}`, func(*Config) error { return nil }},
		"change fails":    {`{"meshes":[]}`, func(c *Config) error { c.Role = "x"; return failed }},
	} {
		t.Run(name, func(t *testing.T) {
			dir := writeConfig(t, tt.content)
			if err := UpdateConfig(t.Context(), dir, tt.change); err == nil {
				t.Error("no error")
			}
			if got := readConfig(t, dir); got != tt.content {
				t.Errorf("the file became %s", got)
			}
		})
	}
}

func TestCrashBeforeTheRenameLeavesTheOldFile(t *testing.T) {
	const content = `{"meshes":[]}`
	dir := writeConfig(t, content)
	if out, err := child(t, "die", dir, "").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := readConfig(t, dir); got != content {
		t.Fatalf("the file became %s", got)
	}
	err := UpdateConfig(t.Context(), dir, func(c *Config) error { c.Role = "lead"; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(readConfig(t, dir), "lead") {
		t.Error("the next update did not get through")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestUpdateFollowsASymbolicLink(t *testing.T) {
	real, dir := writeConfig(t, `{"meshes":[]}`), t.TempDir()
	if err := os.Symlink(filepath.Join(real, configName), filepath.Join(dir, configName)); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	err := UpdateConfig(t.Context(), dir, func(c *Config) error { c.Role = "lead"; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(readConfig(t, real), "lead") {
		t.Error("the link was replaced instead of the file it leads to")
	}
}

func TestFilesArePrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no mode bits")
	}
	dir := filepath.Join(t.TempDir(), "new")
	if err := UpdateConfig(t.Context(), dir, func(*Config) error { return nil }); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, configPath(dir): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %o", path, info.Mode(), err, want)
		}
	}
	if err := os.Chmod(configPath(dir), 0o640); err != nil {
		t.Fatal(err)
	}
	c, err := LoadConfig(dir)
	if err != nil || !c.Exposed() {
		t.Errorf("exposed: %v, %v", c.Exposed(), err)
	}
	if err := UpdateConfig(t.Context(), dir, func(*Config) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if c, err = LoadConfig(dir); err != nil || c.Exposed() {
		t.Error("an update leaves the file exposed")
	}
}

func TestAHeldLockIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, lockName)
		release, err := acquire(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		err = UpdateConfig(t.Context(), dir, func(*Config) error { return nil })
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v does not name %s", err, path)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := UpdateConfig(ctx, dir, func(*Config) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled wait ends with %v", err)
		}
	})
}

func TestConfigDirIsWhereTheEnvironmentSays(t *testing.T) {
	t.Setenv("CLAUDEMESH_CONFIG_DIR", "/some/where")
	if got := ConfigDir(); got != "/some/where" {
		t.Error(got)
	}
	t.Setenv("CLAUDEMESH_CONFIG_DIR", "")
	t.Setenv("HOME", "/home/u")
	if got := ConfigDir(); runtime.GOOS != "windows" && got != "/home/u/.claudemesh" {
		t.Error(got)
	}
}

func FuzzLoadConfig(f *testing.F) {
	f.Add([]byte(`{"meshes":[{"meshId":"1","x":{}}],"Meshes":null,"y":[1]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &Config{}
		if c.decode(data) != nil || c.broken != "" {
			return
		}
		once, err := encodeFile(c)
		if err != nil {
			t.Fatalf("cannot be written: %v", err)
		}
		again := &Config{}
		if err := again.decode(once); err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, once)
		}
		if twice, err := encodeFile(again); err != nil || string(twice) != string(once) {
			t.Fatalf("not stable: %v\n%s\n%s", err, once, twice)
		}
	})
}
