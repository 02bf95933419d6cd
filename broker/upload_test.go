package broker

import (
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

func TestUploadsAreProven(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	ann, bob := b.join("ann"), b.join("bob")
	a := ann.modern("a")
	two := b.anotherMesh()
	used := a.upload("x", "x")
	used.id()
	revoked := b.join("gone")
	late := revoked.modern("g").upload("x", "x")
	b.call("DELETE", "/mesh/"+b.mesh+"/member/"+revoked.id, b.owner, nil)
	once := b.upload("x", "x").sign(ann.key, "x")
	if id := once.id(); a.files()[id]["uploadedBy"] != "ann" {
		t.Errorf("signed: %v", a.files()[id])
	}
	once.body = strings.NewReader("x")
	set := func(u *upload, k, v string) *upload { u.header.Set(k, v); return u }
	for name, c := range map[string]struct {
		u    *upload
		want string
	}{
		"nobody's":                     {b.upload("x", "x"), "unauthorized"},
		"with a member id":             {b.upload("x", "x", map[string]string{wire.HeaderMember: ann.id}), "unauthorized"},
		"with a token nobody made":     {set(b.upload("x", "x"), "Authorization", "Bearer "+rand.Text()), "unauthorized"},
		"with a token a second time":   {set(b.upload("x", "x"), "Authorization", used.header.Get("Authorization")), "unauthorized"},
		"with a token of another mesh": {set(a.upload("x", "x"), wire.HeaderMesh, two.mesh), "unauthorized"},
		"to no mesh":                   {set(a.upload("x", "x"), wire.HeaderMesh, ""), "unauthorized"},
		"by a revoked member":          {late, "unauthorized"},
		"signed by a stranger":         {b.upload("x", "x").sign(must(seal.Generate()), "x"), "unauthorized"},
		"signed by the owner":          {b.upload("x", "x").sign(b.owner, "x"), "forbidden"},
		"signed for other bytes":       {set(b.upload("x", "x").sign(ann.key, "x"), wire.HeaderSHA256, strings.Repeat("0", 64)), "bad_signature"},
		"signed, with other bytes":     {b.upload("x", "y").sign(ann.key, "x"), "bad_request"},
		"signed without a sum":         {set(b.upload("x", "x").sign(ann.key, "x"), wire.HeaderSHA256, ""), "bad_request"},
		"signed for another member":    {set(b.upload("x", "x").sign(ann.key, "x"), wire.HeaderMember, bob.id), "unauthorized"},
		"signed, once more":            {once, "replayed"},
		"sealed under another's key":   {set(a.upload("x", "x", sealedFor(ann.pub())), wire.HeaderOwner, bob.pub()), "forbidden"},
	} {
		if status, res := c.u.try(); res["error"] != c.want || status == 200 {
			t.Errorf("%s: %d %v, want %s", name, status, res, c.want)
		}
	}
	if got := b.blobs(); len(got) != 2 {
		t.Errorf("on disk: %v", got)
	}
}

func TestATokenIsGoodForAMinute(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	a := b.join("ann").modern("a")
	u := a.upload("x", "x")
	m := b.srv.meshByID(b.mesh)
	m.mu.Lock()
	for k, g := range m.files.tokens {
		g.expires = time.Now().Add(-time.Second)
		m.files.tokens[k] = g
	}
	m.mu.Unlock()
	if status, res := u.try(); status != 401 {
		t.Errorf("%d %v", status, res)
	}
	m.mu.Lock()
	for range maxUploadTokens {
		m.files.tokens[[32]byte([]byte(rand.Text()+"123456"))] = uploadGrant{expires: time.Now().Add(time.Hour)}
	}
	m.mu.Unlock()
	if f := a.askAny(map[string]any{"type": "upload_token"}); f["code"] != "rate_limited" {
		t.Errorf("too many tokens: %v", f)
	}
}

func TestUnsignedUploads(t *testing.T) {
	t.Parallel()
	old := map[string]string{wire.HeaderMember: "home"} // the slug, as older clients have it
	b := newBroker(t)
	b.join("ann").old("a")
	if status, res := b.upload("x", "x", old).try(); status != 401 {
		t.Errorf("where they are not allowed: %d %v", status, res)
	}
	b = newBroker(t, func(c *Config) { c.LegacyClients = true })
	ann, bob := b.join("ann"), b.join("bob")
	if status, res := b.upload("x", "x", old).try(); status != 401 {
		t.Errorf("with nobody connected: %d %v", status, res)
	}
	a := ann.old("a")
	id := b.upload("x", "x", old).id()
	if f := a.files()[id]; f["uploadedBy"] != "ann" || f["uploaderId"] != ann.id {
		t.Errorf("of the only one there: %v", f)
	}
	id = b.upload("x", "x", map[string]string{wire.HeaderMember: ann.id}).id()
	if f := a.files()[id]; f["uploaderId"] != ann.id {
		t.Errorf("with a member id: %v", f)
	}
	if status, res := b.upload("x", "x", map[string]string{wire.HeaderMember: bob.id}).try(); status != 401 {
		t.Errorf("of a member who is away: %d %v", status, res)
	}
	if status, res := b.upload("x", "x").try(); status != 400 {
		t.Errorf("of nobody: %d %v", status, res)
	}
	o := bob.modern("b")
	id = b.upload("x", "x", old).id()
	f := a.files()[id]
	if f["uploadedBy"] != "home" || f["uploaderId"] != nil {
		t.Errorf("of one of two: %v", f)
	}
	sealed := sealedFor(o.key)
	sealed[wire.HeaderOwner] = o.key
	id = b.upload("x", "x", old, sealed).id()
	if f := o.files()[id]; f["uploadedBy"] != "bob" || f["uploaderId"] != bob.id {
		t.Errorf("sealed under the key of a session: %v", f)
	}
	if status, res := b.upload("x", "x", old, sealedFor(o.key)).try(); status != 403 {
		t.Errorf("sealed, by one of two: %d %v", status, res)
	}
	sealed[wire.HeaderMember], sealed[wire.HeaderOwner] = ann.id, o.key
	if status, res := b.upload("x", "x", sealed).try(); status != 403 {
		t.Errorf("sealed under another's key: %d %v", status, res)
	}
	b.cfg.LegacyClients = true
	if status, res := b.upload("x", "", old).try(); status != 400 {
		t.Errorf("an empty body: %d %v", status, res)
	}
}

func TestUploadsThatCannotBeTaken(t *testing.T) {
	t.Parallel()
	b := newBroker(t, func(c *Config) { c.MaxFile, c.FileQuota = 1000, 2500 })
	a := b.join("ann").modern("a")
	long := strings.Repeat("x", 1001)
	for name, c := range map[string]struct {
		u    *upload
		want string
	}{
		"without a name":      {a.upload("", "x"), "bad_request"},
		"empty":               {a.upload("x", ""), "bad_request"},
		"too large":           {a.upload("x", long), "too_large"},
		"with a wrong sum":    {a.upload("x", "x", map[string]string{wire.HeaderSHA256: strings.Repeat("ab", 32)}), "bad_request"},
		"with no sum at all":  {a.upload("x", "x", map[string]string{wire.HeaderSHA256: "abc"}), "bad_request"},
		"for a prefix":        {a.upload("x", "x", map[string]string{wire.HeaderTarget: "abcdef0123"}), "invalid_target"},
		"for a channel":       {a.upload("x", "x", map[string]string{wire.HeaderTarget: "#x"}), "invalid_target"},
		"sealed without keys": {a.upload("x", "x", map[string]string{wire.HeaderEncrypted: "true"}), "bad_request"},
		"sealed to no key":    {a.upload("x", "x", map[string]string{wire.HeaderEncrypted: "true", wire.HeaderFileKeys: `[{"peerPubkey":"x"}]`}), "bad_request"},
		"with too many tags":  {a.upload("x", "x", map[string]string{wire.HeaderTags: `["` + strings.Repeat(`a","`, 40) + `a"]`}), "too_large"},
		"with a long tag":     {a.upload("x", "x", map[string]string{wire.HeaderTags: `["` + strings.Repeat("a", 65) + `"]`}), "too_large"},
	} {
		if status, res := c.u.try(); res["error"] != c.want || status == 200 || res["message"] == "" {
			t.Errorf("%s: %d %v, want %s", name, status, res, c.want)
		}
	}
	chunked := a.upload("x", "")
	chunked.body = io.MultiReader(strings.NewReader(long)) // of a length that is not said
	if status, res := chunked.try(); status != 413 {
		t.Errorf("too large, without saying so: %d %v", status, res)
	}
	m := b.srv.meshByID(b.mesh)
	broken := a.upload("x", "")
	r, w := io.Pipe()
	go func() {
		w.Write([]byte("half"))
		for m.moving() == 0 {
			runtime.Gosched()
		}
		w.CloseWithError(errors.New("the cable is out"))
	}()
	req := must(http.NewRequestWithContext(t.Context(), "POST", b.base+"/upload", r))
	req.Header = broken.header
	if _, err := http.DefaultClient.Do(req); err == nil {
		t.Error("a body that broke off was taken")
	}
	for m.moving() > 0 {
		runtime.Gosched()
	}
	if got := b.blobs(); len(got) != 0 || m.files.coming != 0 || len(m.files.busy) != 0 {
		t.Errorf("left behind: %v, %+v", got, m.files)
	}
	for range 2 {
		a.upload("x", long[:1000]).id()
	}
	status, res := a.upload("x", long[:501]).try()
	if res["error"] != "limit" || !strings.Contains(res["message"].(string), "--file-quota") {
		t.Errorf("over the quota: %d %v", status, res)
	}
	id := a.upload("x", long[:500]).id()
	a.ask("ack", map[string]any{"type": "delete_file", "fileId": id})
	a.upload("x", long[:500]).id()
}

func (m *mesh) moving() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.files.moving
}

