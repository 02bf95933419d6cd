package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func readHook(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheGuardLeavesOtherHooksAsTheyAre(t *testing.T) {
	hook := filepath.Join(t.TempDir(), "hooks", "pre-commit")
	before := filepath.Join(filepath.Dir(hook), savedHook)
	if done, err := uninstallGuard(hook); err != nil || done.Changed {
		t.Errorf("nothing to uninstall: %+v, %v", done, err)
	}
	if done, err := installGuard(hook, false); err != nil || !done.Changed || done.Other != "" {
		t.Errorf("the first: %+v, %v", done, err)
	}
	if done, err := installGuard(hook, false); err != nil || done.Changed {
		t.Errorf("again: %+v, %v", done, err)
	}
	if done, err := installGuard(hook, true); err != nil || !done.Changed || !strings.Contains(readHook(t, hook), "--strict") {
		t.Errorf("strict: %+v, %v", done, err)
	}
	const own = "#!/bin/sh\nexit 0\n"
	if err := os.WriteFile(hook, []byte(own), 0o755); err != nil {
		t.Fatal(err)
	}
	if done, err := uninstallGuard(hook); err != nil || done.Changed || readHook(t, hook) != own {
		t.Errorf("the hook of somebody else: %+v, %v", done, err)
	}
	if done, err := installGuard(hook, false); err != nil || done.Other != before || readHook(t, before) != own {
		t.Errorf("beside it: %+v, %v", done, err)
	}
	if err := os.WriteFile(hook, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := installGuard(hook, false); err == nil || readHook(t, before) != own {
		t.Errorf("a second one: %v", err)
	}
	if done, err := putAndTake(hook); err != nil || done.Other != before || readHook(t, hook) != own {
		t.Errorf("back again: %+v, %v", done, err)
	}
}

// putAndTake puts the guard in the place of the hook and takes it away.
func putAndTake(hook string) (guardHookJSON, error) {
	if err := os.Remove(hook); err != nil {
		return guardHookJSON{}, err
	}
	if _, err := installGuard(hook, false); err != nil {
		return guardHookJSON{}, err
	}
	return uninstallGuard(hook)
}

func TestAHookRunsWhateverItsProgramIsCalled(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh on this machine")
	}
	dir := filepath.Join(t.TempDir(), "it's $HOME `x` \"y\"")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	program, hook := filepath.Join(dir, "mesh"), filepath.Join(dir, "pre-commit")
	if err := os.WriteFile(hook, []byte(hookText(program, true)), 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(sh, hook).CombinedOutput()
	if err != nil || !strings.Contains(string(out), program+" is gone") {
		t.Errorf("without the program: %s, %v", out, err)
	}
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"ran $*\"\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	out, err = exec.Command(sh, hook).CombinedOutput()
	if err == nil || string(out) != "ran guard check --strict\n" {
		t.Errorf("%s, %v", out, err)
	}
}
