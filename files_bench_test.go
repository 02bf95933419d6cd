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
	invite := startBench(b, dir).invite
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

// A benchProcess is a broker that a benchmark runs.
type benchProcess struct {
	b      *testing.B
	binary string
	dir    string
	flags  []string
	listen string
	invite string
	cmd    *exec.Cmd
}

// startBench builds the program and runs a broker with its data in dir.
func startBench(b *testing.B, dir string, flags ...string) *benchProcess {
	b.Helper()
	p := &benchProcess{b: b, binary: filepath.Join(dir, "claudemesh"), dir: dir, flags: flags, listen: "127.0.0.1:0"}
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", p.binary, ".").CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	p.start()
	b.Cleanup(p.kill)
	return p
}

func (p *benchProcess) start() {
	p.b.Helper()
	p.cmd = exec.Command(p.binary, append([]string{"serve", "--json", "--listen", p.listen, "--data", filepath.Join(p.dir, "data")}, p.flags...)...)
	p.cmd.Env = p.environ()
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		p.b.Fatal(err)
	}
	var ready cli.Serving
	if err := json.NewDecoder(out).Decode(&ready); err != nil {
		p.b.Fatalf("the broker did not come up: %v", err)
	}
	p.listen = ready.Listen
	if ready.Home != nil {
		p.invite = ready.Home.Invite
	}
}

func (p *benchProcess) environ() []string {
	return append(os.Environ(), "HOME="+p.dir, "CLAUDEMESH_CONFIG_DIR="+filepath.Join(p.dir, "config"))
}

func (p *benchProcess) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// restart starts the broker again on its old address.
func (p *benchProcess) restart() {
	p.b.Helper()
	p.kill()
	p.start()
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
