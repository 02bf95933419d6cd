package confine

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// What a cell has where its limits do not say, and what they may say.
const (
	DefaultMemoryMB  = 256
	DefaultProcesses = 128
	MinMemoryMB      = 32
	MaxMemoryMB      = 1 << 20
	MinProcesses     = 16 // a runtime has a dozen threads before it has done anything
	MaxProcesses     = 1 << 15
	MinCPUs          = 0.01
	MaxCPUs          = 1024
	MaxNetwork       = 64 // entries of Limits.Network
)

const (
	nice       = 10                     // of a cell's processes: a tenth of the weight of what else runs
	watchEvery = 250 * time.Millisecond // where the supervisor holds the limit of memory
	countEvery = 50 * time.Millisecond  // and that of processes, which double in less
)

// AllNetwork in Limits.Network is the network of the machine itself.
const AllNetwork = "*"

// Limits are what a cell may use at most.
type Limits struct {
	MemoryMB  int      // MiB of all its processes together; 0 is DefaultMemoryMB
	CPUs      float64  // of the machine's processors, such as 0.5; 0 is no limit, but below what else runs
	Processes int      // processes and threads together; 0 is DefaultProcesses
	Network   []string // nil: none; AllNetwork alone: the machine's; else hosts as ParseAllowed reads them
}

// withDefaults fills in what the limits do not say.
func (l Limits) withDefaults() Limits {
	if l.MemoryMB == 0 {
		l.MemoryMB = DefaultMemoryMB
	}
	if l.Processes == 0 {
		l.Processes = DefaultProcesses
	}
	return l
}

// check returns what is wrong with the limits wherever they are to hold.
func (l Limits) check() error {
	switch {
	case l.MemoryMB != 0 && (l.MemoryMB < MinMemoryMB || l.MemoryMB > MaxMemoryMB):
		return fmt.Errorf("memory_mb must be %d to %d", MinMemoryMB, MaxMemoryMB)
	case math.IsNaN(l.CPUs) || l.CPUs != 0 && (l.CPUs < MinCPUs || l.CPUs > MaxCPUs):
		return fmt.Errorf("cpus must be %v to %v", MinCPUs, MaxCPUs)
	case l.Processes != 0 && (l.Processes < MinProcesses || l.Processes > MaxProcesses):
		return fmt.Errorf("processes must be %d to %d", MinProcesses, MaxProcesses)
	case len(l.Network) > MaxNetwork:
		return fmt.Errorf("network_allow may have %d entries at most", MaxNetwork)
	case l.allNetwork() && len(l.Network) > 1:
		return errors.New(`network_allow is either "*" alone, which is everything, or a list of hosts`)
	case l.allNetwork():
		return nil
	}
	_, err := ParseAllowed(l.Network)
	return err
}

// allNetwork reports whether the cell is on the network of the machine.
func (l Limits) allNetwork() bool { return slices.Contains(l.Network, AllNetwork) }
