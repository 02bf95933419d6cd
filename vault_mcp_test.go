package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// leaks names the files below dir that hold one of the secrets.
func leaks(t *testing.T, dir string, secrets ...string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		for _, s := range secrets {
			if strings.Contains(string(text), s) {
				found = append(found, path+" has "+s)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestSessionsKeepSecretsInTheVault(t *testing.T) {
	buildsProgram(t)
	p := startProcess(t)
	run, here, outside := shortTemp(t), t.TempDir(), t.TempDir()
	for name, dir := range map[string]string{"cert.pem.txt": here, ".env": here, "out.txt": outside} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("of-the-file-7731"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.dir = here
	ann, bob := p.startSession(run, "ann", "CLAUDEMESH_DEBUG=1"), p.startSession(run, "bob")
	ann.open()
	bob.open()
	said := ann.works("vault_set", args{"key": "TOKEN", "value": "hunter2-of-ann", "description": "of the forge"})
	said += ann.works("vault_set", args{"key": "CERT", "value": "cert.pem.txt", "type": "file", "mount_path": "tls/cert.pem"})
	list := ann.works("vault_list", args{})
	for _, want := range []string{`"CERT", file for tls/cert.pem`, `"TOKEN", env, set 20`, ": of the forge", "(2 keys)"} {
		if !strings.Contains(list, want) {
			t.Errorf("%q is missing in %s", want, list)
		}
	}
	if text := bob.works("vault_list", args{}); text != list {
		t.Errorf("another session of the user sees %s", text)
	}
	for _, c := range []struct {
		tool string
		args args
		want string
	}{
		{"vault_set", args{"key": "K", "value": ".env", "type": "file"}, "claudemesh vault set <key> --file <path>"},
		{"vault_set", args{"key": "K", "value": filepath.Join(outside, "out.txt"), "type": "file"}, "not below the working directory"},
		{"vault_set", args{"key": "K", "value": "none.txt", "type": "file"}, "none.txt"},
		{"vault_set", args{"key": "K:file", "value": "hunter2-of-ann"}, "no :file before its end"},
		{"vault_set", args{"key": "K", "value": ""}, "is empty"},
		{"vault_set", args{"key": "K", "value": "hunter2-of-ann\x00"}, "is not text"},
		{"vault_set", args{"key": "K"}, `"value" is missing`},
		{"vault_delete", args{"key": "none"}, "vault_list shows them"},
	} {
		text, failed := ann.call(c.tool, c.args)
		if !failed || !strings.Contains(text, c.want) {
			t.Errorf("%s %v: %s", c.tool, c.args, text)
		}
		said += text
	}
	ann.works("vault_delete", args{"key": "CERT"})
	if text := ann.works("vault_list", args{}); strings.Contains(text, "CERT") {
		t.Errorf("deleted, but listed: %s", text)
	}
	if text := bob.works("audit_query", args{"event_type": "vault_changed"}); !strings.Contains(text, "TOKEN") || strings.Contains(text, "hunter2") || strings.Contains(text, "of-the-file") {
		t.Errorf("the audit log says %s", text)
	}
	if strings.Contains(said+list, "hunter2") || strings.Contains(said+list, "of-the-file") {
		t.Errorf("a value is echoed: %s", said+list)
	}
	for _, dir := range []string{p.home, run} {
		if found := leaks(t, dir, "hunter2-of-ann", "of-the-file-7731"); len(found) > 0 {
			t.Error(found)
		}
	}
}
