package peer

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"claudemesh/seal"
	"claudemesh/wire"
)

func TestASharedFileComesBackWhole(t *testing.T) {
	for name, c := range map[string]struct {
		size int
		to   bool
		old  bool // the reader's client
	}{
		"plain": {300_000, false, false}, "empty": {0, false, false}, "sealed": {300_000, true, false}, "empty, sealed": {0, true, false},
		"sealed for an older client": {300_000, true, true}, "empty, sealed for an older client": {0, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFileBroker(t)
			reader := newKey(t).Public().String()
			p := wire.Peer{Pubkey: newKey(t).Public().String(), MemberPubkey: reader, DisplayName: "bob", Proto: wire.Proto}
			if c.old {
				p.Proto = 0
			}
			b.peers = []wire.Peer{p}
			client := b.open()
			share := FileShare{Tags: []string{"ü", "😀"}}
			if c.to {
				share.To = []string{"bob"}
			}
			content := some(c.size)
			progress := int64(0)
			share.Progress = func(done, total int64) { progress = done }
			shared, err := client.ShareFile(t.Context(), fileOf(t, "Bericht ä.txt", content), share)
			if err != nil || shared.ID != "f1" || shared.Encrypted != c.to || shared.OldForm != c.old || shared.Size != int64(c.size) {
				t.Fatalf("%+v, %v", shared, err)
			}
			if progress != int64(len(b.content)) {
				t.Errorf("progress ended at %d of %d", progress, len(b.content))
			}
			if c.to == bytes.Equal(b.content, content) && c.size > 0 {
				t.Error("the broker got the wrong form")
			}
			if got := b.header.Get(wire.HeaderTags); got != `["\u00fc","\ud83d\ude00"]` {
				t.Errorf("tags %q", got)
			}
			if b.header.Get("Authorization") != "Bearer t0ken" || b.header.Get(wire.HeaderMember) != "member01" {
				t.Errorf("header %v", b.header)
			}
			var keys []wire.FileKey
			json.Unmarshal([]byte(b.header.Get(wire.HeaderFileKeys)), &keys)
			var to []string
			for _, k := range keys {
				to = append(to, k.PeerPubkey)
			}
			want := []string{}
			if c.to {
				want = append(want, client.opts.Mesh.Pubkey, reader)
			}
			if c.old {
				want = append(want, p.Pubkey)
			}
			if strings.Join(to, " ") != strings.Join(want, " ") {
				t.Errorf("sealed to %v, want %v", to, want)
			}
			if seal.IsStream(b.content) != (c.to && !c.old) {
				t.Error("it is not in the form that its readers read")
			}
			root := rootOf(t)
			got, err := client.FetchFile(t.Context(), "f1", FileFetch{Dir: root, Name: "out"})
			if err != nil || got.Size != int64(c.size) || got.Encrypted != c.to {
				t.Fatalf("%+v, %v", got, err)
			}
			if p, err := root.ReadFile("out"); err != nil || !bytes.Equal(p, content) {
				t.Errorf("%d bytes, %v", len(p), err)
			}
			if n := names(t, root); len(n) != 1 {
				t.Errorf("left behind: %v", n)
			}
			info, err := root.Stat("out")
			if c.to && runtime.GOOS != "windows" && (err != nil || info.Mode().Perm() != 0o600) {
				t.Errorf("what was sealed is open to others: %v, %v", info.Mode(), err)
			}
		})
	}
}

