package source

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestARepositoryIsFetchedAtItsCommit(t *testing.T) {
	h := newGitHost(t)
	first := h.commit(t, "main", entry{name: "index.js", text: "1"})
	second := h.commit(t, "main", entry{name: "index.js", text: "2"})
	side := h.commit(t, "side/1.x", entry{name: "index.js", text: "3"})
	b := h.builder(Options{})
	for _, c := range []struct{ branch, commit, text string }{{"", second, "2"}, {"main", second, "2"}, {"side/1.x", side, "3"}} {
		var r runs
		job, log := builds(t, Source{Type: Git, URL: h.URL + "/tool.git", Branch: c.branch}, &r)
		got, err := b.Fetch(t.Context(), job)
		if err != nil {
			t.Fatalf("%v\n%s", err, log)
		}
		text, err := os.ReadFile(filepath.Join(got.Dir, "index.js"))
		if got.Commit != c.commit || string(text) != c.text {
			t.Errorf("branch %q is %s with %q (%v), and is %s with %q", c.branch, got.Commit, text, err, c.commit, c.text)
		}
		job.Dir = t.TempDir()
		if now, err := b.Latest(t.Context(), job); now != c.commit || err != nil {
			t.Errorf("the newest of branch %q is %s (%v), and is %s", c.branch, now, err, c.commit)
		}
		host := strings.TrimPrefix(h.URL, "https://")
		if !slices.Equal(r.network[0], []string{host}) || r.network[1] != nil {
			t.Errorf("git may reach %q", r.network)
		}
		if strings.Contains(log.String(), "CONNECT") || r.given("SECRET_OF_THE_BROKER=x") || r.given("GIT_SSH_COMMAND=false") {
			t.Errorf("git has more of the broker's environment than it may:\n%s", log)
		}
	}
	if first == second {
		t.Error("the commits are one")
	}
}

func TestATokenIsForGitAlone(t *testing.T) {
	h := newGitHost(t)
	h.commit(t, "main", entry{name: "index.js"})
	const token = "ghp_0123456789abcdefghij"
	h.wants(token)
	b := h.builder(Options{})
	for _, c := range []struct{ auth, user string }{{token, "x-access-token"}, {"ann:" + token, "ann"}} {
		var r runs
		job, log := builds(t, Source{Type: Git, URL: h.URL + "/tool.git", Auth: c.auth}, &r)
		if _, err := b.Fetch(t.Context(), job); err != nil {
			t.Fatalf("%v\n%s", err, log)
		}
		if user := h.lastUser(); user != c.user {
			t.Errorf("the server was asked as %q", user)
		}
		if args := strings.Join(slices.Concat(r.args...), " "); strings.Contains(args, token) {
			t.Errorf("the token is among the arguments: %s", args)
		}
		if strings.Contains(strings.Join(r.env[1], " "), "Authorization") {
			t.Error("what only reads the commit has the token too")
		}
		if holds(t, job.Dir, token) || strings.Contains(log.String(), token) {
			t.Error("the token is on the disk or in the log")
		}
	}
}

// holds reports whether a file below dir has a text in it.
func holds(t *testing.T, dir, text string) (found bool) {
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

func TestARepositoryThatCannotBeFetchedIsSaid(t *testing.T) {
	h := newGitHost(t)
	h.commit(t, "main", entry{name: "index.js"})
	token := "ghp_wrong0123456789"
	public := func(a netip.Addr) bool { return !a.IsLoopback() }
	u, err := url.Parse(h.URL)
	if err != nil {
		t.Fatal(err)
	}
	local := "https://localhost:" + u.Port() + "/tool.git"
	for _, c := range []struct {
		name, url, branch, needs, wrong string
		opts                            Options
	}{
		{name: "no such repository", url: h.URL + "/none.git", wrong: "not found"},
		{name: "no such branch", url: h.URL + "/tool.git", branch: "none", wrong: "none"},
		{name: "a redirection", url: h.URL + "/elsewhere/tool.git", wrong: "302"},
		{name: "a wrong token", url: h.URL + "/tool.git", needs: "other", wrong: "fetching"},
		{name: "an address that is not admitted", url: h.URL + "/tool.git", opts: Options{Admits: public}, wrong: "may not reach"},
		{name: "a name of one", url: local, opts: Options{Admits: public}, wrong: "may not reach"},
	} {
		h.wants(c.needs)
		var r runs
		job, log := builds(t, Source{Type: Git, URL: c.url, Branch: c.branch, Auth: token}, &r)
		b := h.builder(c.opts)
		_, err := b.Fetch(t.Context(), job)
		wantError(t, c.name, err, c.wrong)
		if err != nil && strings.Contains(err.Error(), token) || strings.Contains(log.String(), token) {
			t.Errorf("%s: the token is in the error or log: %v\n%s", c.name, err, log)
		}
		if c.opts.Admits != nil && len(r.args) > 0 {
			t.Errorf("%s: git was run: %q", c.name, r.args)
		}
		job.Dir = t.TempDir()
		_, err = b.Latest(t.Context(), job)
		wantError(t, "the newest commit of "+c.name, err, strings.Replace(c.wrong, "fetching", "asking", 1))
	}
}

func TestWhatARepositorySaysOfOthersIsLeft(t *testing.T) {
	h := newGitHost(t)
	marker := filepath.Join(t.TempDir(), "ran")
	h.commit(t, "main",
		entry{name: "index.js"},
		entry{name: ".gitmodules", text: "[submodule \"x\"]\n\tpath = x\n\turl = " + h.URL + "/other.git\n"},
		entry{name: ".gitattributes", text: "* filter=evil\n"},
		entry{name: ".githooks/post-checkout", text: "#!/bin/sh\ntouch " + marker + "\n"},
	)
	var r runs
	job, log := builds(t, Source{Type: Git, URL: h.URL + "/tool.git"}, &r)
	if _, err := h.builder(Options{}).Fetch(t.Context(), job); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("a hook ran")
	}
}

