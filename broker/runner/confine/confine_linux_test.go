package confine

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	Main()
	os.Exit(m.Run())
}

// newCell returns a cell with a directory of its own.
func newCell(t *testing.T, args ...string) Cell {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "service")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return Cell{Dir: dir, Args: args}
}

// run runs a program in a cell and returns what it said, and how it ended.
func run(t *testing.T, c *Confiner, cell Cell) (string, error) {
	t.Helper()
	p, err := c.Command(t.Context(), cell)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	p.Stdout, p.Stderr = &out, &out
	err = p.Run()
	if cerr := p.Close(); cerr != nil {
		err = cerr
	}
	return out.String(), err
}

func TestACellHasItsDirectoryAndLittleElse(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("hush"), 0o644); err != nil {
		t.Fatal(err)
	}
	cell := newCell(t, "sh", "-c", `cat "$1"; echo mine >home/a && cat home/a; echo no >source; echo "$HOME $TMPDIR"; env | grep -c .`, "sh", secret)
	out, err := run(t, New(t.Context(), Options{}), cell)
	if err != nil || strings.Contains(out, "hush") || !strings.Contains(out, "mine\n") || !strings.Contains(out, cell.Dir+"/home "+cell.Dir+"/tmp\n") {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := os.Stat(cell.Dir + "/source"); err == nil {
		t.Error("it changed what it may only read")
	}
}
