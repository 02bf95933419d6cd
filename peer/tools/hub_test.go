package tools

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"claudemesh/peer"
)

func TestKeysOfSessionsOfLongAgoAreRemoved(t *testing.T) {
	dir := t.TempDir()
	keys := peer.NewSessionKeys(dir)
	for _, id := range []string{"old", "now"} {
		if _, err := keys.Key("mesh", id); err != nil {
			t.Fatal(err)
		}
	}
	files := func() []string {
		t.Helper()
		all, err := filepath.Glob(filepath.Join(keys.Dir(), "*", "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	i := slices.IndexFunc(files(), func(path string) bool {
		data, err := os.ReadFile(path)
		return err == nil && bytes.Contains(data, []byte(`"old"`))
	})
	if i < 0 {
		t.Fatalf("no key of the old session in %q", files())
	}
	old := files()[i]
	data, err := os.ReadFile(old)
	if err != nil {
		t.Fatal(err)
	}
	data = regexp.MustCompile(`("usedAt": *)"[^"]*"`).ReplaceAll(data, []byte(`$1"2020-01-02T03:04:05Z"`))
	err = errors.Join(os.WriteFile(old, data, 0o600), os.Chtimes(old, time.Time{}, time.Now().Add(-2*keptKey)))
	if err != nil {
		t.Fatal(err)
	}
	newHub(identity{}, dir, slog.New(slog.DiscardHandler)).pruneKeys(t.Context())
	if left := files(); len(left) != 1 || left[0] == old {
		t.Errorf("%q are left, and %s is the old one", left, old)
	}
}