func TestANameMeansTheAddressesThatWereLookedAt(t *testing.T) {
	h := newGitHost(t)
	want := h.commit(t, "main", entry{name: "index.js"})
	u, err := url.Parse(h.URL)
	if err != nil {
		t.Fatal(err)
	}
	b := h.builder(Options{Admits: netip.Addr.IsLoopback})
	b.resolve = func(context.Context, string, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	var r runs
	job, log := builds(t, Source{Type: Git, URL: "https://example.com:" + u.Port() + "/tool.git"}, &r) // the certificate is for this name
	if got, err := b.Fetch(t.Context(), job); err != nil || got.Commit != want {
		t.Errorf("%v %v\n%s", got, err, log)
	}
	b.resolve = func(context.Context, string, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("10.0.0.1")}, nil
	}
	job.Dir = t.TempDir()
	_, err = b.Fetch(t.Context(), job)
	wantError(t, "a name with an address that is not admitted", err, "may not reach")
}

func TestWhatGoesIntoALogHasNoSecrets(t *testing.T) {
	var log strings.Builder
	r := &redactor{w: &log, secrets: []string{"s3cret"}}
	for _, part := range []string{"a s3c", "ret b\nc", " s3cret", " d\n", "s3cr", "et"} {
		if _, err := r.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	r.flush()
	if want := "a [secret] b\nc [secret] d\n[secret]"; log.String() != want {
		t.Errorf("the log is %q", log.String())
	}
	err := (&build{}).explain(errors.New("ran s3cret"), new(tailer), []string{"s3cret"})
	wantError(t, "an error", err, "ran [secret]")
}

func TestAStepEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	job := Job{Dir: t.TempDir(), Log: new(strings.Builder), Run: func(ctx context.Context, _ string, _, _, _ []string, _ io.Writer) error {
		cancel(errors.New("enough"))
		<-ctx.Done()
		return errors.New("killed")
	}}
	err := (&build{Builder: New(Options{}), job: job}).run(ctx, step{what: "waiting", limit: cloneFor})
	wantError(t, "a step", err, "waiting: enough")
}

func TestAStepThatFillsTheDiskIsEnded(t *testing.T) {
	for _, c := range []struct {
		name string
		opts Options
		wait bool
	}{{"while it runs", Options{MaxBytes: 100}, true}, {"when it was quick", Options{MaxBytes: 100}, false}, {"with many files", Options{MaxFiles: 3}, true}} {
		job := Job{Dir: t.TempDir(), Log: new(strings.Builder)}
		job.Run = func(ctx context.Context, _ string, _, _, _ []string, _ io.Writer) error {
			for _, name := range []string{"a", "b", "c"} {
				if err := os.WriteFile(filepath.Join(job.Dir, name), make([]byte, 60), 0o600); err != nil {
					return err
				}
			}
			if c.wait {
				<-ctx.Done()
			}
			return ctx.Err()
		}
		b := New(c.opts)
		b.lookEvery = 1
		err := (&build{Builder: b, job: job}).run(t.Context(), step{what: "filling", limit: cloneFor})
		wantError(t, c.name, err, "that a service may have")
	}
}

func TestABuildThatNestsDirectoriesWithoutEndIsTooMuch(t *testing.T) {
	t.Parallel()
	for levels, want := range map[int]bool{MaxNesting: true, MaxNesting + 1: false} {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, strings.Repeat("d/", levels)), 0o755); err != nil {
			t.Fatal(err)
		}
		b := build{Builder: New(Options{}), job: Job{Dir: dir}}
		if err := b.measure(); (err == nil) != want {
			t.Errorf("%d levels: %v", levels, err)
		}
	}
}
