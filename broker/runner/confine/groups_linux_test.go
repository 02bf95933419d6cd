package confine

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A tree of files stands for a cgroup file system. In the real one writing to
// cgroup.subtree_control adds to it, and directories come with their files; what is held
// here is which files are written, and with what.

func groupTree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestTheControlGroupIsFound(t *testing.T) {
	for _, c := range []struct{ name, mounts, self, want string }{
		{"systemd", "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n", "0::/system.slice/m.service\n", "/sys/fs/cgroup/system.slice/m.service"},
		{"beside version 1", "31 23 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n32 23 0:28 / /sys/fs/cgroup/unified rw shared:4 - cgroup2 cgroup2 rw\n", "4:memory:/x\n0::/y\n", "/sys/fs/cgroup/unified/y"},
		{"a container", "30 23 0:26 /docker/1 /sys/fs/cgroup ro - cgroup2 cgroup rw\n", "0::/docker/1/a\n", "/sys/fs/cgroup/a"},
		{"outside of what is mounted", "30 23 0:26 /docker/1 /sys/fs/cgroup ro - cgroup2 cgroup rw\n", "0::/other\n", ""},
		{"version 1", "31 23 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n", "4:memory:/x\n", ""},
		{"nothing", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := groupOf(c.mounts, c.self); got != c.want || (err == nil) != (c.want != "") {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestABrokerAloneInItsGroupDividesIt(t *testing.T) {
	root := groupTree(t, map[string]string{
		"m.service/cgroup.procs": "42\n", "m.service/cgroup.type": "domain\n", "m.service/cgroup.subtree_control": "overwritten memory pids\n",
		"m.service/" + ownGroup + "/cgroup.procs": "",
	})
	g, err := divideOwn(filepath.Join(root, "m.service"), 42)
	if err != nil || !g.memory || !g.pids {
		t.Fatalf("%v", err)
	}
	if b, _ := os.ReadFile(filepath.Join(root, "m.service", ownGroup, "cgroup.procs")); string(b) != "42" {
		t.Errorf("the broker stays where it was: %q", b)
	}
}

func TestABrokerThatHasLeftItsGroupStaysWhereItIs(t *testing.T) {
	root := groupTree(t, map[string]string{
		"m.service/cgroup.subtree_control": "memory pids cpu", "m.service/" + ownGroup + "/cgroup.procs": "42\n", "m.service/" + ownGroup + "/cgroup.type": "domain\n",
	})
	g, err := findGroups("30 23 0:26 / "+root+" rw - cgroup2 cgroup2 rw\n", "0::/m.service/"+ownGroup+"\n", 42)
	if err != nil || g.base != filepath.Join(root, "m.service") || !g.cpu {
		t.Errorf("%+v, %v", g, err)
	}
	other := &groups{base: root}
	g = &groups{base: root}
	for range 3 {
		for _, g := range []*groups{g, other} {
			f, err := g.make(Limits{})
			if err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
	}
}

func TestABrokerWithOthersInItsGroupUsesTheOneAbove(t *testing.T) {
	root := groupTree(t, map[string]string{
		"app.slice/cgroup.subtree_control": "memory pids", "app.slice/term.scope/cgroup.procs": "41\n42\n", "app.slice/term.scope/cgroup.type": "domain\n",
	})
	mounts := "30 23 0:26 / " + root + " rw - cgroup2 cgroup2 rw\n"
	g, err := findGroups(mounts, "0::/app.slice/term.scope\n", 42)
	if err != nil || g.base != filepath.Join(root, "app.slice") || !g.memory || !g.pids || g.cpu {
		t.Errorf("%+v, %v", g, err)
	}
	if err := os.WriteFile(filepath.Join(root, "app.slice/cgroup.subtree_control"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if g, err := findGroups(mounts, "0::/app.slice/term.scope\n", 42); !errors.Is(err, errNoGroups) {
		t.Errorf("%+v, %v", g, err)
	}
}

func TestAGroupSaysWhatTheLimitsSay(t *testing.T) {
	g := &groups{memory: true, pids: true, cpu: true}
	var all []string
	for _, s := range g.settings(Limits{MemoryMB: 256, Processes: 50, CPUs: 0.5}) {
		all = append(all, s.file+"="+s.value)
	}
	want := "memory.max=268435456 memory.swap.max=0 memory.oom.group=1 pids.max=50 cpu.weight=20 cpu.max=50000 100000"
	if got := strings.Join(all, " "); got != want {
		t.Errorf("%s", got)
	}
	if n := oomKills("low 0\noom 1\noom_kill 3\noom_group_kill 1\n"); n != 3 {
		t.Errorf("%d", n)
	}
}

func TestGroupsOfKilledBrokersAreSweptAndOthersStay(t *testing.T) {
	root := t.TempDir()
	gone, mine := filepath.Join(root, groupPrefix+"999999999-1"), filepath.Join(root, groupPrefix+strconv.Itoa(os.Getpid())+"-7")
	own := filepath.Join(root, ownGroup)
	if err := errors.Join(os.Mkdir(gone, 0o755), os.Mkdir(mine, 0o755), os.Mkdir(own, 0o755)); err != nil {
		t.Fatal(err)
	}
	holds := func(want map[string]bool) {
		t.Helper()
		for dir, want := range want {
			if _, err := os.Stat(dir); (err == nil) != want {
				t.Errorf("%s: %v", dir, err)
			}
		}
	}
	g := &groups{base: root}
	g.sweep()
	holds(map[string]bool{gone: false, mine: true, own: true})
	f, err := g.make(Limits{})
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	g.removeAll()
	holds(map[string]bool{f.Name(): false, mine: true, own: true})
}
