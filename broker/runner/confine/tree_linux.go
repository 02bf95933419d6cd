package confine

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const endWithin = 30 * time.Second // for killed processes to be gone

// descendants returns the processes that this one has started, and those have, as
// /proc numbers them; so many at most. Each is given to found before its own are looked for.
func descendants(most int, found func(pid int)) []int {
	children := childrenOf
	if _, err := os.Stat("/proc/thread-self/children"); err != nil {
		children = childrenByParent()
	}
	var all []int
	next := []string{"self"}
	for len(next) > 0 && len(all) < most {
		for _, pid := range children(next[0]) {
			found(pid)
			all = append(all, pid)
			next = append(next, strconv.Itoa(pid))
		}
		next = next[1:]
	}
	return all
}

// childrenOf asks every thread of a process for what it has started.
func childrenOf(pid string) (children []int) {
	dir := "/proc/" + pid + "/task"
	f, err := os.Open(dir)
	if err != nil {
		return nil // it has ended
	}
	defer f.Close()
	threads, _ := f.Readdirnames(-1)
	for _, thread := range threads {
		b, _ := os.ReadFile(dir + "/" + thread + "/children")
		for _, s := range strings.Fields(string(b)) {
			if n, err := strconv.Atoi(s); err == nil {
				children = append(children, n)
			}
		}
	}
	return children
}

// childrenByParent is childrenOf for kernels that do not tell children: as they are now.
func childrenByParent() func(pid string) []int {
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	byParent := make(map[string][]int)
	for _, path := range all {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			continue
		}
		if b, err := os.ReadFile(path); err == nil {
			parent := parentIn(b)
			byParent[parent] = append(byParent[parent], pid)
		}
	}
	self, _ := os.Readlink("/proc/self")
	byParent["self"] = byParent[self]
	return func(pid string) []int { return byParent[pid] }
}

// parentIn reads the parent out of /proc/<pid>/stat, in which the name in
// brackets may contain anything.
func parentIn(stat []byte) string {
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(f) < 2 {
		return ""
	}
	return f[1]
}

// A use is what processes have of the machine.
type use struct {
	memory int64 // bytes of their own, in memory or swapped out
	tasks  int   // processes and threads
}

// add counts a process by its /proc/<pid>/status.
func (u *use) add(status []byte) {
	for sc := bufio.NewScanner(bytes.NewReader(status)); sc.Scan(); {
		name, value, _ := strings.Cut(sc.Text(), ":")
		f := strings.Fields(value)
		if len(f) == 0 {
			continue
		}
		n, err := strconv.ParseInt(f[0], 10, 64)
		if err != nil {
			continue
		}
		switch name {
		case "RssAnon", "RssShmem", "VmSwap":
			u.memory += n << 10
		case "Threads":
			u.tasks += int(n)
		}
	}
}

// over returns which limit all processes of the cell together are over, if any.
func (v *supervisor) over() string {
	var u use
	most := math.MaxInt
	if v.spec.WatchProcesses {
		most = v.spec.Processes + 1 // there may be very many more
	}
	pids := descendants(most, func(int) {})
	for _, pid := range pids {
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err == nil {
			u.add(b)
		}
	}
	switch limit := v.spec.Memory; {
	case v.spec.WatchMemory && u.memory > limit && sharedOnce(pids, u.memory) > limit:
		return outOfMemory(limit)
	case v.spec.WatchProcesses && u.tasks > v.spec.Processes:
		return fmt.Sprintf("too many processes and threads: limit %d", v.spec.Processes)
	}
	return ""
}

// sharedOnce counts the memory of processes again, what several share in parts, as
// after a fork. It costs more, and where the system does not tell it the sum stands.
func sharedOnce(pids []int, sum int64) int64 {
	var exact int64
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		switch {
		case os.IsNotExist(err):
			continue // it has ended
		case err != nil:
			return sum
		}
		for line := range strings.Lines(string(b)) {
			name, value, _ := strings.Cut(line, ":")
			if name != "Pss_Anon" && name != "Pss_Shmem" && name != "SwapPss" {
				continue
			}
			if f := strings.Fields(value); len(f) > 0 {
				n, _ := strconv.ParseInt(f[0], 10, 64)
				exact += n << 10
			}
		}
	}
	return exact
}

// endDescendants ends whatever this process or those below it have started. empty is
// closed when there are none; group says that they have a control group.
func endDescendants(empty <-chan struct{}, group bool) {
	late := time.After(endWithin)
	for {
		if group {
			writeAt(groupFD, "cgroup.kill", "1")
		}
		// Stopped ones start no others while theirs are being found.
		for _, pid := range descendants(math.MaxInt, func(pid int) { unix.Kill(pid, unix.SIGSTOP) }) {
			unix.Kill(pid, unix.SIGKILL)
		}
		select {
		case <-empty:
			return
		case <-late:
			return
		case <-time.After(time.Millisecond):
		}
	}
}
