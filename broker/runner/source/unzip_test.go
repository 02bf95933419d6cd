package source

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// An entry of an archive that a test makes.
type entry struct {
	name, text string
	mode       fs.FileMode
}

// makeZip writes an archive as it is told, whatever that is worth.
func makeZip(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		h.SetMode(e.mode)
		if e.mode == 0 {
			h.SetMode(0o644)
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(f, e.text)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// unzipped unpacks an archive into a directory of its own.
func unzipped(ctx context.Context, t testing.TB, archive []byte, room int64) (string, error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "in")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	return dir, unzip(ctx, bytes.NewReader(archive), int64(len(archive)), root, room)
}

func TestAnArchiveIsUnpackedAsItIs(t *testing.T) {
	dir, err := unzipped(t.Context(), t, makeZip(t,
		entry{name: "p/", mode: fs.ModeDir | 0o777}, entry{name: "p/run.sh", text: "x", mode: 0o4711 | fs.ModeSetuid}, entry{name: "p/a/b/c.txt", text: "text"},
		entry{name: "__MACOSX/p/._run.sh", text: "x"}, entry{name: "p/.DS_Store", text: "x"}, entry{name: "p/ü.txt"},
	), 100)
	if err != nil {
		t.Fatal(err)
	}
	got, err := top(dir)
	if err != nil || got != filepath.Join(dir, "p") {
		t.Errorf("the top is %s (%v), and there is one directory", got, err)
	}
	if text, err := os.ReadFile(filepath.Join(got, "a/b/c.txt")); string(text) != "text" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := os.Stat(filepath.Join(got, ".DS_Store")); err == nil {
		t.Error("the litter is there too")
	}
	if runtime.GOOS == "windows" {
		return
	}
	for name, want := range map[string]fs.FileMode{"run.sh": 0o100, "a/b/c.txt": 0} {
		info, err := os.Stat(filepath.Join(got, name))
		if err != nil || info.Mode()&(0o7000|0o100|fs.ModeSetuid) != want {
			t.Errorf("%s has mode %v (%v)", name, info.Mode(), err)
		}
	}
}

func TestAnArchiveThatIsNotSafeIsRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		files []entry
		wrong string
	}{
		{"a path upwards", []entry{{name: "../evil", text: "x"}}, "below its top"},
		{"a path upwards in the middle", []entry{{name: "a/../../evil", text: "x"}}, "below its top"},
		{"an absolute path", []entry{{name: "/etc/evil", text: "x"}}, "below its top"},
		{"a backslash", []entry{{name: `..\evil`, text: "x"}}, "below its top"},
		{"a dot", []entry{{name: "./a", text: "x"}}, "below its top"},
		{"an empty part", []entry{{name: "a//b", text: "x"}}, "below its top"},
		{"no name", []entry{{name: "", text: "x"}}, "below its top"},
		{"a control character", []entry{{name: "a\nb", text: "x"}}, "below its top"},
		{"no UTF-8", []entry{{name: "a\xff", text: "x"}}, "below its top"},
		{"a long path", []entry{{name: strings.Repeat("a", 2000)}}, "at most"},
		{"a deep path", []entry{{name: strings.Repeat("a/", 100) + "b"}}, "at most"},
		{"a link", []entry{{name: "a", text: "/etc/passwd", mode: fs.ModeSymlink | 0o777}}, "a link"},
		{"a link and a file through it", []entry{{name: "a", text: "/tmp", mode: fs.ModeSymlink | 0o777}, {name: "a/b"}}, "a link"},
		{"a device", []entry{{name: "a", mode: fs.ModeDevice | 0o666}}, "neither a file"},
		{"a pipe", []entry{{name: "a", mode: fs.ModeNamedPipe | 0o666}}, "neither a file"},
		{"a name twice", []entry{{name: "a"}, {name: "a"}}, "one file"},
		{"names that differ in case", []entry{{name: "a/Readme"}, {name: "a/README"}}, "one file"},
		{"directories that differ in case", []entry{{name: "Lib/a"}, {name: "lib/b"}}, "one file"},
		{"names that differ in normalisation", []entry{{name: "\u00fc"}, {name: "u\u0308"}}, "one file"},
		{"names that differ in both", []entry{{name: "\u00dc"}, {name: "u\u0308"}}, "one file"},
		{"a file that is a directory too", []entry{{name: "a"}, {name: "a/b"}}, "one file"},
		{"a directory that is a file too", []entry{{name: "a/b"}, {name: "a"}}, "one file"},
		{"too much", []entry{{name: "a", text: strings.Repeat("x", 60)}, {name: "b", text: strings.Repeat("x", 60)}}, "unpacks to more"},
	} {
		dir, err := unzipped(t.Context(), t, makeZip(t, c.files...), 100)
		wantError(t, c.name, err, c.wrong)
		stayedInside(t, dir)
	}
}

