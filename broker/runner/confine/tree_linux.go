package confine

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const endWithin = 10 * time.Second // for killed processes to be gone

// descendants returns the processes that this one has started, and those have, as
// /proc numbers them.
func descendants() []int {
	if _, err := os.Stat("/proc/self/task/" + strconv.Itoa(unix.Gettid()) + "/children"); err != nil {
		if _, err := os.Stat("/proc/thread-self/children"); err != nil {
			return descendantsByParent()
		}
	}
	var all []int
	next := []string{"self"}
	for len(next) > 0 {
		children := childrenOf(next[0])
		next = next[1:]
		for _, pid := range children {
			all = append(all, pid)
			next = append(next, strconv.Itoa(pid))
		}
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

// descendantsByParent is for kernels that do not tell children.
func descendantsByParent() (all []int) {
	d, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	byParent := make(map[int][]int)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if b, err := os.ReadFile("/proc/" + name + "/stat"); err == nil {
			byParent[parentIn(b)] = append(byParent[parentIn(b)], pid)
		}
	}
	self, _ := os.Readlink("/proc/self")
	me, _ := strconv.Atoi(self)
	next := []int{me}
	for len(next) > 0 {
		children := byParent[next[0]]
		all, next = append(all, children...), append(next[1:], children...)
	}
	return all
}

// parentIn reads the parent out of /proc/<pid>/stat, in which the name in
// brackets may contain anything.
func parentIn(stat []byte) int {
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(f) < 2 {
		return -1
	}
	n, err := strconv.Atoi(f[1])
	if err != nil {
		return -1
	}
	return n
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
	pids := descendants()
	for _, pid := range pids {
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err == nil {
			u.add(b)
		}
	}
	switch limit := v.spec.Memory; {
	case v.spec.WatchMemory && u.memory > limit && sharedOnce(pids, u.memory) > limit:
		return fmt.Sprintf("its processes used more than the %d MiB of memory that it has", limit>>20)
	case v.spec.WatchProcesses && u.tasks > v.spec.Processes:
		return fmt.Sprintf("it had more than the %d processes and threads that it may have", v.spec.Processes)
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

// endAll ends whatever is left. The first process of a pid namespace only has to
// end itself for that.
func (v *supervisor) endAll(empty <-chan struct{}) {
	if v.spec.Spaces {
		return
	}
	late := time.After(endWithin)
	for {
		if v.spec.Cgroup {
			writeAt(groupFD, "cgroup.kill", "1")
		}
		// Stopped ones start no others while the rest is being found.
		for _, sig := range []unix.Signal{unix.SIGSTOP, unix.SIGKILL} {
			for _, pid := range descendants() {
				unix.Kill(pid, sig)
			}
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
