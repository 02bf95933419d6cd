package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// BenchmarkStart measures from exec to the answer to initialize, of our MCP
// server and of an empty one, in turns. It reports medians and their ratio.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	build := func(name, pkg string) string {
		path := filepath.Join(dir, name)
		if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", path, pkg).CombinedOutput(); err != nil {
			b.Fatalf("build %s: %v\n%s", pkg, err, out)
		}
		return path
	}
	ours, empty := build("claudemesh", "."), build("empty", "./testdata/emptymcp")
	var oursTook, emptyTook []time.Duration
	for b.Loop() {
		emptyTook = append(emptyTook, answerTime(b, dir, empty))
		oursTook = append(oursTook, answerTime(b, dir, ours, "mcp"))
	}
	median := func(all []time.Duration) float64 {
		slices.Sort(all)
		return float64(all[len(all)/2].Microseconds()) / 1000
	}
	b.ReportMetric(median(emptyTook), "empty-ms")
	b.ReportMetric(median(oursTook), "mcp-ms")
	b.ReportMetric(median(oursTook)/median(emptyTook), "ratio")
}

// answerTime starts a server and returns how long its answer to initialize took.
func answerTime(b *testing.B, dir, path string, args ...string) time.Duration {
	cmd := exec.CommandContext(b.Context(), path, args...)
	cmd.Env = append(os.Environ(), "HOME="+dir, "CLAUDEMESH_CONFIG_DIR="+filepath.Join(dir, "config"), "XDG_RUNTIME_DIR="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	io.WriteString(in, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`+"\n")
	if _, err := bufio.NewReader(out).ReadBytes('\n'); err != nil {
		b.Fatalf("%s did not answer: %v", path, err)
	}
	took := time.Since(begun)
	in.Close()
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	return took
}
