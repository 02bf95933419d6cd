package broker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A gitHost is an https server with a repository "tool.git", and the token that
// it wants.
type gitHost struct {
	*httptest.Server
	dir   string
	token string
}

// newGitHost starts a server that the broker trusts. The test is skipped where
// there is no git.
func newGitHost(t *testing.T) *gitHost {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("this machine has no git")
	}
	h := &gitHost{dir: t.TempDir()}
	backend := &cgi.Handler{Path: git, Args: []string{"http-backend"}, Env: []string{"GIT_PROJECT_ROOT=" + h.dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1"}}
	h.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != h.token {
			w.Header().Set("WWW-Authenticate", "Basic")
			http.Error(w, "who is it?", http.StatusUnauthorized)
			return
		}
		r.Header.Del("Authorization")
		backend.ServeHTTP(w, r)
	}))
	h.Listener.Close()
	// What is confined takes 127.0.0.1 for its own, and goes to no proxy for it.
	if h.Listener, err = net.Listen("tcp", "127.0.0.2:0"); err != nil {
		t.Skip("this machine has one address only:", err)
	}
	h.TLS = &tls.Config{Certificates: []tls.Certificate{certificateOf(net.IPv4(127, 0, 0, 2))}}
	h.StartTLS()
	t.Cleanup(h.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GIT_SSL_CAINFO", ca)
	h.git(t, "init", "--quiet", "--bare", "--initial-branch=main", filepath.Join(h.dir, "tool.git"))
	h.git(t, "init", "--quiet", "--initial-branch=main", filepath.Join(h.dir, "work"))
	return h
}

// certificateOf makes a certificate for an address, which vouches for itself.
func certificateOf(ip net.IP) tls.Certificate {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{ip},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (h *gitHost) git(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull,
		"GIT_AUTHOR_NAME=ann", "GIT_AUTHOR_EMAIL=ann@example.com", "GIT_COMMITTER_NAME=ann", "GIT_COMMITTER_EMAIL=ann@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %q: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit puts files into the repository and returns the commit.
func (h *gitHost) commit(t *testing.T, files map[string]string) string {
	t.Helper()
	work := filepath.Join(h.dir, "work")
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := os.WriteFile(filepath.Join(work, name), []byte(files[name]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	h.git(t, "-C", work, "add", ".")
	h.git(t, "-C", work, "commit", "--quiet", "--allow-empty", "-m", "change")
	h.git(t, "-C", work, "push", "--quiet", "--force", filepath.Join(h.dir, "tool.git"), "main")
	return h.git(t, "-C", work, "rev-parse", "HEAD")
}

func TestAServiceFromGitIsUpdatedAndABrokenUpdateIsNot(t *testing.T) {
	h := newGitHost(t) // sets the environment, so this test is not parallel
	b := realServices(t, func(c *Config) { c.ServiceAllow = "127.0.0.2" })
	a, other := b.join("alice").modern("a"), b.join("bob").modern("b")
	files := fixture(t)
	first := h.commit(t, files)
	if f := a.runs(deploy("s", "scope", "mesh", "source", map[string]any{"type": "git", "url": h.URL + "/tool.git"})); f["commit"] != first {
		t.Errorf("deployed %v, not %s", f["commit"], first)
	}
	update := func() map[string]any {
		return a.outcome(a.asked(map[string]any{"type": "mcp_update", "server_name": "s"}))
	}
	other.news()
	if f := update(); f["status"] != "running" || f["commit"] != first || f["previous"] != first {
		t.Errorf("with nothing new: %v", f)
	}
	other.wantNews()
	files["index.js"] = strings.Replace(files["index.js"], `text(args.text)`, `text("new " + args.text)`, 1)
	second := h.commit(t, files)
	if f := update(); f["status"] != "running" || f["commit"] != second || f["previous"] != first {
		t.Errorf("updated: %v", f)
	}
	if e := other.event("mcp_updated"); e["prev_sha"] != first || e["new_sha"] != second {
		t.Errorf("told %v", e)
	}
	if got := other.says("s", "echo", map[string]any{"text": "x"}); got != "new x" {
		t.Error(got)
	}
	broken := maps.Clone(files)
	broken["index.js"] = "process.exit(1)"
	h.commit(t, broken)
	if f := update(); f["status"] != "failed" || f["kept"] != true || f["error"] == "" {
		t.Errorf("a broken update: %v", f)
	}
	if got := other.says("s", "echo", map[string]any{"text": "x"}); got != "new x" {
		t.Error(got)
	}
	if e := a.catalog()["s"]; e["status"] != "running" || e["commit"] != second || e["version"] != 2.0 {
		t.Errorf("listed as %v", e)
	}
	b.restart()
	a = b.join("carol").modern("c")
	a.backOnFeet(t, "s")
	if got := a.says("s", "echo", map[string]any{"text": "x"}); got != "new x" {
		t.Error("after a restart:", got)
	}
}
