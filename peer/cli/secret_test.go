package cli

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestASecretIsReadFromALine(t *testing.T) {
	for typed, want := range map[string]string{"hunter2\n": "hunter2", "hunter2\r\nmore": "hunter2", "hunter2": "hunter2", "": "", " a b \n": " a b "} {
		f := newFixture(t)
		f.Stdin = strings.NewReader(typed)
		f.fill()
		got, err := f.secret(t.Context(), "Value of K")
		if err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", typed, got, err)
		}
		if asked := f.stderr.String(); asked != "Value of K (it is not shown): \n" {
			t.Errorf("asked %q", asked)
		}
	}
}

func TestWhoIsAskedMayInterrupt(t *testing.T) {
	f := newFixture(t)
	in, end := io.Pipe()
	defer end.Close()
	f.Stdin = in
	f.fill()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.secret(ctx, "Value of K"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
