package source

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// errAddress does not say which address: that would tell a member what names
// mean in networks that are not its own.
var errAddress = errors.New("the host of the repository has an address that services may not reach, unless the broker's operator allows it by --service-allow")

// clone fetches one commit of a repository, and returns its id. Submodules are
// left out: they would be fetched from wherever the repository says.
func (b *build) clone(ctx context.Context) (commit string, err error) {
	r, err := parseRepository(b.job.Source.URL, b.job.Source.Branch, b.job.Source.Auth)
	if err != nil {
		return "", err
	}
	args := []string{"clone", "--quiet", "--depth=1", "--single-branch", "--no-tags", "--no-recurse-submodules", "--template="}
	if r.branch != "" {
		args = append(args, "--branch="+r.branch)
	}
	err = b.git(ctx, r, "fetching "+r.url, b.job.Dir, nil, append(args, "--", r.url, filepath.Base(b.src))...)
	if err != nil {
		return "", err
	}
	var out tailer
	if err := b.git(ctx, nil, "reading its commit", b.src, &out, "rev-parse", "--verify", "HEAD"); err != nil {
		return "", err
	}
	for line := range strings.Lines(string(out.end)) {
		if line = strings.TrimSpace(line); isCommit(line) {
			return line, nil
		}
	}
	return "", errors.New("git did not say which commit it fetched")
}

func isCommit(s string) bool {
	return regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`).MatchString(s)
}

// Latest returns the commit that a build of a Git source would get now. Its
// directory is one of its own too, lest git reads what a program left for it.
func (b *Builder) Latest(ctx context.Context, job Job) (commit string, err error) {
	r, err := parseRepository(job.Source.URL, job.Source.Branch, job.Source.Auth)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(job.Dir, 0o755); err != nil {
		return "", err
	}
	refs := []string{"HEAD"}
	if r.branch != "" {
		refs = []string{"refs/heads/" + r.branch, "refs/tags/" + r.branch + "^{}", "refs/tags/" + r.branch}
	}
	var out bytes.Buffer
	w := &build{Builder: b, job: job, tmp: job.Dir}
	if err := w.git(ctx, r, "asking for the newest commit of "+r.url, job.Dir, &limited{w: &out, left: 64 << 10}, append([]string{"ls-remote", "--", r.url}, refs...)...); err != nil {
		return "", err
	}
	found := make(map[string]string)
	for line := range strings.Lines(out.String()) {
		if id, ref, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok && isCommit(id) {
			found[ref] = id
		}
	}
	for _, ref := range refs {
		if found[ref] != "" {
			return found[ref], nil
		}
	}
	if r.branch != "" {
		return "", fmt.Errorf("the repository has no branch or tag %s", r.branch)
	}
	return "", errors.New("the repository has no commits")
}

// limited drops what is over a number of bytes.
type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	l.w.Write(p[:n]) // a buffer
	return len(p), nil
}

// git runs git with nothing of this machine's configuration but what it trusts.
// It reaches the host of r, and nothing if r is nil.
func (b *build) git(ctx context.Context, r *repository, what, dir string, out io.Writer, args ...string) error {
	path, err := b.look("git")
	if err != nil {
		return err
	}
	conf := [][2]string{
		{"protocol.allow", "never"}, {"protocol.https.allow", "always"}, {"http.followRedirects", "false"},
		{"core.hooksPath", nowhere}, {"core.fsmonitor", "false"}, {"core.askPass", ""}, {"credential.helper", ""},
		{"submodule.recurse", "false"}, {"safe.directory", "*"}, {"gc.auto", "0"}, {"maintenance.auto", "false"},
		{"init.defaultBranch", "main"}, {"advice.detachedHead", "false"},
	}
	s := step{what: what, dir: dir, args: append([]string{path}, args...), limit: cloneFor, out: out}
	if r != nil {
		pin, err := b.pin(ctx, r)
		if err != nil {
			return err
		}
		if pin != "" {
			conf = append(conf, [2]string{"http.curloptResolve", pin})
		}
		if r.auth != "" {
			basic := base64.StdEncoding.EncodeToString([]byte(r.auth))
			conf = append(conf, [2]string{"http." + r.url + ".extraHeader", "Authorization: Basic " + basic})
			_, password, _ := strings.Cut(r.auth, ":")
			s.secrets = []string{basic, r.auth}
			if password != "" {
				s.secrets = append(s.secrets, password)
			}
		}
		s.network = r.network()
	}
	s.env = b.environ(b.tmp, nil,
		"GIT_TERMINAL_PROMPT=0", "GIT_ALLOW_PROTOCOL=https", "GIT_PROTOCOL_FROM_USER=0", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_SYSTEM="+nowhere, "GIT_CONFIG_GLOBAL="+nowhere, "GIT_ATTR_NOSYSTEM=1", "GIT_LFS_SKIP_SMUDGE=1", "GIT_OPTIONAL_LOCKS=0",
		"GIT_CEILING_DIRECTORIES="+dir, "GIT_CONFIG_COUNT="+strconv.Itoa(len(conf)))
	for i, kv := range conf {
		s.env = append(s.env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, kv[0]), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, kv[1]))
	}
	return b.run(ctx, s)
}

// pin resolves the host of a repository and returns what makes git connect to
// the addresses that were found good, and no others: a name may mean something
// else the next moment. Where git goes through a proxy, that has to look too.
func (b *build) pin(ctx context.Context, r *repository) (string, error) {
	if b.opts.Admits == nil {
		return "", nil
	}
	if a, err := netip.ParseAddr(r.host); err == nil {
		if !b.opts.Admits(a) {
			return "", errAddress
		}
		return "", nil
	}
	all, err := b.resolve(ctx, "ip", r.host)
	if err != nil {
		return "", fmt.Errorf("the host %s of the repository cannot be found", r.host)
	}
	var good []string
	for _, a := range all {
		a = a.Unmap()
		if !b.opts.Admits(a) {
			return "", errAddress
		}
		if a.Is6() {
			good = append(good, "["+a.String()+"]")
		} else {
			good = append(good, a.String())
		}
	}
	return r.host + ":" + r.port + ":" + strings.Join(good, ","), nil
}
