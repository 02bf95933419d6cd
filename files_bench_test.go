package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"claudemesh/peer"
	"claudemesh/peer/cli"
	"claudemesh/wire"
)

// BenchmarkFiles measures how long it takes to share a file of 256 MiB and to
// fetch it, plain and sealed, and in turns how long `cp` takes for the same
// bytes, and with an fsync after it: what was shared or fetched is on disk. It
// reports medians in MiB a second and their ratios.
func BenchmarkFiles(b *testing.B) {
	const size = 256 << 20
	if _, err := exec.LookPath("cp"); err != nil {
		b.Skip("there is no cp")
	}
	dir := b.TempDir()
	invite := benchBroker(b, dir)
	ann, bob := benchMember(b, invite, "ann"), benchMember(b, invite, "bob")
	source := filepath.Join(dir, "source")
	f, err := os.Create(source)
	if err == nil {
		_, err = io.CopyN(f, rand.Reader, size)
	}
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer root.Close()
	took := make(map[string][]time.Duration)
	timed := func(what string, do func() error) {
		exec.Command("sync").Run() // nobody pays for what was written before
		begun := time.Now()
		if err := do(); err != nil {
			b.Fatalf("%s: %v", what, err)
		}
		took[what] = append(took[what], time.Since(begun))
	}
	for b.Loop() {
		copied := filepath.Join(dir, "copied")
		timed("cp", func() error { return exec.Command("cp", source, copied).Run() })
		os.Remove(copied)
		timed("cp+fsync", func() error {
			if err := exec.Command("cp", source, copied).Run(); err != nil {
				return err
			}
			return syncFile(copied)
		})
		os.Remove(copied)
		for name, to := range map[string][]string{"": nil, "-sealed": {"bob"}} {
			var shared peer.SharedFile
			timed("share"+name, func() (err error) {
				shared, err = ann.ShareFile(b.Context(), f, peer.FileShare{To: to})
				return err
			})
			timed("fetch"+name, func() error {
				_, err := bob.FetchFile(b.Context(), shared.ID, peer.FileFetch{Dir: root, Name: "fetched", Overwrite: true})
				return err
			})
			if _, err := peer.Call(b.Context(), ann, wire.DeleteFile{FileID: shared.ID}); err != nil {
				b.Fatal(err)
			}
		}
	}
	median := func(what string) float64 {
		slices.Sort(took[what])
		return size / float64(1<<20) / took[what][len(took[what])/2].Seconds()
	}
	for _, what := range []string{"cp", "cp+fsync", "share", "fetch", "share-sealed", "fetch-sealed"} {
		b.ReportMetric(median(what), what+"-MiB/s")
	}
	b.ReportMetric(median("cp+fsync")/median("share"), "share-ratio")
	b.ReportMetric(median("cp+fsync")/median("fetch"), "fetch-ratio")
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// benchBroker builds the program, starts a broker of it and returns an invite.
func benchBroker(b *testing.B, dir string) string {
	b.Helper()
	binary := filepath.Join(dir, "claudemesh")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	cmd := exec.Command(binary, "serve", "--json", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data"))
	cmd.Env = append(os.Environ(), "HOME="+dir, "CLAUDEMESH_CONFIG_DIR="+filepath.Join(dir, "config"))
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	var ready cli.Serving
	if err := json.NewDecoder(out).Decode(&ready); err != nil || ready.Home == nil {
		b.Fatalf("the broker did not come up: %v", err)
	}
	return ready.Home.Invite
}

func benchMember(b *testing.B, invite, name string) *peer.Client {
	b.Helper()
	joined, err := peer.Join(b.Context(), peer.JoinRequest{Link: invite, DisplayName: name})
	if err != nil {
		b.Fatal(err)
	}
	c, err := peer.Open(b.Context(), peer.Options{Mesh: joined.Mesh, DisplayName: name})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close(context.Background()) })
	return c
}
