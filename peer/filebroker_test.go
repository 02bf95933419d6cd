package peer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"claudemesh/wire"
)

// A fileBroker keeps one file, which it serves as badly as it is told to.
type fileBroker struct {
	*testBroker
	peers []wire.Peer
	old   bool // knows no upload tokens

	mu      sync.Mutex
	content []byte
	header  http.Header
	sum     string // it says the content has, if not the content's
	cut     int    // bytes after which each answer breaks off, 0 for none
	stale   int    // downloads to refuse as expired
	served  []string
	grants  []wire.FileKey
	deleted bool
}

func newFileBroker(t *testing.T) *fileBroker {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &fileBroker{testBroker: &testBroker{t: t, url: "ws://" + l.Addr().String() + "/ws"}}
	b.play = func(k *brokerConn, _ int) {
		k.hello()
		k.serve(b.reply)
	}
	mux := http.NewServeMux()
	mux.Handle("/ws", b.testBroker)
	mux.HandleFunc("POST /upload", b.take)
	mux.HandleFunc("GET /download/", b.give)
	b.server = &http.Server{Handler: mux}
	b.wg.Go(func() { b.server.Serve(l) })
	t.Cleanup(func() {
		b.server.Close()
		b.wg.Wait()
	})
	return b
}

func (b *fileBroker) reply(f received) wire.Frame {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch f.Type {
	case "list_peers":
		return wire.PeersList{Peers: b.peers}
	case "upload_token":
		if b.old {
			return wire.Errorf(wire.UnknownType, "there is no frame")
		}
		return wire.UploadTokenResult{Token: "t0ken"}
	case "get_file":
		return b.fileURL()
	case "grant_file_access":
		var g wire.GrantFileAccess
		json.Unmarshal(f.data, &g)
		b.grants = append(b.grants, wire.FileKey{PeerPubkey: g.PeerPubkey, SealedKey: g.SealedKey})
		return wire.FileAccessGranted{FileID: g.FileID, PeerPubkey: g.PeerPubkey}
	case "delete_file":
		b.deleted = true
	}
	return nil
}

// fileURL describes the file to whoever the first of its keys is for.
func (b *fileBroker) fileURL() wire.FileURL {
	sum := sha256.Sum256(b.content)
	name, _ := strconv.Unquote(`"` + b.header.Get(wire.HeaderFileName) + `"`)
	u := wire.FileURL{FileID: "f1", URL: "http://elsewhere.invalid/download/m/f1?token=x", Name: name, Size: int64(len(b.content)),
		SHA256: hex.EncodeToString(sum[:]), Encrypted: b.header.Get(wire.HeaderEncrypted) == "true"}
	if b.sum != "" {
		u.SHA256 = b.sum
	}
	var keys []wire.FileKey
	if json.Unmarshal([]byte(b.header.Get(wire.HeaderFileKeys)), &keys) == nil && len(keys) > 0 {
		u.SealedKey, u.SealedTo = keys[0].SealedKey, keys[0].PeerPubkey
	}
	return u
}

func (b *fileBroker) take(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.content, b.header = body, r.Header
	sum := sha256.Sum256(body)
	res := wire.UploadResult{HTTPResult: wire.HTTPResult{OK: true}, FileID: "f1", SHA256: hex.EncodeToString(sum[:])}
	if b.sum != "" {
		res.SHA256 = b.sum
	}
	json.NewEncoder(w).Encode(res)
}

// give serves a range, at most cut bytes of it before the connection breaks.
func (b *fileBroker) give(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.served = append(b.served, r.Header.Get("Range")+" "+r.Header.Get("If-Range"))
	if b.stale > 0 {
		b.stale--
		w.WriteHeader(http.StatusForbidden)
		return
	}
	w.Header().Set("ETag", `"tag"`)
	from, size := 0, len(b.content)
	if text := r.Header.Get("Range"); text != "" {
		fmt.Sscanf(text, "bytes=%d-", &from)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, size-1, size))
	}
	w.Header().Set("Content-Length", strconv.Itoa(size-from))
	if from > 0 {
		w.WriteHeader(http.StatusPartialContent)
	}
	rest := b.content[from:]
	if b.cut > 0 && len(rest) > b.cut {
		w.Write(rest[:b.cut])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	w.Write(rest)
}

// fileOf returns an open file with that content.
func fileOf(t *testing.T, name string, content []byte) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func rootOf(t *testing.T) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// names lists what is in a directory.
func names(t *testing.T, root *os.Root) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(root.Name())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func some(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i * 7 / 3)
	}
	return p
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
