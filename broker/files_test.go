package broker

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"claudemesh/seal"
	"claudemesh/store"
	"claudemesh/wire"
)

// An upload is a request to POST /upload that can be spoiled before it is made.
type upload struct {
	b      *testBroker
	body   io.Reader
	header http.Header
}

// upload returns the upload of body as the session p, with a fresh token.
func (p *testPeer) upload(name, body string, more ...map[string]string) *upload {
	p.t.Helper()
	u := p.b.upload(name, body, more...)
	token := p.ask("upload_token_result", map[string]any{"type": "upload_token"})["token"].(string)
	u.header.Set("Authorization", "Bearer "+token)
	return u
}

// upload returns one that nobody has proven.
func (b *testBroker) upload(name, body string, more ...map[string]string) *upload {
	u := &upload{b, strings.NewReader(body), http.Header{}}
	u.header.Set(wire.HeaderMesh, b.mesh)
	u.header.Set(wire.HeaderFileName, name)
	for _, m := range more {
		for k, v := range m {
			u.header.Set(k, v)
		}
	}
	return u
}

// sign proves an upload by the key of a member.
func (u *upload) sign(key seal.PrivateKey, body string) *upload {
	now, pub, sum := int64(u.b.stamp()), key.Public().String(), sha256.Sum256([]byte(body))
	u.header.Set(wire.HeaderPubkey, pub)
	u.header.Set(wire.HeaderTimestamp, fmt.Sprint(now))
	u.header.Set(wire.HeaderSHA256, hex.EncodeToString(sum[:]))
	u.header.Set(wire.HeaderSignature, key.Sign(must(seal.HTTPText("POST", "/upload", pub, now, sum))))
	return u
}

func (u *upload) try() (int, map[string]any) {
	u.b.t.Helper()
	req := must(http.NewRequestWithContext(u.b.t.Context(), "POST", u.b.base+"/upload", u.body))
	req.Header = u.header
	return u.b.do(req)
}

// id makes an upload that must succeed.
func (u *upload) id() string {
	u.b.t.Helper()
	status, res := u.try()
	if status != 200 || res["ok"] != true {
		u.b.t.Fatalf("upload: %d %v", status, res)
	}
	return res["fileId"].(string)
}

// get asks for a file and returns the answer, file_url or error.
func (p *testPeer) get(id string) map[string]any {
	p.t.Helper()
	return p.askAny(map[string]any{"type": "get_file", "fileId": id})
}

// fetch returns a file's content, which p must be given.
func (p *testPeer) fetch(id string) string {
	p.t.Helper()
	f := p.get(id)
	if f["type"] != "file_url" {
		p.t.Fatalf("get_file: %v", f)
	}
	status, _, body := p.b.download(f["url"].(string))
	if status != 200 {
		p.t.Fatalf("download: %d %s", status, body)
	}
	return body
}

// download fetches a URL with nothing but headers in pairs.
func (b *testBroker) download(url string, headers ...string) (int, http.Header, string) {
	b.t.Helper()
	req := must(http.NewRequestWithContext(b.t.Context(), "GET", url, nil))
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode, res.Header, string(must(io.ReadAll(res.Body)))
}

// files returns what list_files shows to p, by id.
func (p *testPeer) files(more ...map[string]any) map[string]map[string]any {
	p.t.Helper()
	f := map[string]any{"type": "list_files"}
	for _, m := range more {
		maps.Copy(f, m)
	}
	all := make(map[string]map[string]any)
	for _, e := range p.ask("file_list", f)["files"].([]any) {
		file := e.(map[string]any)
		all[file["id"].(string)] = file
	}
	return all
}