func TestADownloadGoesOnWhereItBroke(t *testing.T) {
	for name, spoil := range map[string]func(*fileBroker){
		"cut again and again": func(b *fileBroker) { b.cut = 70_000 },
		"expired in between":  func(b *fileBroker) { b.cut, b.stale = 150_000, 2 },
	} {
		t.Run(name, func(t *testing.T) {
			b := newFileBroker(t)
			content := some(300_000)
			b.content, b.header = content, http.Header{wire.HeaderFileName: {"x.bin"}}
			spoil(b)
			root := rootOf(t)
			got, err := b.open().FetchFile(t.Context(), "f1", FileFetch{Dir: root})
			if err != nil || got.Name != "x.bin" {
				t.Fatalf("%+v, %v", got, err)
			}
			if p, err := root.ReadFile("x.bin"); err != nil || !bytes.Equal(p, content) {
				t.Errorf("%d bytes, %v", len(p), err)
			}
			last := b.served[len(b.served)-1]
			if len(b.served) < 2 || !strings.HasPrefix(last, "bytes=") || !strings.HasSuffix(last, `"tag"`) {
				t.Errorf("it asked for %q", b.served)
			}
			for i, r := range b.served[1:] {
				if r == " " && b.served[i] == " " && b.stale == 0 && name == "cut again and again" {
					t.Errorf("it began anew: %q", b.served)
				}
			}
		})
	}
}

func TestWhatIsNotWholeIsNotThere(t *testing.T) {
	content := some(200_000)
	for name, spoil := range map[string]func(*fileBroker){
		"another sum":           func(b *fileBroker) { b.sum = strings.Repeat("0", 64) },
		"a bit of a sealed one": func(b *fileBroker) { b.content = bytes.Clone(b.content); b.content[150_000] ^= 1 },
		"a sealed one cut off":  func(b *fileBroker) { b.content = b.content[:131_000] },
		"a key for nobody here": func(b *fileBroker) {
			sealed, _ := sealKey(seal.NewSecretKey(), newKey(t).Public().String())
			b.header.Set(wire.HeaderFileKeys, string(must(json.Marshal([]wire.FileKey{sealed}))))
		},
		"no key": func(b *fileBroker) { b.header.Del(wire.HeaderFileKeys) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newFileBroker(t)
			b.peers = []wire.Peer{{Pubkey: newKey(t).Public().String(), DisplayName: "bob", Proto: wire.Proto}}
			client := b.open()
			if _, err := client.ShareFile(t.Context(), fileOf(t, "x", content), FileShare{To: []string{"bob"}}); err != nil {
				t.Fatal(err)
			}
			spoil(b)
			root := rootOf(t)
			if _, err := client.FetchFile(t.Context(), "f1", FileFetch{Dir: root, Name: "x"}); err == nil {
				t.Error("it was fetched")
			}
			if n := names(t, root); len(n) != 0 {
				t.Errorf("left behind: %v", n)
			}
		})
	}
}

