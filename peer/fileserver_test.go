package peer

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"claudemesh/peer/share"
	"claudemesh/wire"
)

// shareFrom makes a configuration that shares dirs with testMesh.
func shareFrom(t *testing.T, dirs ...string) string {
	t.Helper()
	dir := t.TempDir()
	setShared(t, dir, dirs...)
	return dir
}

func setShared(t *testing.T, dir string, dirs ...string) {
	t.Helper()
	err := UpdateConfig(t.Context(), dir, func(c *Config) error {
		c.Meshes = []Mesh{{MeshID: testMesh, Slug: "home", SharedDirs: dirs}}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// asked relays requests to a client and returns its answer to each.
func asked(t *testing.T, shareFrom string, requests ...wire.Frame) []received {
	t.Helper()
	answers := make(chan received, len(requests))
	b := newTestBroker(t, func(k *brokerConn, _ int) {
		k.hello()
		for _, req := range requests {
			k.write("relay", req)
			f, ok := k.read()
			for ok && f.ReqID != "relay" { // it asks for the name of who asks
				k.write(f.ReqID, wire.PeersList{Peers: []wire.Peer{{Pubkey: "asker", DisplayName: "ann"}}})
				f, ok = k.read()
			}
			answers <- f
		}
		k.wait()
	})
	b.open(func(o *Options) { o.ShareFrom = shareFrom })
	var out []received
	for range requests {
		out = append(out, receive(t, answers))
	}
	return out
}

func TestSharedFilesAreServedAndLogged(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.txt": "\xff\x00binary", "empty": "", ".env": "secret"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	conf := shareFrom(t, dir)
	got := asked(t, conf,
		wire.PeerFileRequestForward{RequesterPubkey: "asker", FilePath: "a.txt"}, wire.PeerFileRequestForward{RequesterPubkey: "asker", FilePath: "empty"},
		wire.PeerFileRequestForward{RequesterPubkey: "asker", FilePath: ".env"}, wire.PeerDirRequestForward{RequesterPubkey: "asker"},
		wire.PeerDirRequestForward{RequesterPubkey: "asker", DirPath: "x"})
	for i, want := range []string{
		`{"type":"peer_file_response","_reqId":"relay","requesterPubkey":"asker","filePath":"a.txt","content":"/wBiaW5hcnk="}`,
		`{"type":"peer_file_response","_reqId":"relay","requesterPubkey":"asker","filePath":"empty","content":""}`,
		`{"type":"peer_file_response","_reqId":"relay","requesterPubkey":"asker","filePath":".env","error":"names that begin with a dot are not shared"}`,
		`{"type":"peer_dir_response","_reqId":"relay","requesterPubkey":"asker","dirPath":"","entries":["a.txt","empty"]}`,
		`{"type":"peer_dir_response","_reqId":"relay","requesterPubkey":"asker","dirPath":"x","error":"directory not found"}`,
	} {
		if string(got[i].data) != want {
			t.Errorf("got  %s\nwant %s", got[i].data, want)
		}
	}
	c, err := LoadConfig(conf)
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(c.AccessLog())
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	if err != nil || len(lines) != len(got) {
		t.Fatalf("%s, %v", log, err)
	}
	var a Access
	if err := json.Unmarshal([]byte(lines[2]), &a); err != nil || a.Peer != "asker" || a.Name != "ann" || a.Mesh != "home" || a.Path != ".env" || a.Refused == "" {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestNothingIsServedThatIsNotShared(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	if err := UpdateConfig(t.Context(), other, func(c *Config) error {
		c.Meshes, c.SharedDirs = []Mesh{{MeshID: "another", SharedDirs: []string{dir}}}, []string{dir}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	ended := shareFrom(t) // by the user, while a session that launch started has a copy
	launched := filepath.Join(ended, "launched", "s")
	if err := UpdateConfig(t.Context(), launched, func(c *Config) error {
		c.Meshes, c.SessionsDir = []Mesh{{MeshID: testMesh, SharedDirs: []string{dir}}}, filepath.Join(ended, "sessions")
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "config.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, conf := range map[string]string{
		"no configuration": "", "none is shared": shareFrom(t), "a mesh that was left": other, "ended by the user": launched, "a broken configuration": broken,
		"a relative path": shareFrom(t, "."),
	} {
		got := asked(t, conf, wire.PeerFileRequestForward{RequesterPubkey: "asker", FilePath: "a.txt"})
		var res wire.PeerFileResponse
		if err := json.Unmarshal(got[0].data, &res); err != nil || res.Error != share.ErrDisabled.Error() || res.Content != nil {
			t.Errorf("%s: %s", name, got[0].data)
		}
	}
}

func TestRequestsForFilesAreBounded(t *testing.T) {
	var s fileServer
	now := time.Now()
	for range filesByPeer {
		if !s.allow("one", now) {
			t.Fatal("refused too early")
		}
	}
	if s.allow("one", now) || !s.allow("two", now) || !s.allow("one", now.Add(time.Minute)) {
		t.Error("a peer is held to its minute, and no other")
	}
	for i := range filesByAll {
		s.allow(string(rune('a'+i)), now.Add(time.Minute))
	}
	if s.allow("three", now.Add(time.Minute)) {
		t.Error("all of them are not bounded")
	}

	gate, begun := make(chan struct{}), make(chan struct{}, fileWorkers)
	for range fileWorkers {
		s.do(func() { begun <- struct{}{}; <-gate })
	}
	for range fileWorkers {
		receive(t, begun)
	}
	for range fileQueue {
		if !s.do(func() {}) {
			t.Fatal("refused too early")
		}
	}
	if s.do(func() {}) {
		t.Error("the queue is not bounded")
	}
	close(gate)
	s.workers.Wait()
}

func TestFilesOfPeersAreReadAsTheyCome(t *testing.T) {
	empty, text, bad := "", "dGV4dA==", "%"
	answers := map[string]wire.PeerFileResponseForward{
		"empty": {Content: &empty}, "text": {Content: &text}, "bad": {Content: &bad}, "nothing": {}, "refused": {Error: "file not found"},
	}
	b := newTestBroker(t, func(k *brokerConn, _ int) {
		k.hello()
		k.serve(func(f received) wire.Frame {
			var req wire.PeerFileRequest
			if k.decode(f, &req); f.Type == req.FrameType() {
				return answers[req.FilePath]
			}
			return nil
		})
	})
	c := b.open()
	for path, want := range map[string]string{"empty": "", "text": "text"} {
		if data, err := c.PeerFile(t.Context(), "key", path); err != nil || string(data) != want {
			t.Errorf("%s: %q, %v", path, data, err)
		}
	}
	for path, want := range map[string]string{"bad": "base64", "nothing": "neither", "refused": "the peer answers: file not found"} {
		_, err := c.PeerFile(t.Context(), "key", path)
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, ErrPeerRefused) != (path == "refused") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestAFileIsHereOnlyIfItIsTheSame(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{"same": "text", "other": "else"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b := newTestBroker(t, func(k *brokerConn, _ int) {
		k.hello()
		k.serve(func(received) wire.Frame {
			return wire.PeersList{Peers: []wire.Peer{
				{Pubkey: "near", MemberPubkey: "m", Hostname: "here", Cwd: dir}, {Pubkey: "astray", Hostname: "here", Cwd: elsewhere}, {Pubkey: "far", Hostname: "there", Cwd: dir},
			}}
		})
	})
	c := b.open(func(o *Options) { o.Hostname = "here" })
	for _, w := range []struct {
		key, path, want string
	}{
		{"near", "same", filepath.Join(dir, "same")}, {"m", "same", filepath.Join(dir, "same")}, {"near", "other", ""}, {"near", "../x", ""},
		{"astray", "same", ""}, {"far", "same", ""}, {"nobody", "same", ""},
	} {
		if got := c.FileHere(t.Context(), w.key, w.path, []byte("text")); got != w.want {
			t.Errorf("%s of %s: %q", w.path, w.key, got)
		}
	}
	for key, want := range map[string]string{"near": dir, "astray": "", "far": ""} {
		if got := c.DirHere(t.Context(), key, "", []string{"other", "same"}); got != want {
			t.Errorf("%s: %q", key, got)
		}
	}
	if got := c.DirHere(t.Context(), "near", "", nil); got != "" {
		t.Errorf("an empty directory is known as %q", got)
	}
}
