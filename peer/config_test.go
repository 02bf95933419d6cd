package peer

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func writeConfig(t *testing.T, content string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, configName), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestLoadConfigTakesWhatCountsAsEmpty(t *testing.T) {
	for name, content := range map[string]string{
		"no meshes":         `{"version":1}`,
		"meshes null":       `{"meshes":null}`,
		"meshes no array":   `{"meshes":{"a":1}}`,
		"byte order mark":   "\ufeff{\"meshes\":[]}",
		"only other fields": `{"theme":"dark"}`,
	} {
		t.Run(name, func(t *testing.T) {
			c, err := LoadConfig(writeConfig(t, content))
			if err != nil || len(c.Meshes) != 0 {
				t.Fatalf("got %v, %v; want an empty configuration", c, err)
			}
		})
	}
	t.Run("no file", func(t *testing.T) {
		c, err := LoadConfig(t.TempDir())
		if err != nil || len(c.Meshes) != 0 || c.Mode() != 0 || c.Exposed() {
			t.Fatalf("got %v, %v; want an empty configuration", c, err)
		}
	})
}

func TestLoadConfigNamesTheInvalidFile(t *testing.T) {
	for name, content := range map[string]string{
		"empty":      "",
		"cut off":    "{\n\"meshes\": [",
		"an array":   "[]",
		"wrong type": `{"meshes":[{"slug":5}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := writeConfig(t, content)
			_, err := LoadConfig(dir)
			if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, configName)) {
				t.Fatalf("error %v does not name the file", err)
			}
		})
	}
}

func TestMeshIsFoundBySlugThenID(t *testing.T) {
	one := &Config{Meshes: []Mesh{{MeshID: "id-home", Slug: "home"}}}
	two := &Config{Meshes: []Mesh{{MeshID: "id-home", Slug: "home"}, {MeshID: "id-work", Slug: "work"}}}
	for _, tt := range []struct {
		name, arg string
		c         *Config
		want      string
		err       error
	}{
		{"none joined", "", &Config{}, "", ErrNoMesh},
		{"none joined, named", "home", &Config{}, "", ErrNoMesh},
		{"the only one", "", one, "home", nil},
		{"several", "", two, "", ErrAmbiguousMesh},
		{"slug", "work", two, "work", nil},
		{"id", "id-work", two, "work", nil},
		{"unknown", "wrk", two, "", ErrUnknownMesh},
		{"unknown with one", "wrk", one, "", ErrUnknownMesh},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := tt.c.Mesh(tt.arg)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if err != nil {
				for _, slug := range tt.c.Slugs() {
					if !strings.Contains(err.Error(), slug) {
						t.Errorf("%q does not name %s", err, slug)
					}
				}
				return
			}
			if m.Slug != tt.want {
				t.Errorf("got %s, want %s", m.Slug, tt.want)
			}
		})
	}
}

func TestAddMeshKeepsTheKeyOfAKnownMesh(t *testing.T) {
	c := &Config{}
	c.AddMesh(Mesh{MeshID: "1", Slug: "home", MemberID: "m1", SecretKey: "old"})
	got, kept := c.AddMesh(Mesh{MeshID: "1", Slug: "other", MemberID: "m2", SecretKey: "new", RootKey: "root"})
	if !kept || got.SecretKey != "old" || got.MemberID != "m1" || got.Slug != "home" || len(c.Meshes) != 1 {
		t.Errorf("the entry became %s member %s, kept %v", got, got.MemberID, kept)
	}
	if got.RootKey != "root" {
		t.Error("the missing root key was not filled in")
	}
}

func TestAddMeshGivesAFreeValidSlug(t *testing.T) {
	long := strings.Repeat("a", 64)
	c := &Config{Meshes: []Mesh{
		{MeshID: "1", Slug: "home"}, {MeshID: "2", Slug: "home-2"}, {MeshID: "3", Slug: long}, {MeshID: "an-id", Slug: "x"},
	}}
	for slug, want := range map[string]string{
		"home":          "home-3",
		"work":          "work",
		long:            long[:62] + "-2",
		"an-id":         "an-id-2",
		"Home Lab":      "home-lab",
		"../../.ssh/id": "ssh-id",
		"":              "mesh",
		"日本":            "mesh",
	} {
		fresh := &Config{Meshes: slices.Clone(c.Meshes)}
		got, kept := fresh.AddMesh(Mesh{MeshID: "new", Slug: slug})
		if kept || got.Slug != want || !ValidSlug(got.Slug) {
			t.Errorf("%q became %q, want %q", slug, got.Slug, want)
		}
	}
}

func TestRemoveMeshRemovesOne(t *testing.T) {
	c := &Config{Meshes: []Mesh{{MeshID: "1", Slug: "a"}, {MeshID: "2", Slug: "b"}}}
	if c.RemoveMesh("c") || c.RemoveMesh("") {
		t.Error("removed what is not there")
	}
	if !c.RemoveMesh("a") || !slices.Equal(c.Slugs(), []string{"b"}) {
		t.Errorf("left are %v", c.Slugs())
	}
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	const secret = "5ec4e7"
	c := Config{
		Meshes:  []Mesh{{Slug: "home", SecretKey: secret, RootKey: secret, Extra: map[string]json.RawMessage{"x": json.RawMessage(secret)}}},
		Owned:   []Owned{{Slug: "home", OwnerSecretKey: secret, RootKey: secret}},
		Brokers: []Broker{{URL: "ws://b", AdminToken: secret}},
	}
	key := sessionKey{Pubkey: "aa", SecretKey: secret}
	for _, v := range []any{c, &c, c.Meshes[0], &c.Meshes[0], c.Owned[0], c.Brokers[0], c.Meshes, c.Owned, key, struct{ C Config }{c}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if out := fmt.Sprintf(verb, v); strings.Contains(out, secret) || strings.Contains(out, fmt.Sprintf("%x", secret)) {
				t.Errorf("%s of %T prints the secret: %s", verb, v, out)
			}
		}
	}
	for _, v := range []any{c, &c, c.Meshes[0], &c.Owned[0], c.Brokers[0], key} {
		var out strings.Builder
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
		if strings.Contains(out.String(), secret) {
			t.Errorf("logging %T shows the secret: %s", v, out.String())
		}
	}
}
