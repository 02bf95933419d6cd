package confine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Names below a cell's directory that are its own to change.
const (
	homeDir = "home"
	tmpDir  = "tmp"
)

// Command returns the program of a cell, not started. Its limits are checked.
func (c *Confiner) Command(ctx context.Context, cell Cell) (*Program, error) {
	if err := c.Check(cell.Limits); err != nil {
		return nil, err
	}
	s, err := c.spec(&cell)
	if err != nil {
		return nil, err
	}
	h, err := c.hold(s, cell.Limits, cell.Unreached)
	if err != nil {
		return nil, err
	}
	return &Program{Cmd: h.command(ctx, c, s), close: h.close}, nil
}

// spec works out what a cell is, and makes its directory ready.
func (c *Confiner) spec(cell *Cell) (*spec, error) {
	if len(cell.Args) == 0 || !filepath.IsAbs(cell.Dir) {
		return nil, errors.New("a cell needs a program, and a directory from the root")
	}
	// The kernel compares what paths mean, not how they are written.
	dir, err := filepath.EvalSymlinks(cell.Dir)
	if err != nil {
		return nil, err
	}
	s := &spec{
		Args: cell.Args, Env: cell.Env, Dir: dir, Work: cell.Work, Home: filepath.Join(dir, homeDir), Tmp: filepath.Join(dir, tmpDir),
		UID: -1, Spaces: c.can.spaces == nil, Proc: c.can.proc, Landlock: c.can.landlock, Filter: c.can.filter, Nice: nice,
	}
	if s.Work == "" {
		s.Work = dir
	}
	for _, w := range cell.Write {
		if w, err = filepath.EvalSymlinks(w); err != nil {
			return nil, err
		}
		if !below(w, dir) {
			return nil, fmt.Errorf("%s is not in the cell's directory", w)
		}
		s.Write = append(s.Write, w)
	}
	s.Read = c.readable(cell.Read)
	if err := c.own(s); err != nil {
		return nil, err
	}
	s.Env = environment(s, s.path())
	l := cell.Limits.withDefaults()
	s.Loopback, s.Proxy = s.Spaces && !l.allNetwork(), len(l.Network) > 0 && !l.allNetwork()
	c.bound(s, l)
	return s, nil
}

// bound says who holds the limits of memory and processes: a control group, or the
// limits of processes and users with the supervisor watching.
func (c *Confiner) bound(s *spec, l Limits) {
	s.Memory, s.Processes, s.Cgroup = int64(l.MemoryMB)<<20, l.Processes, c.groups != nil
	if !c.can.memory {
		s.WatchMemory, s.Data1 = true, s.Memory+slackMemory
	}
	switch {
	case c.can.pids:
	case s.UID >= 0:
		s.NProc = l.Processes
	case s.Spaces && c.can.userNS && !c.can.root:
		// It counts by user and user namespace, and the supervisor is in both.
		s.NProc = l.Processes + ownThreads
	default:
		// All that the user has counts, whatever started it: enough to stop a fork bomb
		// while the supervisor is on its way.
		s.WatchProcesses, s.NProc = true, l.Processes+otherTasks
	}
}

const (
	otherTasks  = 4096      // of the same user's beside the cell
	slackMemory = 256 << 20 // bytes that one process may have asked for and not used, as runtimes do
	ownThreads  = 12        // of the supervisor, which count for its user
)

// own makes the cell's directory its user's.
func (c *Confiner) own(s *spec) error {
	for _, d := range []string{s.Home, s.Tmp} {
		if err := os.Mkdir(d, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	if c.can.ownUser != nil {
		return nil
	}
	uid, err := c.user(s.Dir)
	if err != nil {
		return err
	}
	s.UID = uid
	return giveTo(s.Dir, uid)
}

// environment is what the program sees beside what it is given.
func environment(s *spec, path string) []string {
	env := slices.Clone(s.Env)
	for _, kv := range []string{"PATH=" + path, "HOME=" + s.Home, "LANG=C.UTF-8", "TMPDIR=" + s.Tmp} {
		env = withDefault(env, kv)
	}
	return env
}

// path is the PATH of a cell: the broker's, as far as the cell can read it.
func (s *spec) path() string {
	dirs := slices.DeleteFunc(filepath.SplitList(os.Getenv("PATH")), func(dir string) bool {
		return !slices.ContainsFunc(s.Read, func(p string) bool { return below(filepath.Clean(dir), p) || below(p, filepath.Clean(dir)) })
	})
	return strings.Join(slices.Compact(dirs), string(filepath.ListSeparator))
}

// system are the paths of programs and libraries, and what they must know of the
// machine, none of it secret.
func system() []string {
	paths := []string{
		"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store", "/run/current-system/sw",
		"/sys/devices/system/cpu",
	}
	for name := range strings.FieldsSeq(`alternatives ca-certificates ca-certificates.conf crypto-policies debian_version default/locale fonts
		gai.conf host.conf hosts ld.so.cache ld.so.conf ld.so.conf.d locale.alias locale.conf localtime lsb-release magic mime.types
		nsswitch.conf os-release pki/ca-trust pki/tls/cert.pem pki/tls/certs pki/tls/openssl.cnf protocols resolv.conf services
		ssl/cert.pem ssl/certs ssl/openssl.cnf static/ssl terminfo timezone`) {
		paths = append(paths, "/etc/"+name)
	}
	return paths
}

// readable are the paths outside of its directory that a cell may read.
func (c *Confiner) readable(more []string) []string {
	paths := append(system(), more...)
	for _, name := range c.opts.Programs {
		paths = append(paths, installed(name)...)
	}
	var all []string
	for _, p := range paths {
		if !filepath.IsAbs(p) {
			continue
		}
		all = append(all, filepath.Clean(p))
		if real, err := filepath.EvalSymlinks(p); err == nil {
			all = append(all, real)
		}
	}
	all = without(all, c.hidden())
	slices.Sort(all)
	return slices.Compact(all)
}

// hidden are the directories that nothing that is readable may contain: the broker's
// data, and the home directory of its user.
func (c *Confiner) hidden() (dirs []string) {
	home, _ := os.UserHomeDir()
	for _, dir := range []string{c.opts.Data, home} {
		if real, err := filepath.EvalSymlinks(dir); err == nil && filepath.IsAbs(real) && real != "/" {
			dirs = append(dirs, real)
		}
	}
	return dirs
}

// without leaves out what contains a hidden directory, which what is in it beside
// that directory takes the place of.
func without(paths, hidden []string) (all []string) {
	for _, p := range paths {
		if !slices.ContainsFunc(hidden, func(dir string) bool { return below(dir, p) }) {
			all = append(all, p)
			continue
		}
		if slices.Contains(hidden, p) {
			continue
		}
		entries, _ := os.ReadDir(p)
		for _, e := range entries {
			all = append(all, without([]string{filepath.Join(p, e.Name())}, hidden)...)
		}
	}
	return all
}

// installed are the paths of a program where it is outside of the system's: its own
// directory, and those beside it with its libraries.
func installed(name string) []string {
	path, err := exec.LookPath(name)
	if err != nil {
		return nil
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil
	}
	var paths []string
	for _, p := range []string{path, real} {
		bin := filepath.Dir(p)
		switch prefix := filepath.Dir(bin); filepath.Base(bin) {
		case "bin":
			paths = append(paths, bin, filepath.Join(prefix, "lib"), filepath.Join(prefix, "libexec"))
		case "shims": // of pyenv and its like, which look for versions beside them
			paths = append(paths, prefix)
		default:
			paths = append(paths, p)
		}
	}
	return paths
}
