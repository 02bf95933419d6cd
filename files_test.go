package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"testing"

	"claudemesh/peer"
	"claudemesh/wire"
)

// bigFile is more than sockets and buffers hold.
const bigFile = 96 << 20

// sparse returns an open file of that size that takes no room, with something
// at its beginning, middle and end.
func sparse(t *testing.T, size int64) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "big.bin"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	for _, at := range []int64{0, size / 2, size - 4} {
		if _, err := f.WriteAt([]byte("here"), at); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func sumOf(t *testing.T, r io.Reader) string {
	t.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// member returns a client of a new member, closed with the test.
func (p *process) member(name string) *peer.Client {
	p.t.Helper()
	c, err := peer.Open(p.t.Context(), peer.Options{Mesh: p.join(name), DisplayName: name})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

// blobs lists what is in the directory of the mesh's files.
func (p *process) blobs() []string {
	all, _ := filepath.Glob(filepath.Join(p.data, "meshes", "*", "files", "*"))
	return all
}

// TestADownloadOutlivesItsBroker kills the broker in the middle of a download
// and starts it again: what comes is the file, whether it is sealed or not.
func TestADownloadOutlivesItsBroker(t *testing.T) {
	buildsProgram(t)
	broker := startProcess(t)
	ann, bob := broker.member("ann"), broker.member("bob")
	f := sparse(t, bigFile)
	want := sumOf(t, f)
	for name, to := range map[string][]string{"plain": nil, "sealed": {"bob"}} {
		if err := ann.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		shared, err := ann.ShareFile(t.Context(), f, peer.FileShare{Name: name, To: to})
		if err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		killed := false
		got, err := bob.FetchFile(t.Context(), shared.ID, peer.FileFetch{Dir: root, Progress: func(done, _ int64) {
			if done > bigFile/3 && !killed {
				killed = true
				broker.kill()
				broker.restart()
			}
		}})
		if err != nil || !killed || got.Size != bigFile {
			t.Fatalf("%s: %+v, killed %v: %v", name, got, killed, err)
		}
		out, err := root.Open(got.Name)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sumOf(t, out); sum != want {
			t.Errorf("%s: what came is not the file", name)
		}
		out.Close()
	}
	if peak, ok := broker.peakMemory(); ok && peak > 80<<20 {
		t.Errorf("the broker took %d MiB for files of %d MiB", peak>>20, bigFile>>20)
	}
}

// TestAnUploadThatIsCutOffLeavesNothing kills the broker while it receives.
func TestAnUploadThatIsCutOffLeavesNothing(t *testing.T) {
	buildsProgram(t)
	broker := startProcess(t)
	ann := broker.member("ann")
	killed := false
	_, err := ann.ShareFile(t.Context(), sparse(t, bigFile), peer.FileShare{Progress: func(done, _ int64) {
		if done > bigFile/2 && !killed {
			killed = true
			broker.kill()
		}
	}})
	if err == nil || !killed {
		t.Fatalf("killed %v, %v", killed, err)
	}
	if left := broker.blobs(); len(left) != 1 {
		t.Errorf("before the restart there is %v", left)
	}
	broker.restart()
	if left := broker.blobs(); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := ann.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := peer.Call(t.Context(), ann, wire.ListFiles{})
	if err != nil || len(list.Files) != 0 {
		t.Errorf("listed are %v, %v", list.Files, err)
	}
	small := filepath.Join(t.TempDir(), "small")
	if err := os.WriteFile(small, bytes.Repeat([]byte("x"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(small)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := ann.ShareFile(t.Context(), f, peer.FileShare{}); err != nil {
		t.Errorf("the next one: %v", err)
	}
}
