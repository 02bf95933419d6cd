package peer

import (
	"strconv"
	"syscall"
)

// queryLimited is PROCESS_QUERY_LIMITED_INFORMATION.
const queryLimited = 0x1000

// ProcessStart tells a process from others that had its id before: when it
// started, in words of the system's own. It is empty if there is no such
// process, or if it has ended.
func ProcessStart(pid int) string {
	h, err := syscall.OpenProcess(queryLimited, false, uint32(pid))
	if err != nil {
		return ""
	}
	defer syscall.CloseHandle(h)
	var created, ended, kernel, user syscall.Filetime
	if syscall.GetProcessTimes(h, &created, &ended, &kernel, &user) != nil || ended.Nanoseconds() > created.Nanoseconds() {
		return ""
	}
	return strconv.FormatInt(created.Nanoseconds(), 10)
}
