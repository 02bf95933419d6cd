package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestAServerKeepsItsIdentity(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first, err := OpenServer(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenServer(dir)
	if err != nil || *again != *first || first.Key == [32]byte{} || len(first.AdminToken) != 43 {
		t.Error("another identity", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Error("left behind:", entries, err)
	}
}

func TestAServerShowsNoSecret(t *testing.T) {
	s, err := OpenServer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "server", s, "value", *s)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "server", s, "value", *s)
	b, _ := json.Marshal(s)
	printed := log.String() + string(b) + fmt.Sprintf("%v %+v %#v %s %q %d %x", s, *s, s, *s, s, *s, s)
	for _, secret := range []string{s.AdminToken, fmt.Sprintf("%x", s.Key[:]), fmt.Sprint(s.Key)} {
		if strings.Contains(printed, secret) {
			t.Errorf("printed a secret: %s", printed)
		}
	}
}

func TestAServerFileThatIsWrongIsRefused(t *testing.T) {
	good, err := json.Marshal(serverFile{strings.Repeat("ab", 32), strings.Repeat("t", 43)})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		mode    os.FileMode
		content string
		says    string
	}{
		{"sound", 0o600, string(good), ""},
		{"group may read", 0o640, string(good), "chmod 600"},
		{"others may write", 0o602, string(good), "chmod 600"},
		{"empty", 0o600, "", "backup"},
		{"short key", 0o600, `{"serverKey":"ab","adminToken":"` + strings.Repeat("t", 43) + `"}`, "64 hex digits"},
		{"short token", 0o600, `{"serverKey":"` + strings.Repeat("ab", 32) + `","adminToken":"secret"}`, "43 characters"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && test.mode != 0o600 {
				t.Skip("modes are not kept")
			}
			dir := t.TempDir()
			name := filepath.Join(dir, "server.json")
			if err := errors.Join(os.WriteFile(name, []byte(test.content), 0o600), os.Chmod(name, test.mode)); err != nil {
				t.Fatal(err)
			}
			_, err := OpenServer(dir)
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Error(err)
			}
			if err != nil && (strings.Contains(err.Error(), "ttt") || strings.Contains(err.Error(), "secret\"")) {
				t.Error("the error tells the token:", err)
			}
			if after, _ := os.ReadFile(name); string(after) != test.content {
				t.Error("the file was changed")
			}
		})
	}
}

func TestMeshDirectories(t *testing.T) {
	dir := t.TempDir()
	if ids, err := Meshes(dir); len(ids) != 0 || err != nil {
		t.Error(ids, err)
	}
	half := filepath.Join(dir, "meshes", ".new-beta", "junk")
	if err := os.MkdirAll(half, 0o700); err != nil { // left by a crash
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "meshes", "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"beta", "alpha"} {
		path, err := CreateMeshDir(t.Context(), dir, Mesh{ID: id, Slug: id, Created: epoch})
		if err != nil {
			t.Fatal(err)
		}
		want, err := MeshFile(dir, id)
		if path != want || err != nil {
			t.Error(path, want, err)
		}
		mustRead(t, openAt(t, path), func(rx *Rx) error {
			m, err := rx.Mesh()
			if m.ID != id {
				t.Error(m)
			}
			return err
		})
	}
	if _, err := CreateMeshDir(t.Context(), dir, Mesh{ID: "beta", Created: epoch}); !errors.Is(err, ErrConflict) {
		t.Error("made twice:", err)
	}
	if ids, err := Meshes(dir); !slices.Equal(ids, []string{"alpha", "beta"}) || err != nil {
		t.Error(ids, err)
	}
	if _, err := os.Stat(filepath.Dir(half)); err == nil {
		t.Error("the half mesh is still there")
	}
}

func TestAMeshIDThatLeadsElsewhereIsRefused(t *testing.T) {
	for _, id := range []string{"", ".", "..", "a/b", `a\b`, "../x", "a\x00", "a\n", "ä", strings.Repeat("a", 65), "C:"} {
		if path, err := MeshDir(t.TempDir(), id); err == nil {
			t.Errorf("%q leads to %s", id, path)
		}
		if _, err := CreateMeshDir(t.Context(), t.TempDir(), Mesh{ID: id}); err == nil {
			t.Errorf("%q was made", id)
		}
	}
}
