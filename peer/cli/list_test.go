package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

func TestListShowsMeshesWithoutSecrets(t *testing.T) {
	f := newFixture(t)
	f.join(t, "home", "work")
	for _, args := range [][]string{{"list"}, {"list", "--json"}} {
		if code := f.run(t, nil, args...); code != 0 {
			t.Fatalf("%v: exit %d, %s", args, code, &f.stderr)
		}
		for _, want := range []string{"home", "work", "id-home", "member", strings.Repeat("ab", 8), "ws://127.0.0.1:1/ws"} {
			if !strings.Contains(f.stdout.String(), want) {
				t.Errorf("%v does not show %s:\n%s", args, want, &f.stdout)
			}
		}
		if strings.Contains(f.stdout.String(), "5e5e") {
			t.Errorf("%v shows a secret key", args)
		}
	}
	var got struct{ Meshes []map[string]any }
	if err := json.Unmarshal(f.stdout.Bytes(), &got); err != nil || len(got.Meshes) != 2 {
		t.Errorf("JSON: %v, %v", got, err)
	}
}

func TestListWithoutMeshesSaysWhatToDo(t *testing.T) {
	f := newFixture(t)
	if code := f.run(t, nil, "list"); code != 0 || f.stdout.Len() > 0 || !strings.Contains(f.stderr.String(), "claudemesh join") {
		t.Errorf("exit %d, stdout %q, stderr %q", code, &f.stdout, &f.stderr)
	}
	if code := f.run(t, nil, "list", "--json"); code != 0 || !strings.Contains(f.stdout.String(), `"meshes": []`) {
		t.Errorf("exit %d, stdout %q", code, &f.stdout)
	}
}

func TestVersionIsTheSameInEveryForm(t *testing.T) {
	f := newFixture(t)
	f.run(t, nil, "version")
	text := f.stdout.String()
	if f.run(t, nil, "--version"); f.stdout.String() != text || !strings.HasPrefix(text, "claudemesh ") {
		t.Errorf("%q and %q", text, &f.stdout)
	}
	f.run(t, nil, "version", "--json")
	var b Build
	if err := json.Unmarshal(f.stdout.Bytes(), &b); err != nil || b != ThisBuild() || b.Version == "" || b.Revision == "" {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestAConfigurationThatCannotBeUsedIsCalledThat(t *testing.T) {
	f := newFixture(t)
	if err := os.WriteFile(filepath.Join(f.ConfigDir, "config.json"), []byte(`{"meshes": {}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"list", "list --json", "status", "peers", ""} {
		code := f.run(t, nil, strings.Fields(line)...)
		if s := f.stderr.String(); code != 1 || !strings.Contains(s, "not an array") || !strings.Contains(s, f.ConfigDir) {
			t.Errorf("%q: exit %d, %q", line, code, s)
		}
	}
}

// wide returns a terminal of 80 columns.
func wide(t *testing.T) *fixture { return terminal(t, "TERM", "dumb", "COLUMNS", "80") }

func fits(t *testing.T, f *fixture) {
	t.Helper()
	for line := range strings.Lines(f.stdout.String()) {
		if n := displayWidth(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func TestListAndMembersFitATerminal(t *testing.T) {
	f := wide(t)
	id := strings.Repeat("i", 22)
	now := wire.Time(f.Now().Add(-59 * time.Minute))
	listTable(&f.Env, &peer.Config{Meshes: []peer.Mesh{{Slug: "backend", Name: "backend", MeshID: id, MemberID: id,
		Pubkey: strings.Repeat("ab", 32), BrokerURL: "ws://127.0.0.1:7900/ws", JoinedAt: now}}})
	if i := strings.Index(f.stdout.String(), "configuration:"); i > 0 {
		f.stdout.Truncate(i) // a path may be longer
	}
	fits(t, f)
	if s := f.stdout.String(); !strings.Contains(s, " iiiiiiii ") || strings.Contains(s, "NAME") || strings.Contains(s, "…") {
		t.Error(s)
	}

	f = wide(t)
	members := []wire.Member{{ID: id, DisplayName: "alice", Permission: wire.Ordinary, Pubkey: strings.Repeat("ab", 32), MessageMode: "inbox", JoinedAt: now, SessionCount: new(2)}}
	printMembers(&f.Env, &peer.Mesh{MemberID: id}, members)
	fits(t, f)
	if s := f.stdout.String(); !strings.HasSuffix(s, " iiiiiiii\n") || strings.Contains(s, "GROUPS") {
		t.Error(s)
	}

	f = newFixture(t)
	f.fill()
	printMembers(&f.Env, &peer.Mesh{}, members)
	if s := f.stdout.String(); !strings.Contains(s, id) || strings.Count(s, "\t") != 8 {
		t.Errorf("in a pipe: %q", s)
	}
}
