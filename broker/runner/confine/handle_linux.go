package confine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A handle is what the broker has of one cell.
type handle struct {
	files   []*os.File // that the supervisor inherits, in the order of its descriptors
	control *net.UnixConn
	proxy   *proxy // nil: none
	groups  *groups
	group   string // directory of its control group; empty: none
	log     *slog.Logger

	wg    sync.WaitGroup // for listen
	ended *End           // how the program did, if its supervisor said so, once listen is over
	once  sync.Once
}

// hold makes what is needed to start a cell, and listens for what its
// supervisor says.
func (c *Confiner) hold(s *spec, l Limits, unreached func(host, why string)) (_ *handle, err error) {
	h := &handle{log: c.opts.Log}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("connection to the cell: %w", err)
	}
	h.files = append(h.files, os.NewFile(uintptr(pair[1]), "control"))
	ours := os.NewFile(uintptr(pair[0]), "control")
	conn, err := net.FileConn(ours)
	ours.Close()
	if err != nil {
		return nil, fmt.Errorf("connection to the cell: %w", err)
	}
	h.control = conn.(*net.UnixConn)
	f, err := s.file()
	if err != nil {
		return nil, err
	}
	h.files = append(h.files, f)
	group, err := c.group(l.withDefaults())
	if err != nil {
		return nil, err
	}
	h.files = append(h.files, group)
	if s.Cgroup {
		h.groups, h.group = c.groups, group.Name()
	}
	if s.Proxy {
		allowed, err := ParseAllowed(l.Network)
		if err != nil {
			return nil, err
		}
		h.proxy = newProxy(allowed, c.opts, unreached)
	}
	h.wg.Go(h.listen)
	return h, nil
}

// group makes a control group, or opens something in its place where there are none.
func (c *Confiner) group(l Limits) (*os.File, error) {
	if c.groups == nil {
		return os.Open(os.DevNull)
	}
	return c.groups.make(l)
}

// command is the command that starts the cell.
func (h *handle) command(ctx context.Context, c *Confiner, s *spec) *exec.Cmd {
	// What runs is this very program, whatever has become of its file.
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args, cmd.Env, cmd.Dir = []string{arg0, "hold"}, []string{"GOMAXPROCS=1"}, "/"
	cmd.ExtraFiles = h.files
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if s.Spaces {
		cmd.Args[1] = "supervise"
		spaces(cmd.SysProcAttr, c.can.userNS, s.Loopback)
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}

// listen takes what the supervisor says until it is gone.
func (h *handle) listen() {
	buf, rights := make([]byte, maxNotice), make([]byte, unix.CmsgSpace(4))
	for {
		n, oobn, _, _, err := h.control.ReadMsgUnix(buf, rights)
		if err != nil || n == 0 {
			return
		}
		var said notice
		if err := json.Unmarshal(buf[:n], &said); err != nil {
			h.log.Error("the supervisor of a service is not understood", "err", err)
			return
		}
		if said.Ended != nil {
			h.ended = said.Ended
		}
		if !said.Proxy || h.proxy == nil {
			continue
		}
		l, err := listener(rights[:oobn])
		if err != nil {
			h.log.Error("a service has no way out to the network", "err", err)
			continue
		}
		h.proxy.serve(l)
	}
}

// listener takes over a listener that came with a notice.
func listener(rights []byte) (net.Listener, error) {
	msgs, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, err
	}
	if len(msgs) != 1 {
		return nil, errors.New("the supervisor sent no listener")
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(fds[0])
	f := os.NewFile(uintptr(fds[0]), "listener")
	defer f.Close()
	return net.FileListener(f)
}

// close waits for the supervisor, which ends when this end of the connection does,
// and for the proxy.
func (h *handle) close() error {
	h.once.Do(func() {
		for _, f := range h.files {
			f.Close()
		}
		if h.control != nil {
			h.control.CloseWrite()
			h.control.SetReadDeadline(time.Now().Add(2 * endWithin))
			h.wg.Wait()
			h.control.Close()
		}
		if h.proxy != nil {
			h.proxy.close()
		}
		if h.group != "" {
			h.groups.remove(h.group)
		}
	})
	if h.ended != nil {
		return h.ended
	}
	return nil
}
