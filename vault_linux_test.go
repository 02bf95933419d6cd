package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// What is typed at the terminal is kept, and not shown there.
func TestTheVaultAsksAtTheTerminal(t *testing.T) {
	buildsProgram(t)
	p := startProcess(t)
	ours, theirs := openPTY(t)
	run := func(stdin *os.File, words ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), p.binary, words...)
		cmd.Env = append(os.Environ(), "HOME="+p.home, "CLAUDEMESH_CONFIG_DIR="+p.config())
		if stdin != nil {
			cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdin, stdin
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		}
		return cmd
	}
	cmd := run(theirs, "vault", "set", "TOKEN")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	shown, r := "", bufio.NewReader(ours)
	for !strings.Contains(shown, "shown): ") {
		b, err := r.ReadByte()
		if err != nil {
			t.Fatal(err, shown)
		}
		shown += string(b)
	}
	if _, err := io.WriteString(ours, "hunter2\n"); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(shown, "Kept") {
		b, err := r.ReadByte()
		if err != nil {
			t.Fatal(err, shown)
		}
		shown += string(b)
	}
	if err := cmd.Wait(); err != nil || strings.Contains(shown, "hunter2") {
		t.Errorf("%v; the terminal shows %q", err, shown)
	}
	got, err := run(nil, "vault", "get", "TOKEN").Output()
	if err != nil || string(got) != "hunter2" {
		t.Errorf("kept %q, %v", got, err)
	}
}
