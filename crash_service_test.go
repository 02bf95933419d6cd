package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"claudemesh/broker/runner/confine"
	"claudemesh/peer"
	"claudemesh/wire"
)

// TestKilledBrokerLeavesNoServiceAndHasThemBack kills the broker while it runs
// three services: none of their processes outlives it, and all three answer again
// when it is back.
func TestKilledBrokerLeavesNoServiceAndHasThemBack(t *testing.T) {
	buildsProgram(t)
	needsCells(t)
	dir := t.TempDir()
	copyService(t, dir)
	broker := startProcess(t, "--service-dirs", dir)
	alice, err := peer.Open(t.Context(), peer.Options{Mesh: broker.join("alice"), SessionID: "a"})
	if err != nil {
		t.Fatal(err)
	}
	defer alice.Close(context.Background())
	marker := "mark-" + hex.EncodeToString([]byte(t.TempDir())[:8]) + fmt.Sprint(os.Getpid())
	names := []string{"one", "two", "three"}
	for _, name := range names {
		_, err := peer.Call(t.Context(), alice, wire.MCPDeploy{
			ServerName: name, Source: wire.ServiceSource{Kind: wire.SourcePath, Path: dir},
			Config: wire.ServiceConfig{Args: []string{marker}, Env: map[string]string{"NAME": name}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	answer := func(p *peer.Client) {
		t.Helper()
		for _, name := range names {
			if got := awaitTool(t, p, name); !strings.Contains(got, name+"-still") {
				t.Errorf("%s answers %s", name, got)
			}
		}
	}
	answer(alice)
	for range 2 {
		if n := len(processesWith(marker)); n < len(names) {
			t.Fatalf("%d processes of %d services are to be seen", n, len(names))
		}
		broker.kill()
		patience := time.After(time.Minute)
		for len(processesWith(marker)) > 0 {
			select {
			case <-patience:
				t.Fatalf("processes outlive the broker: %q", processesWith(marker))
			case <-time.After(20 * time.Millisecond): // nobody tells of the end of another's process
			}
		}
		broker.restart()
		answer(alice)
	}
}

// needsCells skips a test where services cannot be confined, or there is no node.
func needsCells(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("the services of this test are run by node:", err)
	}
	c := confine.New(t.Context(), confine.Options{Data: t.TempDir()})
	defer c.Close()
	if err := c.Check(confine.Limits{}); err != nil {
		t.Skip("services cannot be confined here:", err)
	}
}

// copyService puts the service that the broker's tests deploy into a directory.
func copyService(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"package.json", "index.js"} {
		text, err := os.ReadFile(filepath.Join("broker", "testdata", "service", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// awaitTool calls a service until it runs, and returns what it answers.
func awaitTool(t *testing.T, p *peer.Client, name string) string {
	t.Helper()
	var last string
	for began := time.Now(); time.Since(began) < 2*time.Minute; {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		res, err := peer.Call(ctx, p, wire.MCPCall{ServerName: name, ToolName: "echo", Args: wire.Value(`{"text":"` + name + `-still"}`)})
		cancel()
		if err == nil && res.Error == "" {
			return string(res.Result)
		}
		last = fmt.Sprint(res.Error, err)
		time.Sleep(50 * time.Millisecond) // it starts
	}
	t.Fatalf("%s does not run: %s", name, last)
	return ""
}

// processesWith lists the command lines that have a text in them.
func processesWith(text string) (found []string) {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range all {
		line, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(line), text) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}
