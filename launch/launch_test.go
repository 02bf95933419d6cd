package launch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"claudemesh/peer"
)

func TestFlagsThatTakeAllWordsAreFollowedByAFlag(t *testing.T) {
	extra := []string{"--mcp-config", "m.json"}
	for _, c := range []struct {
		o    LaunchOptions
		want string
	}{
		{LaunchOptions{Args: []string{"hello"}}, "--session-id ID|hello"},
		{LaunchOptions{Continue: true, Args: []string{"hello"}}, "--continue|hello"},
		{LaunchOptions{Resume: "r", SystemPrompt: "s", Yes: true}, "--resume r --dangerously-skip-permissions --system-prompt s|"},
		{LaunchOptions{Resume: Picker, Args: []string{"hello"}}, "--resume -- hello|"},
		{LaunchOptions{Resume: Picker, AppendPrompt: "a", Args: []string{"hello"}}, "--resume --append-system-prompt a hello|"},
		{LaunchOptions{Resume: Picker, Yes: true, Args: []string{"hello"}}, "--resume --dangerously-skip-permissions hello|"},
		{LaunchOptions{Args: []string{"--dangerously-load-development-channels", "server:x", "--dangerously-skip-permissions", "-p", "--", "--dangerously-skip-permissions"}},
			"--session-id ID -p -- --dangerously-skip-permissions|"},
	} {
		want := "--dangerously-load-development-channels server:claudemesh --mcp-config m.json " + strings.TrimSuffix(strings.Replace(c.want, "|", " ", 1), " ")
		if got := strings.Join(c.o.hostArgs("ID", extra), " "); got != want {
			t.Errorf("%+v:\n%s\nwant\n%s", c.o, got, want)
		}
	}
}

func TestSessionIDsAreUUIDs(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		id := newUUID()
		if !peer.ValidHostSession(id) || seen[id] || id[14] != '4' || !strings.Contains("89ab", id[19:20]) {
			t.Fatalf("%s is no new random UUID", id)
		}
		seen[id] = true
	}
	for _, bad := range []string{"", "true", "../../../../../../etc/passwd/aaaaaaaa", strings.Repeat("/", 36)} {
		if peer.ValidHostSession(bad) {
			t.Errorf("%q is taken for an id", bad)
		}
	}
}

func TestTidyTakesTheKeysOfEndedSessionsOnly(t *testing.T) {
	h := newTestHost(t)
	c, err := peer.LoadConfig(h.ConfigDir)
	if err != nil {
		t.Fatal(err)
	}
	mesh := &peer.Mesh{MeshID: "m", Slug: "home", SecretKey: "s3cret"}
	running, ended, old := newUUID(), newUUID(), newUUID()
	for _, id := range []string{running, ended, old} {
		if err := writeSession(t.Context(), h.sessionDir(id), c, mesh, peer.Persona{Name: "alice"}); err != nil {
			t.Fatal(err)
		}
		if id != running {
			write(t, filepath.Join(h.sessionDir(id), pidName), `{"pid": 1, "start": "another process"}`)
		}
	}
	long := time.Now().Add(-keptSession - time.Hour)
	if err := os.Chtimes(filepath.Join(h.sessionDir(old), peer.PersonaName), long, long); err != nil {
		t.Fatal(err)
	}
	if err := h.Tidy(); err != nil {
		t.Fatal(err)
	}
	if text := read(t, filepath.Join(h.sessionDir(running), "config.json")); !strings.Contains(text, "s3cret") {
		t.Errorf("the running session has %s", text)
	}
	if left := names(t, h.sessionDir(ended)); left != peer.PersonaName {
		t.Errorf("the ended session has %s", left)
	}
	if got := h.Remembered(ended); got.Name != "alice" {
		t.Errorf("remembered %+v", got)
	}
	if _, err := os.Stat(h.sessionDir(old)); !os.IsNotExist(err) {
		t.Errorf("the old session is still there: %v", err)
	}
}
