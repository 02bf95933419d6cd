package confine

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// auditArch is how filters know the architecture by whose numbers a call is made; 0
// where no filter is known to fit.
func auditArch() uint32 {
	switch runtime.GOARCH {
	case "amd64":
		return unix.AUDIT_ARCH_X86_64
	case "arm64":
		return unix.AUDIT_ARCH_AARCH64
	case "arm":
		return unix.AUDIT_ARCH_ARM
	case "riscv64":
		return unix.AUDIT_ARCH_RISCV64
	}
	return 0
}

// canFilter reports whether system calls can be filtered.
func canFilter() bool {
	action := uint32(unix.SECCOMP_RET_ERRNO)
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	return errno == 0 && auditArch() != 0
}

// refusedCalls are those that a program has no business with, and that have been ways
// out: of other processes' memory, of mounts and namespaces, of the kernel itself.
func refusedCalls() []uint32 {
	return []uint32{
		unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_KCMP, unix.SYS_PIDFD_GETFD,
		unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT, unix.SYS_MOUNT_SETATTR,
		unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_OPEN_BY_HANDLE_AT,
		unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD,
		unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
	}
}

// absentCalls are said not to exist, so that programs do with the older ones, whose
// arguments a filter can see.
func absentCalls() []uint32 {
	return []uint32{unix.SYS_CLONE3, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER}
}

const newSpaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

// Offsets in the kernel's struct seccomp_data, of which the first argument's lower half
// comes first on all of the architectures above.
const (
	offsetCall = 0
	offsetArch = 4
	offsetArg  = 16
)

// filter is the program that judges system calls. Without local sockets, none can
// be made that has a name: those of other programs are in the file system, and to connect to
// one is to ask what is behind it.
func filter(arch uint32, localSockets bool) []unix.SockFilter {
	var f assembly
	f.load(offsetArch)
	f.unless(arch, unix.ENOSYS)
	f.load(offsetCall)
	if arch == unix.AUDIT_ARCH_X86_64 {
		f.atLeast(0x40000000, unix.ENOSYS) // numbers of x32
	}
	for _, n := range refusedCalls() {
		f.when(n, unix.EPERM)
	}
	for _, n := range absentCalls() {
		f.when(n, unix.ENOSYS)
	}
	var spaces assembly
	spaces.load(offsetArg)
	spaces.anyOf(newSpaces, unix.EPERM)
	spaces.allow()
	f.call(unix.SYS_CLONE, spaces)

	var sockets assembly
	sockets.load(offsetArg)
	families := []uint32{unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}
	if localSockets {
		families = append(families, unix.AF_UNIX)
	}
	for _, family := range families {
		sockets.allowWhen(family)
	}
	sockets.refuse(unix.EACCES)
	f.call(unix.SYS_SOCKET, sockets)
	f.allow()
	return f
}

// An assembly is a program under way. Its jumps go forward over what they guard.
type assembly []unix.SockFilter

func (a *assembly) add(code uint16, k uint32, yes, no int) {
	*a = append(*a, unix.SockFilter{Code: code, Jt: uint8(yes), Jf: uint8(no), K: k})
}

func (a *assembly) load(offset uint32) { a.add(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, offset, 0, 0) }
func (a *assembly) allow()             { a.add(unix.BPF_RET, unix.SECCOMP_RET_ALLOW, 0, 0) }
func (a *assembly) refuse(e unix.Errno) {
	a.add(unix.BPF_RET, unix.SECCOMP_RET_ERRNO|uint32(e)&unix.SECCOMP_RET_DATA, 0, 0)
}

func (a *assembly) when(k uint32, e unix.Errno) {
	a.add(unix.BPF_JMP|unix.BPF_JEQ, k, 0, 1)
	a.refuse(e)
}

func (a *assembly) unless(k uint32, e unix.Errno) {
	a.add(unix.BPF_JMP|unix.BPF_JEQ, k, 1, 0)
	a.refuse(e)
}

func (a *assembly) atLeast(k uint32, e unix.Errno) {
	a.add(unix.BPF_JMP|unix.BPF_JGE, k, 0, 1)
	a.refuse(e)
}

func (a *assembly) anyOf(bits uint32, e unix.Errno) {
	a.add(unix.BPF_JMP|unix.BPF_JSET, bits, 0, 1)
	a.refuse(e)
}

func (a *assembly) allowWhen(k uint32) {
	a.add(unix.BPF_JMP|unix.BPF_JEQ, k, 0, 1)
	a.allow()
}

// call runs what judges one call, which decides in the end.
func (a *assembly) call(number uint32, judge assembly) {
	a.add(unix.BPF_JMP|unix.BPF_JEQ, number, 0, len(judge))
	*a = append(*a, judge...)
}

// filterCalls filters the system calls of this thread, and of the program that it becomes.
func filterCalls(localSockets bool) error {
	f := filter(auditArch(), localSockets)
	prog := unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	return nil
}
