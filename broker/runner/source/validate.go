package source

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Lengths, in bytes, that no honest source comes near.
const (
	maxURL     = 2048
	maxBranch  = 200
	maxAuth    = 1000
	maxPackage = 214 // npm's own limit of a name
	maxVersion = 100
)

var errPath = errors.New("the broker's operator does not allow this directory: local sources are below what serve was given for them")

// A repository is a Git source that was found to be well-formed.
type repository struct {
	url    string
	host   string // without a port
	port   string
	branch string
	auth   string // as user:password
}

func (r *repository) network() []string { return []string{hostPort(r.host, r.port)} }

func hostPort(host, port string) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + port
}

func parseRepository(raw, branch, auth string) (*repository, error) {
	u, err := parseHTTPS(raw)
	if err != nil {
		return nil, err
	}
	if branch != "" && !goodBranch(branch) {
		return nil, fmt.Errorf("%.80q is no name of a branch: letters, digits and . _ / -, beginning with a letter or digit", branch)
	}
	if len(auth) > maxAuth || strings.ContainsFunc(auth, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return nil, fmt.Errorf("auth is no token: it has to be at most %d printable characters without blanks", maxAuth)
	}
	if auth != "" && !strings.Contains(auth, ":") {
		auth = "x-access-token:" + auth // the user does not count where there is a token; GitHub and GitLab take this one
	}
	return &repository{url: u.String(), host: u.Hostname(), port: portOf(u), branch: branch, auth: auth}, nil
}

func portOf(u *url.URL) string {
	if u.Port() != "" {
		return u.Port()
	}
	return "443"
}

// parseHTTPS takes only addresses that every reader of addresses reads alike.
func parseHTTPS(raw string) (*url.URL, error) {
	if len(raw) > maxURL || strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\\\"'<>^`{|}", r) }) {
		return nil, fmt.Errorf("the url has to be at most %d characters, none of them a blank, a quote or outside ASCII", maxURL)
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || u.Host == "" {
		return nil, errors.New("the url cannot be read: write https://host/path")
	}
	switch {
	case u.Scheme != "https":
		return nil, fmt.Errorf("git repositories are fetched by https only, not by %.20q: write https://host/path", u.Scheme)
	case u.User != nil:
		return nil, errors.New("the url has a user or password in it: give a token as auth instead, which is kept out of logs")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(raw, "#"):
		return nil, errors.New("the url of a git repository has neither ? nor #: give a branch as branch")
	case strings.Trim(u.Path, "/") == "":
		return nil, errors.New("the url names a host, but no repository on it")
	case !goodHost(u.Hostname()):
		return nil, errors.New("the host of the url is none: write a name, or an address in full")
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return nil, errors.New("the port of the url is none")
		}
	}
	return u, nil
}

// goodHost reports whether host is a DNS name or an address written in full.
// What resolvers take for an address though it does not look it, as 127.1 or
// 0x7f000001, is neither.
func goodHost(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Zone() == ""
	}
	if len(host) > 253 {
		return false
	}
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	for _, l := range labels {
		if len(l) == 0 || len(l) > 63 || l[0] == '-' || strings.Trim(l, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			return false
		}
	}
	last := labels[len(labels)-1]
	return strings.Trim(last, "0123456789") != "" && !strings.HasPrefix(strings.ToLower(last), "0x")
}

// goodBranch reports whether a name is one that git takes for a ref and for
// nothing else.
func goodBranch(name string) bool {
	if name == "" || len(name) > maxBranch || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-") != "" {
		return false
	}
	if strings.ContainsRune("._/-", rune(name[0])) || strings.Contains(name, "..") || strings.Contains(name, "//") {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return name[len(name)-1] != '.'
}

// A npmPackage is a name, and the version that goes into package.json.
type npmPackage struct{ name, version string }

// parseNPM takes what the registry has names for, and versions, tags and simple
// ranges: no paths, addresses or aliases, which npm takes in the same place.
func parseNPM(spec string) (npmPackage, error) {
	name, version := spec, "*"
	if i := strings.LastIndexByte(spec, '@'); i > 0 {
		name, version = spec[:i], spec[i+1:]
	}
	part := `[A-Za-z0-9~][A-Za-z0-9._~-]*`
	if len(name) > maxPackage || !regexp.MustCompile(`^(@`+part+`/)?`+part+`$`).MatchString(name) {
		return npmPackage{}, fmt.Errorf("%.80q is no npm package: write name, @scope/name or either with @version", spec)
	}
	if version != "*" && !goodVersion(version) {
		return npmPackage{}, fmt.Errorf("%.80q is no version of an npm package: write one such as 1.2.3, ^1.2 or a tag", version)
	}
	return npmPackage{name, version}, nil
}

func goodVersion(v string) bool {
	return len(v) <= maxVersion && regexp.MustCompile(`^[~^]?[A-Za-z0-9][A-Za-z0-9.+_-]*$`).MatchString(v)
}

// A pyPackage is the name of a distribution, and the requirement that pip is
// given for it.
type pyPackage struct{ name, requirement string }

// parsePyPI takes a name with extras and a version: no paths, addresses,
// markers or options, which pip takes in the same place.
func parsePyPI(spec string) (pyPackage, error) {
	name := `[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?`
	m := regexp.MustCompile(`^(` + name + `)(\[` + name + `(?:,` + name + `)*\])?(?:(?:==|@)([A-Za-z0-9][A-Za-z0-9.+!_-]*))?$`).FindStringSubmatch(spec)
	if m == nil || len(spec) > maxPackage+maxVersion {
		return pyPackage{}, fmt.Errorf("%.80q is no package of PyPI: write name, name[extra] or either with ==version", spec)
	}
	p := pyPackage{m[1], m[1] + m[2]}
	if v := m[3]; v != "" && v != "latest" {
		p.requirement += "==" + v
	}
	return p, nil
}
