package peer

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"claudemesh/wire"
)

func TestPersonaIsRememberedByTheSessionsID(t *testing.T) {
	const id = "0191d1b0-0000-4000-8000-00000000c0de"
	for _, c := range []struct {
		name, text, id string
		want           Persona
	}{
		{"launched", `{"name":"builder","groups":[{"name":"docs","role":"lead"}],"more":1}`, id, Persona{Name: "builder", Groups: []wire.Group{{Name: "docs", Role: "lead"}}}},
		{"another session", `{"name":"builder"}`, "0191d1b0-0000-4000-8000-00000000c0df", Persona{}},
		{"damaged", `{"name":"builder"`, id, Persona{}},
		{"a path", `{"name":"builder"}`, "../launched/" + id, Persona{}},
		{"no id", `{"name":"builder"}`, "", Persona{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.MkdirAll(LaunchedDir(dir, id), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(LaunchedDir(dir, id), PersonaName), []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			own, err := LoadConfig(dir)
			if err != nil {
				t.Fatal(err)
			}
			if got := own.Remembered(c.id); !reflect.DeepEqual(got, c.want) {
				t.Errorf("the user's: %+v, want %+v", got, c.want)
			}
			of, err := LoadConfig(filepath.Join(dir, "session"))
			if err != nil {
				t.Fatal(err)
			}
			of.SessionsDir = own.SessionKeys().Dir()
			if got := of.Remembered(c.id); !reflect.DeepEqual(got, c.want) {
				t.Errorf("a session's: %+v, want %+v", got, c.want)
			}
		})
	}
	if got := new(Config).Remembered(id); !reflect.DeepEqual(got, Persona{}) {
		t.Errorf("nobody's: %+v", got)
	}
	if got := (Persona{Name: "a", Groups: []wire.Group{}}).Or(Persona{Name: "b", Role: "r", Groups: []wire.Group{{Name: "g"}}}); got.Name != "a" || got.Role != "r" || len(got.Groups) != 0 {
		t.Errorf("what is given does not go first: %+v", got)
	}
}
