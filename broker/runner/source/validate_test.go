package source

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestRepositoriesAreReachedByHTTPSOnly(t *testing.T) {
	for _, c := range []struct{ url, branch, auth, wrong string }{
		{url: "https://github.com/a/b"},
		{url: "https://github.com/a/b.git", branch: "release/1.x"},
		{url: "https://git.example.com:8443/a/b", branch: "v1.0.0", auth: "token"},
		{url: "https://[2606:4700::1111]/a"},
		{url: "http://github.com/a/b", wrong: "by https only"},
		{url: "ssh://git@github.com/a/b", wrong: "by https only"},
		{url: "git@github.com:a/b", wrong: "cannot be read"},
		{url: "file:///etc", wrong: "cannot be read"},
		{url: "file://host/etc", wrong: "by https only"},
		{url: "ext::sh -c id", wrong: "blank"},
		{url: "ext::id", wrong: "cannot be read"},
		{url: "/etc", wrong: "cannot be read"},
		{url: "", wrong: "cannot be read"},
		{url: "--upload-pack=id", wrong: "cannot be read"},
		{url: "https:github.com/a", wrong: "cannot be read"},
		{url: "https://ann:secret@github.com/a/b", wrong: "as auth instead"},
		{url: "https://github.com/a?b=c", wrong: "neither"},
		{url: "https://github.com/a#main", wrong: "neither"},
		{url: "https://github.com/a#", wrong: "neither"},
		{url: "https://github.com/", wrong: "no repository"},
		{url: `https://github.com\@evil.com/a`, wrong: "blank"},
		{url: "https://127.1/a", wrong: "the host"},
		{url: "https://0x7f000001/a", wrong: "the host"},
		{url: "https://2130706433/a", wrong: "the host"},
		{url: "https://-x.com/a", wrong: "the host"},
		{url: "https://[fe80::1%25eth0]/a", wrong: "the host"},
		{url: "https://github.com:0/a", wrong: "port"},
		{url: "https://github.com:99999/a", wrong: "port"},
		{url: "https://github.com/" + strings.Repeat("a", maxURL), wrong: "at most"},
		{url: "https://github.com/a/b\n", wrong: "blank"},
		{url: "https://github.com/a/b", branch: "--upload-pack=id", wrong: "name of a branch"},
		{url: "https://github.com/a/b", branch: "a..b", wrong: "name of a branch"},
		{url: "https://github.com/a/b", branch: "a b", wrong: "name of a branch"},
		{url: "https://github.com/a/b", branch: "a/.b", wrong: "name of a branch"},
		{url: "https://github.com/a/b", branch: "a.lock", wrong: "name of a branch"},
		{url: "https://github.com/a/b", auth: "a\nHost: b", wrong: "auth is no token"},
		{url: "https://github.com/a/b", auth: strings.Repeat("a", 2000), wrong: "auth is no token"},
	} {
		err := New(Options{}).Check(Source{Type: Git, URL: c.url, Branch: c.branch, Auth: c.auth}, "")
		wantError(t, c.url+" "+c.branch, err, c.wrong)
		if err != nil && (strings.Contains(err.Error(), "secret") || c.auth != "" && strings.Contains(err.Error(), c.auth)) {
			t.Errorf("%s: the error has the secret in it: %v", c.url, err)
		}
	}
}

