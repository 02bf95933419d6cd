package confine

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// A spec is what the broker tells the supervisor of a cell, and that the
// program that becomes the cell's. It goes through a file without a name: in
// arguments and environment others could read it.
type spec struct {
	Args, Env []string
	Dir, Work string
	Home, Tmp string
	Data      string   // hidden
	Write     []string // may be changed
	Read      []string // outside of Dir

	UID      int  // of its own; -1: the broker's
	Spaces   bool // it has namespaces
	Proc     bool // /proc is to be mounted
	Loopback bool // it has a network of its own
	Proxy    bool // with a way out
	Cgroup   bool // descriptor 5 is its control group
	Landlock int
	Filter   bool

	Memory    int64 // bytes of all processes together
	Processes int   // and threads
	// What the supervisor holds itself, for the system does not.
	WatchMemory, WatchProcesses bool
	Data1                       int64 // bytes of one process's private memory; 0: no limit
	NProc                       int   // the user may have; 0: no limit
	Nice                        int
}

// The descriptors that a supervisor has beside the standard ones, and that the
// second stage has.
const (
	controlFD = 3 // to the broker: ends when the broker does
	specFD    = 4
	groupFD   = 5

	enterSpecFD = 3
)

// file returns a file without a name that holds the spec.
func (s *spec) file() (*os.File, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate("cell", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd: %w", err)
	}
	f := os.NewFile(uintptr(fd), "cell")
	if _, err := f.Write(b); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// readSpec reads and closes the spec that this process was given.
func readSpec(fd uintptr) (*spec, error) {
	f := os.NewFile(fd, "cell")
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 16<<20))
	if err != nil {
		return nil, err
	}
	s := new(spec)
	return s, json.Unmarshal(b, s)
}

// A notice is what a supervisor tells the broker.
type notice struct {
	Ended *End `json:"ended,omitempty"` // how the program ended, unless its exit status says it
	Proxy bool `json:"proxy,omitempty"` // the listener of the proxy comes with it
}

const maxNotice = 4 << 10