func TestAFullDiskIsSaid(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("it does not say what is free")
	}
	b := newBroker(t, func(c *Config) { c.MinFree = 1 << 60 })
	a := b.join("ann").modern("a")
	status, res := a.upload("x", "x").try()
	if status != 503 || res["error"] != "unavailable" || !strings.Contains(res["message"].(string), "free") {
		t.Errorf("%d %v", status, res)
	}
}

func TestTransfersAreBounded(t *testing.T) {
	t.Parallel()
	b := newBroker(t, func(c *Config) { c.MaxTransfers = 1 })
	a := b.join("ann").modern("a")
	id := a.upload("x", "x").id()
	url := a.get(id)["url"].(string)
	r, w := io.Pipe()
	u := a.upload("slow", "")
	u.body = r
	done := make(chan string)
	go func() { done <- u.id() }()
	w.Write([]byte("half"))
	m := b.srv.meshByID(b.mesh)
	for m.moving() == 0 {
		runtime.Gosched()
	}
	if status, _, body := b.download(url); status != 429 || !strings.Contains(body, "under way") {
		t.Errorf("download: %d %s", status, body)
	}
	if status, res := a.upload("x", "x").try(); status != 429 {
		t.Errorf("upload: %d %v", status, res)
	}
	m.sweepBlobs(t.Context()) // does not take what is on its way for an orphan
	w.Close()
	if got := a.fetch(<-done); got != "half" {
		t.Errorf("%q", got)
	}
}