func TestPackagesAreNamesAndVersionsOnly(t *testing.T) {
	for _, c := range []struct {
		typ         Type
		spec, wrong string
	}{
		{NPX, "is-number", ""},
		{NPX, "@modelcontextprotocol/server-everything", ""},
		{NPX, "@modelcontextprotocol/server-everything@2025.8.18", ""},
		{NPX, "is-number@^7.0", ""},
		{NPX, "is-number@latest", ""},
		{NPX, "", "no npm package"},
		{NPX, "@/x", "no npm package"},
		{NPX, "../x", "no npm package"},
		{NPX, "-g", "no npm package"},
		{NPX, "_x", "no npm package"},
		{NPX, ".bin", "no npm package"},
		{NPX, "a/b", "no npm package"},
		{NPX, "x@", "no version"},
		{NPX, "x@npm:other", "no version"},
		{NPX, "x@file:/etc", "no version"},
		{NPX, "x@https://evil.com/x.tgz", "no version"},
		{NPX, "x; id", "no npm package"},
		{NPX, "x$(id)", "no npm package"},
		{NPX, strings.Repeat("x", 215), "no npm package"},
		{UVX, "mcp-server-time", ""},
		{UVX, "mcp-server-time==1.0.0", ""},
		{UVX, "mcp-server-time@1.0.0", ""},
		{UVX, "mcp[cli,ws]==1.2", ""},
		{UVX, "mcp@latest", ""},
		{UVX, "", "no package of PyPI"},
		{UVX, "-r", "no package of PyPI"},
		{UVX, "--index-url=x", "no package of PyPI"},
		{UVX, "./x", "no package of PyPI"},
		{UVX, "x @ https://evil.com/x.whl", "no package of PyPI"},
		{UVX, "x@file:///etc", "no package of PyPI"},
		{UVX, "git+https://evil.com/x", "no package of PyPI"},
		{UVX, "x; id", "no package of PyPI"},
		{UVX, "x>=1", "no package of PyPI"},
		{UVX, "x-", "no package of PyPI"},
	} {
		wantError(t, string(c.typ)+" "+c.spec, New(Options{}).Check(Source{Type: c.typ, Package: c.spec}, ""), c.wrong)
	}
}

func TestRuntimesFitTheirSource(t *testing.T) {
	for _, c := range []struct {
		s     Source
		rt    Runtime
		wrong string
	}{
		{Source{Type: NPX, Package: "x"}, Node, ""},
		{Source{Type: UVX, Package: "x"}, Python, ""},
		{Source{Type: Git, URL: "https://example.com/x"}, Bun, ""},
		{Source{Type: NPX, Package: "x"}, Python, "not run with python"},
		{Source{Type: UVX, Package: "x"}, Node, "not run with node"},
		{Source{Type: Git, URL: "https://example.com/x"}, "perl", `no runtime "perl"`},
		{Source{Type: "docker"}, "", "no source of type"},
		{Source{Type: Zip}, "", "needs its archive"},
	} {
		wantError(t, string(c.s.Type)+" "+string(c.rt), New(Options{}).Check(c.s, c.rt), c.wrong)
	}
}

// wantError fails unless err says what is wrong, nothing if that is empty.
func wantError(t *testing.T, what string, err error, wrong string) {
	t.Helper()
	switch {
	case wrong == "" && err != nil:
		t.Errorf("%s: %v", what, err)
	case wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)):
		t.Errorf("%s: %v, and the error is to say %q", what, err, wrong)
	}
}

func FuzzWhatGoesIntoArguments(f *testing.F) {
	for _, s := range []string{"https://github.com/a/b", "main", "@a/b@1.2", "mcp[cli]==1", "--x", "https://a@b/c", "https://a:1/b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if goodBranch(s) && (strings.HasPrefix(s, "-") || strings.Contains(s, "..") || strings.ContainsAny(s, " :~^?*[\\\n\x00")) {
			t.Errorf("branch %q", s)
		}
		if r, err := parseRepository(s, "", ""); err == nil {
			u, err := url.Parse(r.url)
			if err != nil || u.Scheme != "https" || u.User != nil || u.Hostname() != r.host || strings.ContainsAny(r.url, " \\\n\x00") {
				t.Errorf("url %q became %q", s, r.url)
			}
		}
		if p, err := parseNPM(s); err == nil && (strings.HasPrefix(p.name, "-") || strings.ContainsAny(p.version, ":/ \n\x00") || slices.Contains(strings.Split(p.name, "/"), "..")) {
			t.Errorf("npm %q became %q", s, p)
		}
		if p, err := parsePyPI(s); err == nil && (strings.HasPrefix(p.requirement, "-") || strings.ContainsAny(p.requirement, ":/ ;\n\x00")) {
			t.Errorf("PyPI %q became %q", s, p)
		}
	})
}