// blobs lists the names in the directory of the mesh's files.
func (b *testBroker) blobs() (names []string) {
	entries, _ := os.ReadDir(filepath.Join(b.cfg.Data, "meshes", b.mesh, "files"))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// sealedFor returns the headers of a file that is sealed to keys. What is in
// the boxes is nobody's business here.
func sealedFor(keys ...string) map[string]string {
	var all []wire.FileKey
	for _, k := range keys {
		all = append(all, wire.FileKey{PeerPubkey: k, SealedKey: base64.StdEncoding.EncodeToString(bytes.Repeat([]byte(k[:1]), sealedKeySize))})
	}
	return map[string]string{wire.HeaderEncrypted: "true", wire.HeaderFileKeys: string(must(json.Marshal(all)))}
}

func TestASharedFileCanBeFetched(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	ann, bob := b.join("ann"), b.join("bob")
	a, o := ann.modern("a"), bob.old("b")
	id := a.upload("Gr%C3%B6%C3%9Fe.txt", "hello", map[string]string{"Content-Type": "text/html; charset=x", wire.HeaderTags: `["q3","\u00fc"]`}).id()
	f := o.get(id)
	if f["name"] != "Größe.txt" || f["size"] != 5.0 || f["encrypted"] != nil || f["expiresAt"] == nil {
		t.Errorf("file_url: %v", f)
	}
	status, h, body := b.download(f["url"].(string))
	if status != 200 || body != "hello" || h.Get("Content-Type") != "application/octet-stream" || h.Get("X-Content-Type-Options") != "nosniff" ||
		!strings.HasPrefix(h.Get("Content-Disposition"), "attachment") || h.Get("ETag") != `"`+f["sha256"].(string)+`"` {
		t.Errorf("%d %q %v", status, body, h)
	}
	got := o.files()[id]
	if got["name"] != "Größe.txt" || got["uploadedBy"] != "ann" || got["uploaderId"] != ann.id || got["persistent"] != true || got["encrypted"] != false ||
		got["mimeType"] != "text/html" || !equalJSON(got["tags"], []string{"q3", "ü"}) {
		t.Errorf("file_list: %v", got)
	}
	status2, res := a.upload("empty", "", map[string]string{wire.HeaderSHA256: hex.EncodeToString(sha256.New().Sum(nil))}).try()
	if status2 != 200 || a.fetch(res["fileId"].(string)) != "" {
		t.Errorf("an empty file: %d %v", status2, res)
	}
	if n := a.ask("mesh_info_result", map[string]any{"type": "mesh_info"})["fileCount"]; n != 2.0 {
		t.Errorf("mesh_info counts %v", n)
	}
	st := a.ask("file_status_result", map[string]any{"type": "file_status", "fileId": id})
	if all := st["accesses"].([]any); len(all) != 1 || all[0].(map[string]any)["peerName"] != "bob" {
		t.Errorf("file_status: %v", st)
	}
}

func TestFilesSurviveARestartAndTheirAddressesToo(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	a := b.join("ann").modern("a")
	id := a.upload("x", "kept").id()
	url := a.get(id)["url"].(string)
	b.restart()
	if status, _, body := b.download(url); status != 200 || body != "kept" {
		t.Errorf("%d %q", status, body)
	}
	if m := b.srv.meshByID(b.mesh); m.files.used != 4 || m.files.count != 1 {
		t.Errorf("the room is %+v", m.files)
	}
}

func TestListFilesFindsNamesAndTags(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	a, o := b.join("ann").modern("a"), b.join("bob").modern("b")
	plan := a.upload("Plan 50%25.md", "x", map[string]string{wire.HeaderTags: `["Roadmap"]`}).id()
	log := o.upload("build_log.txt", "x").id()
	for query, want := range map[string][]string{"": {plan, log}, "PLAN": {plan}, "roadm": {plan}, "_": {log}, "%": {plan}, `\`: nil, "none": nil} {
		got := slices.Sorted(maps.Keys(a.files(map[string]any{"query": query})))
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%q finds %v, want %v", query, got, want)
		}
	}
	if got := a.files(map[string]any{"from": "bob"}); len(got) != 1 || got[log] == nil {
		t.Errorf("from bob: %v", got)
	}
	if got := a.files(map[string]any{"from": "bo"}); len(got) != 0 {
		t.Errorf("from bo: %v", got)
	}
}

func TestTheNewestHundredFilesAreListed(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	a := b.join("ann").modern("a")
	m := b.srv.meshByID(b.mesh)
	at := time.Now()
	if err := m.db.Write(t.Context(), func(tx *store.Tx) error {
		for i := range wire.MaxFileList + 5 {
			f := &store.File{ID: store.NewID(), Name: fmt.Sprint(i), Tags: []string{}, UploaderName: "x", Uploaded: at.Add(time.Duration(i) * time.Second)}
			if err := tx.AddFile(f); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	list := a.ask("file_list", map[string]any{"type": "list_files"})["files"].([]any)
	if n, first := len(list), list[0].(map[string]any)["name"]; n != wire.MaxFileList || first != fmt.Sprint(wire.MaxFileList+4) {
		t.Errorf("%d files, the first is %v", n, first)
	}
}

func TestDeletedAndExpiredFilesAreGoneWithTheirBytes(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	a := b.join("ann").modern("a")
	id := a.upload("x", "x").id()
	brief := a.upload("y", "y", map[string]string{wire.HeaderPersist: "false"}).id()
	if f := a.files()[brief]; f["persistent"] != false || f["expiresAt"] == nil {
		t.Errorf("an ephemeral file: %v", f)
	}
	url, briefURL := a.get(id)["url"].(string), a.get(brief)["url"].(string)
	for range 2 {
		if ack := a.ask("ack", map[string]any{"type": "delete_file", "fileId": id}); ack["id"] != id || ack["messageId"] != id {
			t.Errorf("ack: %v", ack)
		}
	}
	if got := b.blobs(); !slices.Equal(got, []string{brief}) {
		t.Errorf("on disk: %v", got)
	}
	m := b.srv.meshByID(b.mesh)
	if m.expireFiles(time.Now().Add(wire.EphemeralFor-time.Minute)) || len(b.blobs()) != 1 {
		t.Error("it expired before its time")
	}
	m.expireFiles(time.Now().Add(wire.EphemeralFor + time.Second))
	if got := b.blobs(); len(got) != 0 {
		t.Errorf("on disk: %v", got)
	}
	for _, gone := range []string{id, brief, "nothing", "../mesh.db"} {
		if f := a.get(gone); f["code"] != "not_found" {
			t.Errorf("get_file %q: %v", gone, f)
		}
		if f := a.askAny(map[string]any{"type": "file_status", "fileId": gone}); f["code"] != "not_found" {
			t.Errorf("file_status %q: %v", gone, f)
		}
	}
	for _, u := range []string{url, briefURL} {
		if status, _, body := b.download(u); status != 404 {
			t.Errorf("download: %d %s", status, body)
		}
	}
	if m.files.used != 0 || m.files.count != 0 || m.files.coming != 0 {
		t.Errorf("the room is %+v", m.files)
	}
}

// An expired file that no sweep has come to yet is as gone as one that is swept.
func TestAnExpiredFileIsGoneBeforeItIsSwept(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	a := b.join("ann").modern("a")
	id := a.upload("y", "y", map[string]string{wire.HeaderPersist: "false"}).id()
	url := a.get(id)["url"].(string)
	m := b.srv.meshByID(b.mesh)
	if err := m.db.Write(t.Context(), func(tx *store.Tx) error {
		f, err := tx.File(id)
		if err != nil {
			return err
		}
		if err := tx.DeleteFile(id); err != nil {
			return err
		}
		f.Expires = time.Now()
		return tx.AddFile(f)
	}); err != nil {
		t.Fatal(err)
	}
	if f := a.get(id); f["code"] != "not_found" {
		t.Errorf("get_file: %v", f)
	}
	if got := a.files(); len(got) != 0 {
		t.Errorf("list_files: %v", got)
	}
	if status, _, _ := b.download(url); status != 404 {
		t.Errorf("download: %d", status)
	}
}

func TestSealedFilesAreForWhomTheirKeysAre(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	ann, bob, cy := b.join("ann"), b.join("bob"), b.join("cy")
	a, o, c := ann.modern("a"), bob.modern("b"), cy.modern("c")
	// The target of an older client does not keep out who is granted access later.
	id := a.upload("s", "sealed", sealedFor(ann.pub(), bob.pub()), map[string]string{wire.HeaderTarget: o.key}).id()
	if f := o.get(id); f["encrypted"] != true || f["sealedTo"] != bob.pub() || f["sealedKey"] == nil {
		t.Errorf("bob: %v", f)
	}
	if f := a.get(id); f["sealedTo"] != ann.pub() {
		t.Errorf("ann: %v", f)
	}
	if f := c.get(id); f["code"] != "forbidden" {
		t.Errorf("cy: %v", f)
	}
	grant := func(p *testPeer, to string, box int) map[string]any {
		return p.askAny(map[string]any{"type": "grant_file_access", "fileId": id, "peerPubkey": to, "sealedKey": base64.StdEncoding.EncodeToString(make([]byte, box))})
	}
	if f := grant(a, strings.ToUpper(c.key), sealedKeySize); f["type"] != "grant_file_access_ok" || f["peerPubkey"] != c.key || f["fileId"] != id {
		t.Errorf("grant: %v", f)
	}
	if f := c.get(id); f["sealedTo"] != c.key {
		t.Errorf("cy after the grant: %v", f)
	}
	for name, f := range map[string]map[string]any{
		"a short box": grant(a, c.key, 79), "no key": grant(a, "zz", sealedKeySize),
	} {
		if f["code"] != "bad_request" {
			t.Errorf("grant with %s: %v", name, f)
		}
	}
	id = a.upload("plain", "x").id()
	if f := grant(a, c.key, sealedKeySize); f["code"] != "bad_request" {
		t.Errorf("grant of a plain file: %v", f)
	}
}
