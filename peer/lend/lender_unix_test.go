//go:build unix

package lend

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestServersEndWithTheirLender(t *testing.T) {
	t.Parallel()
	l := lending(t, "", nil)
	v, err := l.Call(t.Context(), "good", "pid", nil)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for _, field := range strings.Fields(text(t, v)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		gone := false
		for range 500 { // the kernel takes a moment to end what it was told to
			if gone = syscall.Kill(pid, 0) != nil || isZombie(field); gone {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if !gone {
			t.Errorf("process %d is still there", pid)
		}
	}
	if _, err := l.Call(t.Context(), "good", "echo", nil); err == nil {
		t.Error("a closed Lender starts servers")
	}
}

// isZombie reports whether a process has ended and nobody has asked how.
func isZombie(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && strings.Contains(string(stat), ") Z ")
}
