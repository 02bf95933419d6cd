package confine

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os/exec"
	"sync"
)

// The user ids of cells where the broker is root and no others are given: a
// range that distributions and container managers leave alone.
const (
	FirstUser = 0x70000000 // 1879048192
	UserCount = 1 << 24
)

// Options are how cells are made. The zero value, but for Data, serves.
type Options struct {
	// Data is the broker's data directory, which no cell sees but for the
	// directory of its own. Absolute.
	Data string
	// FirstUser and Users are the range of user ids out of which each
	// cell's directory has one, where the broker is root. 0: FirstUser, UserCount.
	FirstUser, Users int
	// Admits says whether cells with a list of hosts may connect to an address;
	// it is asked about each when it is connected to. nil admits none.
	Admits func(netip.Addr) bool
	// Upstream is the proxy that the broker itself uses for a request, if any. nil:
	// what HTTPS_PROXY and its like say.
	Upstream func(*http.Request) (*url.URL, error)
	// Programs are those that cells find outside the directories of the
	// system too, wherever the PATH has them. nil: node, npm, npx, bun, python3, uv, uvx, git.
	Programs []string
	// Log is told what fails aside from the programs. nil: nobody.
	Log *slog.Logger
}

// A Confiner makes cells on this machine.
type Confiner struct {
	opts   Options
	can    ability
	groups *groups // of Linux; nil: none

	mu    sync.Mutex
	users map[int]string // the directory that has a user id
	lived int            // of users that were there when it was last looked
}

// An ability is what this machine can enforce.
type ability struct {
	missing error // why there are no cells at all; else nil

	spaces   error // why there are no namespaces; nil where there are
	userNS   bool  // they need a user namespace
	root     bool  // the broker is root, and so are cells without a user of their own
	proc     bool  // /proc can be mounted in them
	landlock int   // version of Landlock; 0: none
	filter   bool  // system calls can be filtered
	ownUser  error // why cells have no user of their own; nil where they have

	groups error // why there are no control groups; nil where there are
	memory bool  // they limit memory
	pids   bool  // they limit processes
	cpu    bool  // they limit processors
}

// A Cell is a program to be confined, and in what.
type Cell struct {
	Dir    string   // what it has on disk: absolute, there, nobody else's; it sees all of it
	Write  []string // directories in Dir that it may change, beside home and tmp; none in another of these
	Read   []string // files and directories outside that it may read
	Work   string   // working directory, Dir or below; empty: Dir
	Args   []string // the program and its arguments
	Env    []string // name=value; PATH, HOME, LANG, TMPDIR and the proxies are set unless given
	Limits Limits
	// Unreached is told of hosts that the cell wanted and did not get, and why, once
	// of each and of few; never after Program.Close. nil: nobody.
	Unreached func(host, why string)
}

// A Program is a confined program that the caller starts and waits for as any
// other: its standard input, output and error are free. It ends, with all that it
// has started, when its process group is killed, by Cancel, when the context
// ends, and when the broker does, however it does.
type Program struct {
	*exec.Cmd
	close func() error
}

// Close lets go of what the program had, after Wait or where it was not
// started, and waits for it. Its error is an *End if the program was ended by a
// signal, for a limit perhaps.
func (p *Program) Close() error { return p.close() }

// An End is how a program ended that did not exit: its exit status is that of its
// supervisor.
type End struct {
	How   string `json:"how"`             // "killed by SIGKILL"
	Limit string `json:"limit,omitempty"` // that it was over; empty: none that is known
}

// Error implements error.
func (e *End) Error() string {
	if e.Limit == "" {
		return e.How
	}
	return e.How + " (" + e.Limit + ")"
}

// Check returns which of the limits cannot be enforced on this machine, why,
// and what to do; nil where all can.
func (c *Confiner) Check(l Limits) error {
	if err := l.check(); err != nil {
		return err
	}
	switch {
	case c.can.missing != nil:
		return c.can.missing
	case l.CPUs != 0 && !c.can.cpu:
		return fmt.Errorf("cpus cannot be enforced on the broker's machine: %w. Deploy without cpus", c.can.noCPU())
	case !l.allNetwork() && c.can.spaces != nil:
		what := "network_allow"
		if l.Network == nil {
			what = "having no network (network_allow left out)"
		}
		return fmt.Errorf(`%s cannot be enforced on the broker's machine: %w. Deploy with network_allow ["*"] if the service may reach all that the machine does`, what, c.can.spaces)
	}
	return nil
}

// noCPU is why processors cannot be limited, and what to do.
func (a *ability) noCPU() error {
	if a.groups != nil {
		return a.groups
	}
	return errors.New("the broker's control group lacks the controller cpu (with systemd: Delegate=yes of its service, or Delegate=cpu memory pids of user@.service)")
}
