package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
)

func TestAFileThatIsNoMeshIsRefusedAndLeftAlone(t *testing.T) {
	sound := func(t *testing.T, path string) {
		db := openAt(t, path)
		for range 200 {
			mustWrite(t, db, func(tx *Tx) error { return tx.AddMessage(message(), []int64{1}) })
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	script := func(t *testing.T, path, text string) {
		c, err := dial(dsn(path, ""))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(c.script(text), c.close()); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name string
		make func(t *testing.T, path string)
		want error
		says []string
	}{
		{"newer", func(t *testing.T, path string) {
			sound(t, path)
			script(t, path, "PRAGMA user_version = 999")
		}, ErrNewer, []string{"999", fmt.Sprint("up to ", len(mustKnow(t))), "update claudemesh"}},
		{"newer, killed before its log was merged", func(t *testing.T, path string) {
			other := filepath.Join(t.TempDir(), "mesh.db")
			sound(t, other)
			c, err := dial(dsn(other, writerPragmas))
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			if err := c.script("PRAGMA user_version = 999"); err != nil {
				t.Fatal(err)
			}
			for _, end := range []string{"", "-wal"} {
				b, err := os.ReadFile(other + end)
				if err != nil {
					t.Fatal(err)
				}
				os.WriteFile(path+end, b, 0o600)
			}
		}, ErrNewer, []string{"999"}},
		{"not SQLite", func(t *testing.T, path string) {
			os.WriteFile(path, bytes.Repeat([]byte("hello "), 1000), 0o600)
		}, ErrCorrupt, []string{"left as it is", "backup"}},
		{"cut off", func(t *testing.T, path string) {
			sound(t, path)
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, info.Size()/2); err != nil {
				t.Fatal(err)
			}
		}, ErrCorrupt, []string{"backup"}},
		{"damaged", func(t *testing.T, path string) {
			sound(t, path)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for i := 4096 * 20; i < len(b); i += 4096 {
				copy(b[i:], bytes.Repeat([]byte{0xff}, 64))
			}
			os.WriteFile(path, b, 0o600)
		}, ErrCorrupt, []string{"backup"}},
		{"of another program", func(t *testing.T, path string) {
			script(t, path, "CREATE TABLE t (x)")
		}, ErrCorrupt, []string{"another program"}},
		{"a directory", func(t *testing.T, path string) { os.Mkdir(path, 0o700) }, ErrCorrupt, []string{"regular file"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "mesh.db")
			test.make(t, path)
			before, _ := os.ReadFile(path)
			log, _ := os.ReadFile(path + "-wal")
			db, err := Open(t.Context(), path, Options{})
			if err == nil {
				db.Close()
			}
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			for _, s := range append(test.says, path) {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q does not say %q", err, s)
				}
			}
			if strings.Contains(err.Error(), "store:") || strings.Contains(err.Error(), "PRAGMA") {
				t.Errorf("%q has words that are for programs", err)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
			if after, _ := os.ReadFile(path + "-wal"); !bytes.Equal(log, after) {
				t.Error("its log was changed")
			}
		})
	}
}

func mustKnow(t *testing.T) []migration {
	t.Helper()
	steps, err := known(migrations)
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

func TestAMigrationHappensInFullOrNotAtAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mesh.db")
	openAt(t, path).Close()
	c, err := dial(dsn(path, writerPragmas))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	steps := mustKnow(t)
	n := len(steps)
	bad := append(steps, migration{n + 1, "bad.sql", "CREATE TABLE half (x INTEGER) STRICT; INSERT INTO nowhere VALUES (1);"})
	if err := migrate(t.Context(), c, bad); err == nil {
		t.Fatal("a broken migration went through")
	}
	good := append(steps, migration{n + 1, "good.sql", "CREATE TABLE half (x INTEGER) STRICT;"}) // fails if half is there
	if err := migrate(t.Context(), c, good); err != nil {
		t.Fatal(err)
	}
	var version int
	if err := c.one("PRAGMA user_version", nil, &version); err != nil || version != n+1 {
		t.Error("version", version, err)
	}
}

func TestMigrationsAreNumberedWithoutGaps(t *testing.T) {
	for name, files := range map[string][]string{
		"gap":       {"0001_a.sql", "0003_b.sql"},
		"twice":     {"0001_a.sql", "0001_b.sql"},
		"no number": {"core.sql"},
	} {
		fsys := fstest.MapFS{}
		for _, f := range files {
			fsys["migrations/"+f] = &fstest.MapFile{}
		}
		if _, err := known(fsys); err == nil {
			t.Error("accepted:", name)
		}
	}
}

func TestANewFileIsItsOwnersOnly(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes are not kept")
	}
	path := filepath.Join(t.TempDir(), "mesh #1%20?.db") // a path that a URI would take apart
	db := openAt(t, path)
	mustWrite(t, db, func(tx *Tx) error { return tx.AddMessage(message(), nil) })
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Error(name, info, err)
		}
	}
}

func TestAnEmptyFileIsANewMesh(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mesh.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, openAt(t, path), func(tx *Tx) error { return tx.AddMessage(message(), nil) })
}

func TestOpenGivesUpWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, filepath.Join(t.TempDir(), "mesh.db"), Options{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
