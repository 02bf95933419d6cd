package wire

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The golden file is the index of the wire: a change to it is a change to
// what other programs must understand.
func TestFramesAreThoseOfTheGoldenFile(t *testing.T) {
	compareFile(t, filepath.Join("..", "testdata", "frames.golden"), goldenFrames())
}

// compareFile fails if the file differs from want, or rewrites it with -update.
func compareFile(t *testing.T, name, want string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), want); diff != "" {
		t.Errorf("%s is stale; if the change is meant, run go test ./wire -update\n-file +types\n%s", name, diff)
	}
}

func goldenFrames() string {
	var b strings.Builder
	b.WriteString("# The frames of the wire, written from the types by go test ./wire -update.\n")
	b.WriteString("# optional: left out when empty. nullable: always there, may be null.\n")
	var frames []reflect.Type
	for _, e := range Index() {
		fmt.Fprintf(&b, "\n%s: %s", e.Type, e.Direction)
		if e.Answer != "" {
			fmt.Fprintf(&b, ", answered by %s", e.Answer)
		}
		b.WriteByte('\n')
		t := reflect.TypeOf(newFrame(e)).Elem()
		goldenFields(&b, t)
		frames = append(frames, t)
	}
	for _, t := range referenced(frames...) {
		if t.Kind() == reflect.Struct {
			fmt.Fprintf(&b, "\nobject %s\n", t.Name())
			goldenFields(&b, t)
		}
	}
	return b.String()
}

func goldenFields(b *strings.Builder, t reflect.Type) {
	for _, f := range describeFields(t) {
		kind, named := jsonType(f.typ)
		line := fmt.Sprintf("    %-20s %s", f.name, kind)
		if named != nil {
			line += " " + named.Name()
		}
		switch {
		case f.optional:
			line += ", optional"
		case f.nullable:
			line += ", nullable"
		}
		b.WriteString(line + "\n")
	}
}