func TestNothingIsOverwrittenUnasked(t *testing.T) {
	b := newFileBroker(t)
	b.content, b.header = []byte("new"), http.Header{wire.HeaderFileName: {"x"}}
	client, root := b.open(), rootOf(t)
	if err := root.WriteFile("x", []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := errors.Join(os.WriteFile(outside, []byte("mine"), 0o600), root.Mkdir("dir", 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(root.Name(), "link")); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	fetch := func(name string, force bool) error {
		_, err := client.FetchFile(t.Context(), "f1", FileFetch{Dir: root, Name: name, Overwrite: force})
		return err
	}
	if err := fetch("x", false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file that is there: %v", err)
	}
	for _, name := range []string{"link", "dir"} {
		for _, force := range []bool{false, true} {
			if err := fetch(name, force); err == nil {
				t.Errorf("%s was written to, force %v", name, force)
			}
		}
	}
	for _, name := range []string{"../x", outside, "dir/../../x"} {
		if err := fetch(name, true); err == nil {
			t.Errorf("%s was written to", name)
		}
	}
	if err := fetch("x", true); err != nil {
		t.Errorf("by force: %v", err)
	}
	mine, _ := os.ReadFile(outside)
	got, _ := root.ReadFile("x")
	if string(mine) != "mine" || string(got) != "new" {
		t.Errorf("outside has %q, x has %q", mine, got)
	}
	if len(b.served) != 1 {
		t.Errorf("%d downloads", len(b.served))
	}
}

func TestWhatIsNoFileIsNotShared(t *testing.T) {
	b := newFileBroker(t)
	client := b.open()
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if _, err := client.ShareFile(t.Context(), dir, FileShare{}); err == nil || !strings.Contains(err.Error(), "regular") {
		t.Errorf("a directory: %v", err)
	}
	f := fileOf(t, "x", some(500_000))
	shrinks := FileShare{Progress: func(done, _ int64) {
		if done < 100_000 {
			os.Truncate(f.Name(), 200_000)
		}
	}}
	if _, err := client.ShareFile(t.Context(), f, shrinks); err == nil || !strings.Contains(err.Error(), "smaller") {
		t.Errorf("a file that shrinks: %v", err)
	}
	b.sum = strings.Repeat("0", 64)
	if _, err := client.ShareFile(t.Context(), fileOf(t, "x", some(10)), FileShare{}); err == nil || !b.deleted {
		t.Errorf("a file that was altered on the way: %v, deleted %v", err, b.deleted)
	}
}

func TestAnOlderBrokerTakesAnUnprovenFile(t *testing.T) {
	b := newFileBroker(t)
	b.old = true
	if _, err := b.open().ShareFile(t.Context(), fileOf(t, "x", some(10)), FileShare{Ephemeral: true}); err != nil {
		t.Fatal(err)
	}
	if b.header.Get("Authorization") != "" || b.header.Get(wire.HeaderMember) != "member01" || b.header.Get(wire.HeaderPersist) != "false" {
		t.Errorf("header %v", b.header)
	}
}

func TestManyReadersAreGrantedWhatAHeaderHasNoRoomFor(t *testing.T) {
	b := newFileBroker(t)
	var share FileShare
	for i := range wire.MaxFileKeys + 5 {
		name := fmt.Sprintf("peer-%02d", i)
		b.peers = append(b.peers, wire.Peer{Pubkey: newKey(t).Public().String(), DisplayName: name, Proto: wire.Proto})
		share.To = append(share.To, name)
	}
	shared, err := b.open().ShareFile(t.Context(), fileOf(t, "x", some(10)), share)
	if err != nil || len(shared.Readers) != wire.MaxFileKeys+5 || len(b.grants) != 6 { // one key is the sharer's
		t.Errorf("%d readers, %d grants, %v", len(shared.Readers), len(b.grants), err)
	}
}

func TestAGrantIsSealedToTheMember(t *testing.T) {
	b := newFileBroker(t)
	cy := newKey(t)
	b.peers = []wire.Peer{
		{Pubkey: newKey(t).Public().String(), DisplayName: "bob", Proto: wire.Proto},
		{Pubkey: newKey(t).Public().String(), MemberPubkey: cy.Public().String(), DisplayName: "cy", Proto: wire.Proto},
	}
	client := b.open()
	if _, err := client.ShareFile(t.Context(), fileOf(t, "x", some(10)), FileShare{To: []string{"bob"}}); err != nil {
		t.Fatal(err)
	}
	r, err := client.GrantFile(t.Context(), "f1", "cy")
	if err != nil || r.Name != "cy" || len(b.grants) != 1 || b.grants[0].PeerPubkey != cy.Public().String() {
		t.Fatalf("%+v, %+v, %v", r, b.grants, err)
	}
	sealed, _ := base64.StdEncoding.DecodeString(b.grants[0].SealedKey)
	key, err := seal.OpenAnonymous(cy, sealed)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := seal.NewStreamReader(bytes.NewReader(b.content), (*[32]byte)(key))
	if err != nil {
		t.Fatal(err)
	}
	if p, err := io.ReadAll(stream); err != nil || !bytes.Equal(p, some(10)) {
		t.Errorf("%q, %v", p, err)
	}
	if _, err := client.GrantFile(t.Context(), "f1", "@docs"); err == nil {
		t.Error("a group was granted access")
	}
}

func TestACancelledFetchLeavesNothing(t *testing.T) {
	b := newFileBroker(t)
	b.content, b.header, b.cut = some(300_000), http.Header{wire.HeaderFileName: {"x"}}, 1000
	ctx, cancel := context.WithCancel(t.Context())
	root := rootOf(t)
	_, err := b.open().FetchFile(ctx, "f1", FileFetch{Dir: root, Progress: func(done, _ int64) {
		if done > 2000 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if n := names(t, root); len(n) != 0 {
		t.Errorf("left behind: %v", n)
	}
}
