package confine

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// writeAt writes a file of the control group whose directory is open.
func writeAt(dir int, name, value string) error {
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: name, Err: err}
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	_, err = f.WriteString(value)
	return err
}

// outOfMemory returns that the system ended processes of the cell for the
// memory of all of them, if it did.
func (v *supervisor) outOfMemory() string {
	if !v.spec.Cgroup {
		return ""
	}
	fd, err := unix.Openat(groupFD, "memory.events", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	f := os.NewFile(uintptr(fd), "memory.events")
	defer f.Close()
	b := make([]byte, 4<<10)
	n, _ := f.Read(b)
	if oomKills(string(b[:n])) == 0 {
		return ""
	}
	return outOfMemory(v.spec.Memory)
}

// outOfMemory is the limit of memory, in bytes, that a program was over.
func outOfMemory(limit int64) string {
	return fmt.Sprintf("out of memory: limit %d MiB", limit>>20)
}

// oomKills reads how many processes were ended out of memory.events.
func oomKills(events string) int {
	for line := range strings.Lines(events) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "oom_kill" {
			n, _ := strconv.Atoi(f[1])
			return n
		}
	}
	return 0
}
