package store

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestAKeyringIsKeptForItsOwnerAlone(t *testing.T) {
	dir := t.TempDir()
	got, err := OpenKeyring(dir)
	equal(t, got, new(Keyring))
	wants(t, "no file", err, nil)
	ring := &Keyring{Keys: []RestKey{{[32]byte{7}, epoch}, {[32]byte{8}, epoch}}, Resealing: true}
	wants(t, "save", SaveKeyring(dir, ring), nil)
	got, err = OpenKeyring(dir)
	wants(t, "open", err, nil)
	if len(got.Keys) != 2 || got.Keys[0] != ring.Keys[0] || got.Keys[1] != ring.Keys[1] || !got.Resealing {
		t.Errorf("came back with %d keys, %v", len(got.Keys), got.Resealing)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", ring, *ring, ring.Keys, ring.Keys[0]); strings.Contains(text, "7") {
		t.Errorf("it prints its keys: %s", text)
	}
	wants(t, "save", SaveKeyring(dir, &Keyring{Keys: ring.Keys[:1]}), nil)
	name := filepath.Join(dir, "keys.json")
	if info, err := os.Stat(name); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	left := filepath.Join(dir, ".new-crashed")
	if err := os.WriteFile(left, []byte("a key that was given up"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err = OpenKeyring(dir)
	if err != nil || len(got.Keys) != 1 || got.Resealing {
		t.Errorf("replaced: %d keys, %v", len(got.Keys), err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Error("what a crash left is still there:", err)
	}
}

func TestAKeyringThatCannotBeUsedIsSaid(t *testing.T) {
	for content, says := range map[string]string{
		"":                            "restore it from a backup",
		`{"keys":[{"key":"secret"}]}`: "64 hex digits",
		`{"keys":[{"key":5}]}`:        "restore it from a backup",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "keys.json"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenKeyring(dir); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret\"") {
			t.Errorf("%s: %v", content, err)
		}
	}
	if runtime.GOOS == "windows" {
		return
	}
	dir := t.TempDir()
	if err := SaveKeyring(dir, new(Keyring)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "keys.json"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKeyring(dir); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("open to others: %v", err)
	}
}
