package bench

import (
	"os"
	"runtime"
	"strings"
)

// A Machine is what figures were measured on.
type Machine struct {
	CPU        string `json:"cpu,omitempty"`
	Cores      int    `json:"cores"`
	Kernel     string `json:"kernel,omitempty"`
	System     string `json:"system"`
	FileSystem string `json:"fileSystem,omitempty"`
	Go         string `json:"go"`
}

// thisMachine describes the machine, and the file system of dir.
func thisMachine(dir string) Machine {
	return Machine{
		CPU: cpuModel(), Cores: runtime.NumCPU(), Kernel: kernel(), System: runtime.GOOS + "/" + runtime.GOARCH,
		FileSystem: fileSystem(dir), Go: runtime.Version(),
	}
}

func (m Machine) String() string {
	var parts []string
	if m.CPU != "" {
		parts = append(parts, m.CPU)
	}
	parts = append(parts, plural(m.Cores, "core"), m.System)
	if m.Kernel != "" {
		parts = append(parts, "kernel "+m.Kernel)
	}
	if m.FileSystem != "" {
		parts = append(parts, m.FileSystem)
	}
	return strings.Join(append(parts, m.Go), ", ")
}

// cpuModel reads the name of the processor where Linux has it.
func cpuModel() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func kernel() string {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(release))
}

// fileSystem returns the type of the file system of dir, from the longest mount
// point that dir is below: see proc_pid_mounts(5).
func fileSystem(dir string) string {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return ""
	}
	kind, longest := "", -1
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) < 3 || len(f[1]) <= longest {
			continue
		}
		if dir == f[1] || strings.HasPrefix(dir, strings.TrimSuffix(f[1], "/")+"/") {
			kind, longest = f[2], len(f[1])
		}
	}
	return kind
}
