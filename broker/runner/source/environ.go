package source

import (
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// nowhere takes the place of configuration files.
const nowhere = "/dev/null"

// trust are the settings of the broker's environment that every program gets:
// which certificates this machine takes for good.
func trust() []string {
	return []string{
		"NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH",
	}
}

// Trusted returns the files and directories that hold certificates and packages
// which this machine takes for good, as far as its environment names them: what
// a build runs must be able to read them.
func (b *Builder) Trusted() (paths []string) {
	for _, name := range append(trust(), pipSettings()...) {
		for _, p := range strings.FieldsFunc(b.getenv(name), func(r rune) bool { return r == ' ' || r == filepath.ListSeparator }) {
			if filepath.IsAbs(p) && !slices.Contains(paths, p) {
				paths = append(paths, p)
			}
		}
	}
	return paths
}

// npmSettings and pipSettings say where this machine's packages come from.
func npmSettings() []string { return []string{"npm_config_registry", "NPM_CONFIG_REGISTRY"} }

func pipSettings() []string {
	return []string{
		"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_DEFAULT_TIMEOUT",
		"UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX",
	}
}

// environ returns the environment of the programs of a job, whose scratch
// directory is tmp. They ask a proxy for the machine itself too, where they are
// given one: their own 127.0.0.1 has no registry.
func (b *Builder) environ(tmp string, names []string, more ...string) []string {
	env := []string{"PATH=" + b.getenv("PATH"), "HOME=" + tmp, "TMPDIR=" + tmp, "TMP=" + tmp, "TEMP=" + tmp, "LANG=C.UTF-8", "NO_PROXY=", "no_proxy="}
	for _, name := range append(trust(), names...) {
		if v := b.getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return append(env, more...)
}

// npmHosts returns the hosts that npm and bun install from.
func (b *Builder) npmHosts() ([]string, error) {
	return b.hosts(npmSettings(), "registry.npmjs.org:443")
}

// pipHosts returns the hosts that pip and uv install from.
func (b *Builder) pipHosts() ([]string, error) {
	return b.hosts(pipSettings(), "pypi.org:443", "files.pythonhosted.org:443")
}

// hosts returns those of the addresses in some settings besides the usual ones.
// An address with a password in it would be read by everything that members
// install.
func (b *Builder) hosts(names []string, usual ...string) ([]string, error) {
	all := usual
	for _, name := range names {
		for word := range strings.FieldsSeq(b.getenv(name)) {
			u, err := url.Parse(word)
			if err != nil || u.Host == "" {
				continue // a directory, or a number
			}
			if u.User != nil {
				return nil, fmt.Errorf("%s in the broker's environment has a user in its address, which members could read: the operator has to give one without", name)
			}
			port := u.Port()
			if port == "" && u.Scheme == "http" {
				port = "80"
			} else if port == "" {
				port = "443"
			}
			if h := hostPort(u.Hostname(), port); !slices.Contains(all, h) {
				all = append(all, h)
			}
		}
	}
	return all, nil
}

// look finds a program in the broker's PATH.
func (b *Builder) look(name string) (string, error) {
	for _, dir := range filepath.SplitList(b.getenv("PATH")) {
		if !filepath.IsAbs(dir) {
			continue
		}
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p, nil
		}
	}
	return "", missing(name)
}

// missing says how to come by a program that this machine lacks.
func missing(name string) error {
	how := map[string]string{
		"git":     "its operator can install git (apt-get install git)",
		"node":    "its operator can install Node.js (https://nodejs.org, or apt-get install nodejs)",
		"npm":     "its operator can install npm, which comes with Node.js (https://nodejs.org, or apt-get install npm)",
		"bun":     "its operator can install bun (https://bun.sh), or deploy with the runtime node",
		"python3": "its operator can install Python (apt-get install python3 python3-venv)",
	}
	if hint, ok := how[name]; ok {
		return fmt.Errorf("the broker's machine has no %s: %s", name, hint)
	}
	return errors.New("the broker's machine has no " + name)
}
