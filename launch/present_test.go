package launch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestInstallSaysWhetherTheClientIsHere(t *testing.T) {
	for _, client := range append(Clients(), ClaudeCode) {
		h := newTestHost(t)
		bin := t.TempDir()
		t.Setenv("PATH", bin)
		in := install(t, h, InstallOptions{Client: client})
		if in.FoundAt != "" || !strings.Contains(in.Missing, h.traces(client).programs[0]) {
			t.Errorf("%s on an empty machine: found at %q, missing %q", client, in.FoundAt, in.Missing)
		}
		if len(in.Files) == 0 {
			t.Errorf("%s: nothing was written", client)
		}
		if in = install(t, h, InstallOptions{Client: client}); client != ClaudeCode && (in.FoundAt == "" || in.Missing != "") {
			t.Errorf("%s with a directory: found at %q, missing %q", client, in.FoundAt, in.Missing)
		}
		program := filepath.Join(bin, h.traces(client).programs[0])
		if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		if in = install(t, h, InstallOptions{Client: client}); in.FoundAt != program || in.Missing != "" {
			t.Errorf("%s on PATH: found at %q, missing %q", client, in.FoundAt, in.Missing)
		}
	}
}

func TestOnlyBrokersOfOursAreRevived(t *testing.T) {
	h := newTestHost(t)
	h.Executable = "/nowhere/claudemesh"
	const here = "ws://127.0.0.1:1/ws"
	for _, url := range []string{here, "wss://mesh.example.com/ws", "ws://127.0.0.1/ws", "::"} {
		if revived, err := h.ReviveBroker(t.Context(), url); revived || err != nil {
			t.Errorf("%s was never started here: %v, %v", url, revived, err)
		}
	}
	if err := os.MkdirAll(h.ConfigDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := h.noteBroker(backgroundBroker{BrokerURL: here}); err != nil {
		t.Fatal(err)
	}
	if revived, err := h.ReviveBroker(t.Context(), here); revived || err == nil {
		t.Errorf("with a program that is not there: %v, %v", revived, err)
	}
	if got := names(t, h.ConfigDir); got != "broker.json broker.log" {
		t.Errorf("left behind: %s", got)
	}
}
