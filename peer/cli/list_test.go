package cli

import (
	"encoding/json"
	"strings"
	"testing"
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
