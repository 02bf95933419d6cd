package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Lines of Go that a file may have. A file that is hard to hold in the head
// wants to be two.
const (
	manyLines     = 400
	tooManyLines  = 500
	tooManyInTest = 800
)

// eachFile calls f for every text file of the source tree.
func eachFile(t *testing.T, f func(path string, data []byte)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == ".git" && !d.IsDir() {
			return nil // of a linked work tree
		}
		if d.IsDir() {
			if path == ".git" || path == "dist" {
				return fs.SkipDir
			}
			return nil
		}
		if info, err := d.Info(); err != nil || !info.Mode().IsRegular() || info.Size() > 4<<20 {
			return err // the built program, or no file of ours
		}
		data, err := os.ReadFile(path)
		if err == nil && bytes.IndexByte(data, 0) < 0 {
			f(path, data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestNoFileNamesAMachine keeps paths out that exist where a file was written
// and nowhere else.
func TestNoFileNamesAMachine(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	machine := regexp.MustCompile(`(^|[^\w$}.\-])/(root|work|Users)/|` + regexp.QuoteMeta(here))
	if machine.MatchString("see $WORK/bin, ./root/x and https://x/y/") || !machine.MatchString("in /root"+"/x") {
		t.Fatal("the pattern has no teeth")
	}
	eachFile(t, func(path string, data []byte) {
		n := 0
		for line := range bytes.Lines(data) {
			n++
			if found := machine.Find(line); found != nil {
				t.Errorf("%s:%d names %q, a path of one machine", path, n, found)
			}
		}
	})
}

func TestGoFilesStaySmall(t *testing.T) {
	eachFile(t, func(path string, data []byte) {
		if filepath.Ext(path) != ".go" {
			return
		}
		limit := tooManyLines
		if strings.HasSuffix(path, "_test.go") {
			limit = tooManyInTest
		}
		switch n := bytes.Count(data, []byte("\n")); {
		case n > limit:
			t.Errorf("%s has %d lines, more than %d: part it by what it is about", path, n, limit)
		case n > manyLines && limit == tooManyLines:
			t.Logf("%s has %d lines", path, n)
		}
	})
}

// TestPackagesAreNamedForWhatTheyDo refuses names that gather what has no home.
func TestPackagesAreNamedForWhatTheyDo(t *testing.T) {
	vague := []string{"base", "common", "helper", "helpers", "lib", "misc", "model", "models", "shared", "types", "util", "utils"}
	for _, p := range goList(t, "linux") {
		if p.Module != nil && p.Module.Main && slices.Contains(vague, strings.TrimSuffix(p.Name, "_test")) {
			t.Errorf("package %s is named %s: name it for what it does", p.ImportPath, p.Name)
		}
	}
}

// TestLibcIsTheOneSQLiteWasTestedWith compares versions: modernc.org/sqlite is
// C translated for one version of modernc.org/libc, and breaks with others.
func TestLibcIsTheOneSQLiteWasTestedWith(t *testing.T) {
	const libc = "modernc.org/libc"
	var sqlite, own struct{ GoMod, Version string }
	decode(t, &sqlite, "list", "-m", "-json", "modernc.org/sqlite")
	decode(t, &own, "list", "-m", "-json", libc)
	var mod struct {
		Require []struct{ Path, Version string }
	}
	decode(t, &mod, "mod", "edit", "-json", sqlite.GoMod)
	for _, r := range mod.Require {
		if r.Path != libc {
			continue
		}
		if own.Version != r.Version {
			t.Errorf("go.mod has %s %s, and modernc.org/sqlite %s wants %s: go get %[1]s@%[4]s", libc, own.Version, sqlite.Version, r.Version)
		}
		return
	}
	t.Errorf("%s names no %s", sqlite.GoMod, libc)
}

// decode reads the JSON that the go command prints.
func decode(t *testing.T, into any, args ...string) {
	t.Helper()
	if err := json.Unmarshal(output(t, exec.CommandContext(t.Context(), "go", args...)), into); err != nil {
		t.Fatal(err)
	}
}