// stayedInside fails if there is something beside dir, or a link or device
// below it.
func stayedInside(t testing.TB, dir string) {
	t.Helper()
	beside, err := os.ReadDir(filepath.Dir(dir))
	if err != nil || len(beside) != 1 {
		t.Errorf("beside the directory there is %v (%v)", beside, err)
	}
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() && !d.Type().IsRegular() {
			t.Errorf("%s: %v %v", path, d, err)
		}
		return nil
	})
}

func TestTheSizeIsWhatIsFoundAndNotWhatIsSaid(t *testing.T) {
	archive := makeZip(t, entry{name: "bomb", text: strings.Repeat("\x00", 1<<20)})
	// The uncompressed size in the list of entries is at 24 of its header.
	at := bytes.LastIndex(archive, []byte("PK\x01\x02"))
	copy(archive[at+24:], []byte{1, 0, 0, 0})
	_, err := unzipped(t.Context(), t, archive, 1000)
	if err == nil {
		t.Fatal("a megabyte went into a thousand bytes")
	}
}

func TestEntriesAreCountedBeforeTheyAreRead(t *testing.T) {
	many := make([]entry, maxEntries+1)
	for i := range many {
		many[i].name = fmt.Sprint(i)
	}
	_, err := unzipped(t.Context(), t, makeZip(t, many...), 100)
	wantError(t, "many entries", err, "more than 10000 entries")
	for i := range many {
		many[i].name = strings.Repeat("x", 900) + fmt.Sprint(i)
	}
	_, err = unzipped(t.Context(), t, makeZip(t, many...), 100)
	wantError(t, "a long list", err, "more than 10000 entries")
	_, err = unzipped(t.Context(), t, []byte("no zip"), 100)
	wantError(t, "no archive", err, "cannot be read")
}

func TestUnpackingEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	_, err := unzipped(ctx, t, makeZip(t, entry{name: "a", text: "x"}), 100)
	wantError(t, "a context that is over", err, "enough")
}

func FuzzUnzip(f *testing.F) {
	f.Add(makeZip(f, entry{name: "a/b", text: "x"}, entry{name: "../c", text: "x"}))
	f.Add(makeZip(f, entry{name: "a", text: "/etc", mode: fs.ModeSymlink | 0o777}, entry{name: "a/b", text: "x"}))
	f.Add(makeZip(f, entry{name: "bomb", text: strings.Repeat("\x00", 10_000)}))
	f.Fuzz(func(t *testing.T, archive []byte) {
		const room = 4096
		dir, _ := unzipped(t.Context(), t, archive, room)
		stayedInside(t, dir)
		var size int64
		filepath.WalkDir(dir, func(_ string, d fs.DirEntry, _ error) error {
			if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
				size += info.Size()
			}
			return nil
		})
		if size > room+1 {
			t.Errorf("%d bytes were unpacked into %d", size, room)
		}
	})
}
