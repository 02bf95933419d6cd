package peer

import (
	"bytes"
	"fmt"
	"os"
)

// ProcessStart tells a process from others that had its id before: when it
// started, in words of the system's own. It is empty if there is no such
// process, or if it has ended and nobody has taken note yet.
func ProcessStart(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The name, in brackets, may have blanks and brackets; behind it are the
	// fields from the third, which is the state, and the 22nd is the start.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 || bytes.Equal(fields[0], []byte("Z")) {
		return ""
	}
	return string(fields[19])
}
