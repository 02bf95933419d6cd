package confine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// New finds out what this machine can enforce, by trying it on a process of its own. It
// takes some milliseconds, and never fails: what cannot be enforced is refused by Check.
func New(ctx context.Context, opts Options) *Confiner {
	c := &Confiner{opts: opts, users: make(map[int]string)}
	if c.opts.FirstUser == 0 {
		c.opts.FirstUser, c.opts.Users = FirstUser, UserCount
	}
	if c.opts.Programs == nil {
		c.opts.Programs = []string{"node", "npm", "npx", "bun", "python3", "uv", "uvx", "git"}
	}
	if c.opts.Admits == nil {
		c.opts.Admits = func(netip.Addr) bool { return false }
	}
	if c.opts.Upstream == nil {
		c.opts.Upstream = http.ProxyFromEnvironment
	}
	if c.opts.Log == nil {
		c.opts.Log = slog.New(slog.DiscardHandler)
	}
	if os.Args[0] == arg0 {
		c.can.missing = errors.New("this program does not call confine.Main") // and would start itself over and over
		return c
	}
	c.can.landlock, c.can.filter = landlockVersion(), canFilter()
	c.can.root = os.Geteuid() == 0
	c.probeSpaces(ctx)
	c.probeUser()
	c.groups, c.can.groups = c.probeGroups(ctx)
	if c.groups != nil {
		c.can.memory, c.can.pids, c.can.cpu = c.groups.memory, c.groups.pids, c.groups.cpu
	}
	if c.can.spaces != nil && c.can.landlock == 0 && c.can.ownUser != nil {
		c.can.missing = fmt.Errorf("services cannot be kept from the broker's own files on its machine: there is no Landlock (Linux 5.19 and later, unless left out), and %w", c.can.spaces)
	}
	return c
}

// probeSpaces looks for namespaces: as they are, then with a user namespace, and
// with a /proc of their own, then without.
func (c *Confiner) probeSpaces(ctx context.Context) {
	for _, try := range []struct{ user, proc bool }{{false, true}, {true, true}, {true, false}, {false, false}} {
		if !try.user && !c.can.root {
			continue
		}
		if c.can.spaces = c.trySpaces(ctx, try.user, try.proc); c.can.spaces == nil {
			c.can.userNS, c.can.proc = try.user, try.proc
			return
		}
	}
	c.can.spaces = fmt.Errorf("namespaces are not to be had there (%w); containers and some distributions withhold them", c.can.spaces)
}

func (c *Confiner) trySpaces(ctx context.Context, user, proc bool) error {
	dir, err := os.MkdirTemp("", "claudemesh-probe")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s := spec{Dir: dir, Home: dir, Tmp: dir, UID: -1, Spaces: true, Proc: proc, Loopback: true}
	f, err := s.file()
	if err != nil {
		return err
	}
	defer f.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args, cmd.Env = []string{arg0, "probe"}, []string{"GOMAXPROCS=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	spaces(cmd.SysProcAttr, user, true)
	cmd.ExtraFiles = []*os.File{f}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		if s := strings.TrimSpace(said.String()); s != "" {
			return errors.New(strings.TrimPrefix(s, "claudemesh: "))
		}
		return err
	}
	return nil
}

// probeInside makes a cell as a supervisor would.
func probeInside() error {
	s, err := readSpec(enterSpecFD)
	if err != nil {
		return err
	}
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	return buildRoot(s)
}

// spaces has a process start in namespaces of its own.
func spaces(sys *syscall.SysProcAttr, user, network bool) {
	sys.Cloneflags = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
	if network {
		sys.Cloneflags |= unix.CLONE_NEWNET
	}
	if !user {
		return
	}
	sys.Cloneflags |= unix.CLONE_NEWUSER
	uid, gid := os.Geteuid(), os.Getegid()
	sys.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
	sys.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
	// The capabilities in the namespace would end with the exec that follows.
	sys.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_SETPCAP}
}

// probeUser finds out whether cells can have a user of their own.
func (c *Confiner) probeUser() {
	switch {
	case !c.can.root:
		c.can.ownUser = errors.New("the broker is not root")
	case c.can.userNS:
		c.can.ownUser = errors.New("the broker is root of a namespace only")
	case c.can.spaces != nil:
		c.can.ownUser = errors.New("without namespaces another user could not reach what is in the broker's directory")
	default:
		c.can.ownUser = c.tryUser()
	}
}

func (c *Confiner) tryUser() error {
	dir, err := os.MkdirTemp("", "claudemesh-probe")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	last := c.opts.FirstUser + c.opts.Users - 1
	if err := os.Lchown(dir, last, last); err != nil {
		return fmt.Errorf("the range of user ids for services, %d to %d, is not to be had here: %w", c.opts.FirstUser, last, err)
	}
	return nil
}

// Close ends what is left of cells whose programs were not closed. No further ones may
// be made.
func (c *Confiner) Close() error {
	if c.groups != nil {
		c.groups.removeAll()
	}
	return nil
}