// What a peer calls a file decides nothing about where it lies.
func TestHostileFileNamesStayNames(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	a := b.join("ann").modern("a")
	for name, want := range map[string]string{
		"..%2F..%2Fmesh.db":       "mesh.db",
		"../../server.json":       "server.json",
		"%2Fetc%2Fpasswd":         "passwd",
		"C:%5CWindows%5Cx.ini":    "x.ini",
		"a%00b":                   "a_b",
		"a%0D%0AX-Evil:%201":      "a__X-Evil: 1",
		"%2E%2E":                  "file",
		"CON":                     "CON",
		strings.Repeat("n", 300):  strings.Repeat("n", 255),
		"%FF%FE":                  "_",
		"50% off.txt":             "50% off.txt",
		"evil%22%3B%20filename=x": `evil"; filename=x`,
		"%E2%80%AEgnp.exe":        "_gnp.exe",
	} {
		id := a.upload(name, "x").id()
		f := a.get(id)
		if f["name"] != want {
			t.Errorf("%q became %q, want %q", name, f["name"], want)
		}
		status, h, _ := b.download(f["url"].(string))
		if status != 200 || len(h["X-Evil"]) > 0 || strings.ContainsAny(h.Get("Content-Disposition"), "\r\n") {
			t.Errorf("%q: %d %v", name, status, h)
		}
	}
	id := a.files()
	for _, blob := range b.blobs() {
		if id[blob] == nil {
			t.Errorf("%q is on disk", blob)
		}
	}
	if found, _ := filepath.Glob(filepath.Join(b.cfg.Data, "*")); slices.ContainsFunc(found, func(s string) bool { return strings.Contains(s, "passwd") }) {
		t.Errorf("%v", found)
	}
}

