package source

import (
	"context"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A runs stands in for what confines programs: it runs them as they are, and
// notes what they were to be given.
type runs struct {
	args, env, network [][]string
}

func (r *runs) run(ctx context.Context, dir string, args, env []string, network []string, log io.Writer) error {
	r.args, r.env, r.network = append(r.args, args), append(r.env, env), append(r.network, network)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, log, log
	return cmd.Run()
}

// given reports whether a program was given a variable of that value.
func (r *runs) given(variable string) bool {
	for _, env := range r.env {
		for _, v := range env {
			if v == variable {
				return true
			}
		}
	}
	return false
}

// builds returns a job for a source, and what it logs.
func builds(t *testing.T, s Source, r *runs) (Job, *strings.Builder) {
	t.Helper()
	log := new(strings.Builder)
	return Job{Source: s, Dir: filepath.Join(t.TempDir(), "build"), Run: r.run, Log: log}, log
}

// archiveOf is a Zip source of some files.
func archiveOf(t *testing.T, entries ...entry) Source {
	t.Helper()
	name := filepath.Join(t.TempDir(), "a.zip")
	if err := os.WriteFile(name, makeZip(t, entries...), 0o600); err != nil {
		t.Fatal(err)
	}
	return Source{Type: Zip, Open: func() (*os.File, error) { return os.Open(name) }}
}

// A gitHost is an https server of repositories, with the token that it wants.
type gitHost struct {
	*httptest.Server
	dir string
	ca  string // a file with its certificate

	mu    sync.Mutex
	token string
	user  string // it was asked as last
}

// wants has the server want a token, or none.
func (h *gitHost) wants(token string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.token = token
}

// admits reports whether a request has the token.
func (h *gitHost) admits(r *http.Request) bool {
	user, password, _ := r.BasicAuth()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.user = user
	return h.token == "" || password == h.token
}

func (h *gitHost) lastUser() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.user
}

// newGitHost starts a server with a repository "tool.git" that has the files of
// commit. The test is skipped where there is no git.
func newGitHost(t *testing.T) *gitHost {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("this machine has no git")
	}
	h := &gitHost{dir: t.TempDir()}
	backend := &cgi.Handler{Path: git, Args: []string{"http-backend"}, Env: []string{"GIT_PROJECT_ROOT=" + h.dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1"}, Stderr: io.Discard}
	h.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !h.admits(r):
			w.Header().Set("WWW-Authenticate", "Basic")
			http.Error(w, "who is it?", http.StatusUnauthorized)
		case strings.HasPrefix(r.URL.Path, "/elsewhere/"):
			http.Redirect(w, r, "/"+strings.TrimPrefix(r.URL.Path, "/elsewhere/")+"?"+r.URL.RawQuery, http.StatusFound)
		default:
			r.Header.Del("Authorization")
			backend.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(h.Close)
	h.ca = filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw})
	if err := os.WriteFile(h.ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	h.git(t, "init", "--quiet", "--bare", "--initial-branch=main", filepath.Join(h.dir, "tool.git"))
	h.git(t, "init", "--quiet", "--initial-branch=main", filepath.Join(h.dir, "work"))
	return h
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

// commit puts files into the repository, on a branch, and returns the commit.
func (h *gitHost) commit(t *testing.T, branch string, files ...entry) string {
	t.Helper()
	work := filepath.Join(h.dir, "work")
	for _, f := range files {
		name := filepath.Join(work, f.name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(f.text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	h.git(t, "-C", work, "checkout", "--quiet", "-B", branch)
	h.git(t, "-C", work, "add", ".")
	h.git(t, "-C", work, "commit", "--quiet", "--allow-empty", "-m", "change")
	h.git(t, "-C", work, "push", "--quiet", "--force", filepath.Join(h.dir, "tool.git"), branch)
	return h.git(t, "-C", work, "rev-parse", "HEAD")
}

// builder returns a Builder that trusts the server.
func (h *gitHost) builder(opts Options) *Builder {
	opts.Env = append(os.Environ(), "GIT_SSL_CAINFO="+h.ca, "GIT_TRACE_CURL=1", "GIT_CURL_VERBOSE=1", "GIT_SSH_COMMAND=false", "SECRET_OF_THE_BROKER=x")
	return New(opts)
}
