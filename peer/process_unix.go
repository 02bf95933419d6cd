//go:build !linux && !windows

package peer

import (
	"os/exec"
	"strconv"
	"strings"
)

// ProcessStart tells a process from others that had its id before: when it
// started, in words of the system's own. It is empty if there is no such
// process, or if it has ended and nobody has taken note yet.
func ProcessStart(pid int) string {
	out, err := exec.Command("ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid)).Output()
	state, start, ok := strings.Cut(strings.TrimSpace(string(out)), " ")
	if err != nil || !ok || strings.HasPrefix(state, "Z") {
		return ""
	}
	return strings.TrimSpace(start)
}
