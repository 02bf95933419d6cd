package broker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"claudemesh/broker/runner/confine"
)

const repositoryToken = "ghp_0123456789abcdefghij"

// serveRepository serves files as the repository tool.git by https, for a token
// and nobody else, and has git trust the server.
func serveRepository(t *testing.T, files map[string]string) (url, commit string) {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("this machine has no git")
	}
	dir := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), git, append([]string{"-C", dir, "-c", "user.name=ann", "-c", "user.email=ann@example.com"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %q: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("init", "--quiet", "--initial-branch=main", "work")
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, "work", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run("-C", "work", "add", ".")
	run("-C", "work", "commit", "--quiet", "-m", "a skill")
	run("clone", "--quiet", "--bare", "work", "tool.git")
	backend := &cgi.Handler{Path: git, Args: []string{"http-backend"}, Env: []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1"}}
	// A cell has a loopback of its own.
	addr := outsideLoopback(t)
	cert := certificateOf(t, addr)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != repositoryToken {
			http.Error(w, "who is it?", http.StatusUnauthorized)
			return
		}
		r.Header.Del("Authorization")
		backend.ServeHTTP(w, r)
	}))
	srv.Listener.Close()
	srv.Listener = must(net.Listen("tcp", net.JoinHostPort(addr.String(), "0")))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GIT_SSL_CAINFO", ca)
	return srv.URL + "/tool.git", run("-C", "work", "rev-parse", "HEAD")
}

// outsideLoopback returns an address of this machine that others could reach.
func outsideLoopback(t *testing.T) net.IP {
	t.Helper()
	for _, a := range must(net.InterfaceAddrs()) {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP
		}
	}
	t.Skip("this machine has no address but its loopback's")
	return nil
}

// certificateOf makes a certificate for an address.
func certificateOf(t *testing.T, addr net.IP) tls.Certificate {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{addr},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der := must(x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestASkillIsFetchedByGitInACell(t *testing.T) {
	url, commit := serveRepository(t, map[string]string{"SKILL.md": "---\nname: review\n---\nLook.", "more.md": "x"})
	for _, c := range []struct{ allow, wrong string }{{outsideLoopback(t).String(), ""}, {"127.0.0.1", "may not reach"}} {
		b := newBroker(t, func(cfg *Config) { cfg.ServiceAllow = c.allow })
		if err := b.srv.services().confiner.Check(confine.Limits{Network: []string{"example.com"}}); err != nil {
			t.Skip("git cannot be confined here: ", err)
		}
		a := b.join("alice").modern("a")
		a.patience = startIn
		f := a.askAny(map[string]any{"type": "skill_deploy", "source": map[string]any{"type": "git", "url": url, "auth": repositoryToken}})
		switch {
		case c.wrong == "" && (f["name"] != "review" || f["commit"] != commit || !equalJSON(f["files"], []any{"SKILL.md", "more.md"})):
			t.Errorf("answered with %v, at commit %s", f, commit)
		case c.wrong != "" && (f["code"] != "deploy_error" || !strings.Contains(f["message"].(string), c.wrong)):
			t.Errorf("with --service-allow %s it is answered with %v", c.allow, f)
		}
		if left := b.bundlesLeft(); len(left) != 0 {
			t.Errorf("left on the disk: %q", left)
		}
		b.stop()
		if dirHolds(t, b.cfg.Data, repositoryToken) {
			t.Error("the token is kept")
		}
	}
}

// dirHolds reports whether a file below dir has a text in it.
func dirHolds(t *testing.T, dir, text string) (found bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		p, err := os.ReadFile(path)
		found = found || strings.Contains(string(p), text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
