package confine

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// bomb doubles its processes over and over, which stay. Without limits it has 2048 of
// them, which is the guard of the test: that much the machine bears.
const bomb = `f() { [ $1 -gt 0 ] && { f $(($1-1)) & f $(($1-1)) & }; sleep $m; }; m=$1; f 10; wait`

func TestAForkBombIsHeld(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Confiner) {
		m := mark()
		cell := newCell(t, "sh", "-c", bomb+"; echo survived", "sh", m)
		cell.Limits.Processes = 50
		p, err := c.Command(t.Context(), cell)
		if err != nil {
			t.Fatal(err)
		}
		var said syncBuffer
		p.Stdout, p.Stderr = &said, &said
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			p.Wait()
		}()
		held := func() bool {
			select {
			case <-ended:
				return true
			default:
				return strings.Contains(said.String(), "fork")
			}
		}
		most := 0
		for began := time.Now(); !held() && time.Since(began) < time.Minute; {
			most = max(most, len(marked(m)))
		}
		if !held() {
			t.Errorf("it was not held: %s", said.String())
		}
		s := &spec{UID: -1, Spaces: c.can.spaces == nil}
		if c.can.ownUser == nil {
			s.UID = FirstUser
		}
		c.bound(s, cell.Limits)
		if most = max(most, len(marked(m))); !s.WatchProcesses && most > cell.Limits.Processes+ownThreads {
			t.Errorf("it had %d processes", most)
		}
		p.Cancel()
		<-ended
		if err := p.Close(); s.WatchProcesses && (err == nil || !strings.Contains(err.Error(), "killed by SIGKILL (too many processes and threads: limit 50)")) {
			t.Errorf("it was ended for %v", err)
		}
		if left := marked(m); len(left) > 0 {
			t.Errorf("%d are left", len(left))
		}
		t.Log("at most", most)
	})
}

func TestAMemoryHogIsEnded(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Confiner) {
		cell := playing(t, "hog", "2000")
		cell.Limits.MemoryMB = 64
		out, err := run(t, c, cell)
		if err == nil || strings.Contains(out, "has 2000") {
			t.Errorf("%v: %s", err, out)
		}
	})
}

func TestHogsThatShareAreEndedTogether(t *testing.T) {
	if raced {
		t.Skip("with the race detector this program takes many times the memory")
	}
	eachWay(t, func(t *testing.T, c *Confiner) {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cell := newCell(t, "sh", "-c", `for i in 1 2 3 4; do sleep 1000 | "$1" play hog 30 & done; wait; echo survived`, "sh", exe)
		cell.Read, cell.Limits.MemoryMB = []string{exe}, 64
		out, err := run(t, c, cell)
		if err == nil || !strings.Contains(err.Error(), "out of memory: limit 64 MiB") || strings.Contains(out, "survived") {
			t.Errorf("%v: %s", err, out)
		}
	})
}

func TestWhatIsWithinItsLimitsRuns(t *testing.T) {
	if raced {
		t.Skip("with the race detector this program takes many times the memory")
	}
	eachWay(t, func(t *testing.T, c *Confiner) {
		cell := playing(t, "hog", "40")
		cell.Limits.MemoryMB = 128
		if out, err := run(t, c, cell); err != nil || !strings.Contains(out, "has 40") {
			t.Errorf("%v: %s", err, out)
		}
	})
}

func TestLimitsThatCannotBeEnforcedAreNamed(t *testing.T) {
	none := newAbility()
	all := newAbility()
	all.spaces, all.groups, all.memory, all.pids, all.cpu = nil, nil, true, true, true
	for _, c := range []struct {
		name string
		can  ability
		l    Limits
		want string // in the error; empty: none
	}{
		{"nothing asked", all, Limits{}, ""},
		{"all asked", all, Limits{MemoryMB: 100, CPUs: 0.5, Processes: 100, Network: []string{"example.com"}}, ""},
		{"no processors", none, Limits{CPUs: 1, Network: []string{"*"}}, "cpus cannot be enforced"},
		{"no network without spaces", none, Limits{}, `network_allow ["*"]`},
		{"no list without spaces", none, Limits{Network: []string{"example.com"}}, "network_allow cannot be enforced"},
		{"all network without spaces", none, Limits{Network: []string{"*"}}, ""},
		{"little memory", all, Limits{MemoryMB: 1}, "memory_mb must be"},
		{"few processes", all, Limits{Processes: 1}, "processes must be"},
		{"few processors", all, Limits{CPUs: -1}, "cpus must be"},
		{"all and a list", all, Limits{Network: []string{"*", "example.com"}}, `"*" alone`},
		{"no host", all, Limits{Network: []string{"http://example.com"}}, "is no host"},
		{"many hosts", all, Limits{Network: strings.Fields(strings.Repeat("a ", MaxNetwork+1))}, strconv.Itoa(MaxNetwork)},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := (&Confiner{can: c.can}).Check(c.l)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v", err)
			}
		})
	}
}

// newAbility is that of a machine with Landlock alone.
func newAbility() ability {
	return ability{spaces: os.ErrPermission, ownUser: os.ErrPermission, groups: errNoGroups, landlock: 7}
}
