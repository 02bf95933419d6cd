//go:build linux || darwin

package bench

import "syscall"

// spareFiles are descriptors that are needed beside those of the connections.
const spareFiles = 200

// Reachable returns how many of n connections this process, and a broker that
// it starts, can have open, after it has raised the limit if it may.
func Reachable(n int) int {
	var lim syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim) != nil {
		return n
	}
	if need := uint64(n + spareFiles); lim.Cur < need {
		raised := syscall.Rlimit{Cur: need, Max: max(need, lim.Max)}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
			return n
		}
		raised = syscall.Rlimit{Cur: lim.Max, Max: lim.Max}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
			lim.Cur = lim.Max
		}
	}
	return max(0, min(n, int(lim.Cur)-spareFiles))
}
