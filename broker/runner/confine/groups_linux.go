package confine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Groups is where cells get control groups (cgroup v2) and what these limit.
type groups struct {
	base              string // directory whose children are the cells'
	memory, pids, cpu bool
	next              atomic.Int64
	made              sync.Map // directories of cells
}

const (
	groupPrefix = "claudemesh-" // of a cell's group; the broker's process id and a number follow
	ownGroup    = "claudemesh-broker"
	cpuPeriod   = 100_000 // µs
)

// errNoGroups is why there are none on most machines, and what to do.
var errNoGroups = errors.New("the broker has no control group (cgroup v2) that it may divide; run it as a systemd service with Delegate=yes, or with systemd-run --user --scope -p Delegate=yes")

// findGroups finds the control group that this process may divide: its own, where it is
// alone in it, which it then leaves for one below, for a group that is divided has no
// processes; or else the one above, where that is divided already and is ours to use.
func findGroups(mounts, self string, pid int) (*groups, error) {
	own, err := groupOf(mounts, self)
	if err != nil {
		return nil, err
	}
	ways := []func() (*groups, error){
		func() (*groups, error) { return divideOwn(own, pid) },
		func() (*groups, error) { return useAbove(own) },
	}
	if filepath.Base(own) == ownGroup {
		slices.Reverse(ways) // it was left for this one already
	}
	for _, way := range ways {
		if g, err := way(); err == nil {
			g.sweep()
			return g, nil
		}
	}
	return nil, errNoGroups
}

// groupOf returns the directory of this process's control group, by the contents of
// /proc/self/mountinfo and /proc/self/cgroup.
func groupOf(mounts, self string) (string, error) {
	var path string
	for line := range strings.Lines(self) {
		if p, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			path = p
		}
	}
	for line := range strings.Lines(mounts) {
		f := strings.Fields(line)
		dash := slices.Index(f, "-")
		if dash < 6 || len(f) < dash+2 || f[dash+1] != "cgroup2" {
			continue
		}
		root, point := f[3], f[4]
		if rel, err := filepath.Rel(root, path); path != "" && err == nil && filepath.IsLocal(rel) {
			return filepath.Join(point, rel), nil
		}
	}
	return "", errNoGroups
}

// divideOwn has the children of the own group be limited.
func divideOwn(own string, pid int) (*groups, error) {
	procs, err := os.ReadFile(filepath.Join(own, "cgroup.procs"))
	if err != nil {
		return nil, err
	}
	root := false // the one group that may have both processes and divided children
	if _, err := os.Stat(filepath.Join(own, "cgroup.type")); errors.Is(err, fs.ErrNotExist) {
		root = true
	}
	if !root {
		if strings.TrimSpace(string(procs)) != strconv.Itoa(pid) {
			return nil, errors.New("there are other processes in the broker's control group")
		}
		leaf := filepath.Join(own, ownGroup)
		if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		if err := writeGroup(leaf, "cgroup.procs", strconv.Itoa(pid)); err != nil {
			return nil, err
		}
	}
	for _, controller := range []string{"memory", "pids", "cpu"} {
		writeGroup(own, "cgroup.subtree_control", "+"+controller) // whether it is there is read below
	}
	g, err := dividedAt(own)
	if err != nil && !root {
		writeGroup(own, "cgroup.procs", strconv.Itoa(pid)) // as it was
		os.Remove(filepath.Join(own, ownGroup))
	}
	return g, err
}

// useAbove uses the group above, in which systemd has a user's programs.
func useAbove(own string) (*groups, error) {
	g, err := dividedAt(filepath.Dir(own))
	if err != nil {
		return nil, err
	}
	return g, unix.Access(g.base, unix.W_OK)
}

// dividedAt looks what is limited for the children of a group.
func dividedAt(dir string) (*groups, error) {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
	if err != nil {
		return nil, err
	}
	has := strings.Fields(string(b))
	g := &groups{
		base: dir, memory: slices.Contains(has, "memory"), pids: slices.Contains(has, "pids"), cpu: slices.Contains(has, "cpu"),
	}
	if !g.memory && !g.pids && !g.cpu {
		return nil, errors.New("no controllers")
	}
	return g, nil
}

