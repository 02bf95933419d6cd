package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// tick is the unit of times in /proc/<pid>/stat: proc(5), sysconf(_SC_CLK_TCK),
// which is 100 a second on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// usageOf reads what a running process has used from /proc, see proc(5).
func usageOf(pid int) Usage {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return Usage{}
	}
	// The name of the program, in parentheses, may hold blanks.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const state, utime, stime, rss = 3, 14, 15, 24 // as proc(5) numbers them
	if len(fields) <= rss-state {
		return Usage{}
	}
	field := func(n int) int64 {
		v, _ := strconv.ParseInt(string(fields[n-state]), 10, 64) // the kernel writes digits
		return v
	}
	return Usage{
		CPU:      time.Duration(field(utime)+field(stime)) * tick,
		RSS:      field(rss) * int64(os.Getpagesize()),
		Switches: switches(dir),
	}
}

// switches sums the voluntary context switches of a process's threads.
func switches(dir string) (sum int64) {
	tasks, _ := filepath.Glob(filepath.Join(dir, "task", "*", "status"))
	for _, name := range tasks {
		status, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		_, rest, _ := bytes.Cut(status, []byte("\nvoluntary_ctxt_switches:"))
		line, _, _ := bytes.Cut(rest, []byte("\n"))
		n, _ := strconv.ParseInt(string(bytes.TrimSpace(line)), 10, 64)
		sum += n
	}
	return sum
}
