package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"claudemesh/peer"
)

func TestSessionsShareFilesThroughTheirTools(t *testing.T) {
	buildsProgram(t)
	p := startProcess(t)
	run := shortTemp(t)
	here, there, extra := t.TempDir(), t.TempDir(), t.TempDir()
	for name, content := range map[string]string{
		"plan.md": "hello", ".env": "TOKEN=1", "id_rsa": "key", "sub/x.txt": "x", "../outside.txt": "y",
	} {
		path := filepath.Join(here, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"out": "../outside.txt", "innocent.txt": ".env"} {
		if err := os.Symlink(to, filepath.Join(here, link)); err != nil {
			t.Skip("no symbolic links here:", err)
		}
	}
	p.dir = here
	ann := p.startSession(run, "ann")
	ann.open()
	p.dir = there
	bob := p.startSession(run, "bob")
	bob.open()

	shared := ann.works("share_file", args{"path": "plan.md", "tags": []string{"q3"}})
	id := regexp.MustCompile(`id is (\w+)`).FindStringSubmatch(shared)
	sealed := regexp.MustCompile(`id is (\w+)`).FindStringSubmatch(ann.works("share_file", args{"path": "sub/x.txt", "to": "bob", "name": "../.evil"}))
	if id == nil || sealed == nil {
		t.Fatalf("no id in %q", shared)
	}
	for _, c := range []struct {
		who    *mcpSession
		tool   string
		args   args
		want   string
		failed bool
	}{
		{ann, "share_file", args{"path": ".env"}, "looks like a secret", true},
		{ann, "share_file", args{"path": "id_rsa"}, "looks like a secret", true},
		{ann, "share_file", args{"path": "innocent.txt"}, "looks like a secret", true},
		{ann, "share_file", args{"path": "out"}, "escapes", true},
		{ann, "share_file", args{"path": "../outside.txt"}, "not below the working directory", true},
		{ann, "share_file", args{"path": "/etc/hostname"}, "not below the working directory", true},
		{ann, "share_file", args{"path": "sub"}, "not a regular file", true},
		{ann, "share_file", args{"path": "plan.md", "to": "nobody"}, "nobody called", true},
		{bob, "list_files", args{"query": "Q3"}, "plan.md, 5 bytes, id " + id[1], false},
		{bob, "get_file", args{"id": id[1], "save_to": "."}, filepath.Join(there, "plan.md"), false},
		{bob, "get_file", args{"id": id[1], "save_to": "."}, "is there already", true},
		{bob, "get_file", args{"id": id[1], "save_to": "new/dir/"}, filepath.Join("new", "dir", "plan.md"), false},
		{bob, "get_file", args{"id": id[1], "save_to": "other.md"}, "Saved 5 bytes", false},
		{bob, "get_file", args{"id": id[1], "save_to": ".claude/settings.json"}, "begins with a dot", true},
		{bob, "get_file", args{"id": id[1], "save_to": "../up.md"}, "not below the working directory", true},
		{bob, "get_file", args{"id": sealed[1], "save_to": "."}, filepath.Join(there, "_evil"), false},
		{bob, "get_file", args{"id": "nothing", "save_to": "."}, "no file", true},
		{bob, "file_status", args{"id": id[1]}, "fetched by bob", false},
		{ann, "grant_file_access", args{"fileId": sealed[1], "to": "bob"}, "may open it now", false},
		{ann, "grant_file_access", args{"fileId": id[1], "to": "bob"}, "not encrypted", true},
		{ann, "delete_file", args{"id": id[1]}, "Deleted", false},
		{ann, "delete_file", args{"id": id[1]}, "no file", true},
	} {
		text, failed := c.who.call(c.tool, c.args)
		if failed != c.failed || !strings.Contains(text, c.want) {
			t.Errorf("%s %v: failed %v, %s; want %q", c.tool, c.args, failed, text, c.want)
		}
	}
	if got, err := os.ReadFile(filepath.Join(there, "_evil")); err != nil || string(got) != "x" {
		t.Errorf("what was sealed came as %q, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(extra, "data.bin"), []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := peer.UpdateConfig(t.Context(), p.config(), func(c *peer.Config) error { c.FileDirs = []string{extra}; return nil }); err != nil {
		t.Fatal(err)
	}
	ann.works("share_file", args{"path": filepath.Join(extra, "data.bin")})
}