// sweep removes what brokers have left that were killed.
func (g *groups) sweep() {
	left, _ := filepath.Glob(filepath.Join(g.base, groupPrefix+"[0-9]*"))
	for _, dir := range left {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), groupPrefix), "-")
		if n, err := strconv.Atoi(pid); err == nil && errors.Is(unix.Kill(n, 0), unix.ESRCH) {
			writeGroup(dir, "cgroup.kill", "1")
			os.Remove(dir)
		}
	}
}

// make makes the group of one cell and opens its directory.
func (g *groups) make(l Limits) (_ *os.File, err error) {
	var dir string
	for made := false; !made; {
		dir = filepath.Join(g.base, fmt.Sprintf("%s%d-%d", groupPrefix, os.Getpid(), g.next.Add(1)))
		err := os.Mkdir(dir, 0o755)
		if err != nil && !errors.Is(err, fs.ErrExist) { // another Confiner's of this process
			return nil, fmt.Errorf("control group: %w", err)
		}
		made = err == nil
	}
	defer func() {
		if err != nil {
			os.Remove(dir)
		}
	}()
	for _, s := range g.settings(l) {
		if err := writeGroup(dir, s.file, s.value); err != nil && !(s.optional && errors.Is(err, fs.ErrNotExist)) {
			return nil, fmt.Errorf("control group: %w", err)
		}
	}
	g.made.Store(dir, nil)
	return os.Open(dir)
}

type groupSetting struct {
	file, value string
	optional    bool
}

// settings are the files of a group, by cgroup-v2.rst of the kernel.
func (g *groups) settings(l Limits) (all []groupSetting) {
	if g.memory {
		all = append(all,
			groupSetting{"memory.max", strconv.Itoa(l.MemoryMB << 20), false},
			groupSetting{"memory.swap.max", "0", true}, // not there without swap accounting
			groupSetting{"memory.oom.group", "1", true},
		)
	}
	if g.pids {
		all = append(all, groupSetting{"pids.max", strconv.Itoa(l.Processes), false})
	}
	if g.cpu {
		all = append(all, groupSetting{"cpu.weight", "20", true})
		if l.CPUs != 0 {
			all = append(all, groupSetting{"cpu.max", fmt.Sprintf("%d %d", int(l.CPUs*cpuPeriod), cpuPeriod), false})
		}
	}
	return all
}

// removeAll removes the groups of all cells.
func (g *groups) removeAll() {
	g.made.Range(func(dir, _ any) bool {
		g.remove(dir.(string))
		return true
	})
}

// remove ends what is in a group and removes it.
func (g *groups) remove(dir string) {
	g.made.Delete(dir)
	for range 100 {
		writeGroup(dir, "cgroup.kill", "1")
		if err := os.Remove(dir); err == nil || errors.Is(err, fs.ErrNotExist) {
			return
		}
		time.Sleep(10 * time.Millisecond) // nobody tells when the last process is gone
	}
}

func writeGroup(dir, file, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// try starts a process in a group, which older kernels and some containers refuse.
func (g *groups) try(ctx context.Context) error {
	f, err := g.make(Limits{MemoryMB: DefaultMemoryMB, Processes: DefaultProcesses, CPUs: 1})
	if err != nil {
		return err
	}
	defer g.remove(f.Name())
	defer f.Close()
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args, cmd.Env = []string{arg0, "nothing"}, []string{"GOMAXPROCS=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(f.Fd())}
	return cmd.Run()
}

// probeGroups finds out whether cells can have control groups.
func (c *Confiner) probeGroups(ctx context.Context) (*groups, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	self, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, errNoGroups
	}
	g, err := findGroups(string(mounts), string(self), os.Getpid())
	if err != nil {
		return nil, err
	}
	if err := g.try(ctx); err != nil {
		return nil, fmt.Errorf("the broker's control group serves nothing: %w", err)
	}
	return g, nil
}
