package main

import (
	"fmt"
	"os"
	"strings"
)

// peakMemory returns the most memory, in bytes, that the broker has held since
// it was started.
func (p *process) peakMemory() (int64, bool) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, false
	}
	_, rest, ok := strings.Cut(string(status), "VmHWM:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); !ok || err != nil {
		return 0, false
	}
	return kib << 10, true
}