// A crash leaves bytes without a row at worst, wherever it comes: they go at
// the next start. It never leaves a row without bytes.
func TestWhatACrashLeavesIsSwept(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	a := b.join("ann").modern("a")
	id := a.upload("x", "kept").id()
	b.cfg.Listen = strings.TrimPrefix(b.base, "http://")
	b.stop()
	dir := filepath.Join(b.cfg.Data, "meshes", b.mesh, "files")
	for _, name := range []string{".new-aaaa", "bbbb", "dddd"} { // while it was written; before its row; after its row was deleted
		if err := os.WriteFile(filepath.Join(dir, name), []byte("left"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.start()
	if got := b.blobs(); !slices.Equal(got, []string{id}) {
		t.Errorf("on disk: %v", got)
	}
	if got := a.b.join("bob").modern("b").fetch(id); got != "kept" {
		t.Errorf("%q", got)
	}
}

func TestBytesOfFilesAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("modes mean nothing there")
	}
	b := newBroker(t)
	id := b.join("ann").modern("a").upload("x", "x").id()
	for path, want := range map[string]os.FileMode{"": 0o700, id: 0o600} {
		info := must(os.Stat(filepath.Join(b.cfg.Data, "meshes", b.mesh, "files", path)))
		if info.Mode().Perm() != want {
			t.Errorf("%q has mode %v", path, info.Mode())
		}
	}
}

// The largest head that an upload may have fits what the server reads of one.
func TestTheLargestHeadOfAnUploadFits(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	ann := b.join("ann")
	a := ann.modern("a")
	keys := []string{ann.pub()}
	for len(keys) < wire.MaxFileKeys {
		keys = append(keys, must(seal.Generate()).Public().String())
	}
	tag := `"` + strings.Repeat(`\u00fc`, wire.MaxFileTag) + `"`
	tags := "[" + strings.Repeat(tag+",", wire.MaxFileTags-1) + tag + "]"
	name := strings.Repeat("%C3%BC", 127)
	id := a.upload(name, "x", sealedFor(keys...), map[string]string{wire.HeaderTags: tags}).id()
	if f := a.files()[id]; len(f["tags"].([]any)) != wire.MaxFileTags || len(f["name"].(string)) != 254 {
		t.Errorf("%v", f)
	}
	status, res := a.upload("x", "x", sealedFor(append(keys, ann.pub())...)).try()
	if status != 400 || !strings.Contains(res["message"].(string), "grant") {
		t.Errorf("a key too many: %d %v", status, res)
	}
}

func FuzzUploadHead(f *testing.F) {
	f.Add("[]", `[{"peerPubkey":"","sealedKey":""}]`, "@a/b", "text/plain")
	f.Add(`["a",1]`, "null", "*", ";;")
	f.Add("{}", "[", "#", "\x00")
	f.Fuzz(func(t *testing.T, tags, keys, target, kind string) {
		got, err := fileTags(tags)
		if err == nil && (got == nil || len(got) > wire.MaxFileTags) {
			t.Errorf("tags %q became %q", tags, got)
		}
		for _, tag := range got {
			if tag == "" || wire.HasControl(tag) || len([]rune(tag)) > wire.MaxFileTag {
				t.Errorf("tags %q hold %q", tags, tag)
			}
		}
		if all, err := fileKeys(keys); err == nil && (len(all) == 0 || len(all) > wire.MaxFileKeys) {
			t.Errorf("%d keys of %q", len(all), keys)
		}
		if to, err := fileTarget(target); err == nil && to != "" {
			if again, err := fileTarget(to); err != nil || again != to {
				t.Errorf("the target %q became %q, and that %q, %v", target, to, again, err)
			}
		}
		if m := mimeType(kind); len(m) > maxMIME || wire.HasControl(m) {
			t.Errorf("the type %q became %q", kind, m)
		}
	})
}
