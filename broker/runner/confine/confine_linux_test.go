package confine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// newCell returns a cell with a directory of its own and the machine's network.
func newCell(t *testing.T, args ...string) Cell {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "service")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return Cell{Dir: dir, Args: args, Limits: Limits{Network: []string{AllNetwork}}}
}

// playing returns a cell in which this program plays a part.
func playing(t *testing.T, part ...string) Cell {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cell := newCell(t, append([]string{exe, "play"}, part...)...)
	cell.Read = []string{exe}
	return cell
}

// run runs a program in a cell and returns what it said, and how it ended.
func run(t *testing.T, c *Confiner, cell Cell) (string, error) {
	t.Helper()
	p, err := c.Command(t.Context(), cell)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	p.Stdout, p.Stderr = &out, &out
	err = p.Run()
	if cerr := p.Close(); cerr != nil {
		err = cerr
	}
	return out.String(), err
}

func TestACellHasItsDirectoryAndLittleElse(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Confiner) {
		secret := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(secret, []byte("hush"), 0o644); err != nil {
			t.Fatal(err)
		}
		cell := newCell(t, "sh", "-c", `
			cat "$1"; cat <"$1"; cp "$1" home/copy; ln "$1" home/link; cat home/link; echo over >"$1"
			cat /proc/$PPID/environ; cat /proc/$3/environ >home/environ && echo readable; cat /etc/shadow | grep root; ls "$2"
			echo mine >home/a && cat home/a; echo mine >tmp/a && mv tmp/a home/b && cat home/b
			echo bad >source; rm given; mkdir d; cat given
			echo "$HOME $TMPDIR $(id -u) $(umask)"
			true >/dev/null && echo null`, "sh", secret, filepath.Dir(secret), strconv.Itoa(os.Getpid()))
		cell.Env = []string{"GIVEN=1"}
		if err := os.WriteFile(cell.Dir+"/given", []byte("given\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := run(t, c, cell)
		if err != nil {
			t.Error(err)
		}
		for _, want := range []string{"mine\nmine\n", "given\n", cell.Dir + "/home " + cell.Dir + "/tmp ", "null\n"} {
			if !strings.Contains(out, want) {
				t.Errorf("%q is missing in:\n%s", want, out)
			}
		}
		for _, bad := range []string{"hush", "GOMAXPROCS", "readable", "root:", "\nsecret\n"} {
			if strings.Contains(out, bad) {
				t.Errorf("%q is in:\n%s", bad, out)
			}
		}
		if b, err := os.ReadFile(secret); string(b) != "hush" {
			t.Errorf("what it may not change is %q, %v", b, err)
		}
		for _, name := range []string{"source", "d"} {
			if _, err := os.Stat(filepath.Join(cell.Dir, name)); err == nil {
				t.Errorf("it has made %s", name)
			}
		}
	})
}

func TestACellMayWriteWhereItIsTold(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Confiner) {
		cell := newCell(t, "sh", "-ec", "echo made >made; mkdir -p a/b; mv made a/b; cat a/b/made; ln -s a l; chmod +x a/b/made")
		cell.Work = filepath.Join(cell.Dir, "source")
		cell.Write = []string{cell.Work}
		if err := os.Mkdir(cell.Work, 0o700); err != nil {
			t.Fatal(err)
		}
		if out, err := run(t, c, cell); err != nil || out != "made\n" {
			t.Errorf("%v: %s", err, out)
		}
	})
}

func TestRuntimesRunInACell(t *testing.T) {
	for _, args := range [][]string{
		{"node", "-e", "console.log('ran', require('os').cpus().length > 0, require('os').homedir())"},
		{"npm", "--version"},
		{"python3", "-c", "import os, ssl, multiprocessing; print('ran', os.path.expanduser('~'))"},
		{"git", "--version"},
	} {
		t.Run(args[0], func(t *testing.T) {
			if _, err := exec.LookPath(args[0]); err != nil {
				t.Skip(err)
			}
			someWays(t, []string{asItIs, noSpaces}, func(t *testing.T, c *Confiner) {
				if _, err := exec.LookPath(args[0]); err != nil || os.Geteuid() != 0 && strings.Contains(os.Getenv("PATH"), "/.pyenv/") && args[0] == "python3" {
					t.Skip(args[0], " is not for this user")
				}
				if out, err := run(t, c, newCell(t, args...)); err != nil {
					t.Errorf("%v: %s", err, out)
				}
			})
		})
	}
}

func TestTheExitStatusIsPassedOn(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Confiner) {
		for script, want := range map[string]string{
			"exit 0": "<nil>", "exit 7": "exit status 7", "exit 137": "exit status 137", "kill -9 $$": "killed by SIGKILL", "kill -SEGV $$": "killed by SIGSEGV",
		} {
			if _, err := run(t, c, newCell(t, "sh", "-c", script)); fmt.Sprint(err) != want {
				t.Errorf("%s: %v", script, err)
			}
		}
		out, err := run(t, c, newCell(t, "no-such-program"))
		if err == nil || !strings.Contains(out, "there is no program no-such-program") {
			t.Errorf("%v: %s", err, out)
		}
	})
}

func TestInputAndOutputAreTheProgramsOwn(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Confiner) {
		p, err := c.Command(t.Context(), newCell(t, "sh", "-c", "exec 1>&-; cat >&2; ls -l /proc/self/fd | wc -l >&2"))
		if err != nil {
			t.Fatal(err)
		}
		in, err := p.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := p.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		p.Stderr = &said
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		if n, err := out.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("output has not ended with the program's: %d, %v", n, err)
		}
		in.Write([]byte("through\n"))
		in.Close()
		if err := errors.Join(p.Wait(), p.Close()); err != nil || !strings.HasPrefix(said.String(), "through\n") {
			t.Errorf("%v: %s", err, said.String())
		}
	})
}

func TestAProgramThatIsNotStartedIsLetGoOf(t *testing.T) {
	c := New(t.Context(), Options{})
	cell := newCell(t, "true")
	if c.can.spaces == nil {
		cell.Limits.Network = []string{"example.com"}
	}
	for range 3 {
		p, err := c.Command(t.Context(), cell)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil { // waits for all that listens to it
			t.Error(err)
		}
		if err := p.Run(); err == nil {
			t.Error("it runs when it is closed")
		}
	}
}

func TestTheLeastLimitsSufficeToStart(t *testing.T) {
	if raced {
		t.Skip("with the race detector this program takes many times the memory")
	}
	eachWay(t, func(t *testing.T, c *Confiner) {
		cell := newCell(t, "sh", "-c", "echo on; sleep 0.3 | cat")
		cell.Limits.MemoryMB, cell.Limits.Processes = MinMemoryMB, MinProcesses
		if out, err := run(t, c, cell); err != nil || out != "on\n" {
			t.Errorf("%v: %s", err, out)
		}
	})
}

func BenchmarkCell(b *testing.B) {
	c := New(b.Context(), Options{})
	dir := b.TempDir()
	for b.Loop() {
		p, err := c.Command(b.Context(), Cell{Dir: dir, Args: []string{"true"}, Limits: Limits{Network: []string{AllNetwork}}})
		if err != nil {
			b.Fatal(err)
		}
		if err := errors.Join(p.Run(), p.Close()); err != nil {
			b.Fatal(err)
		}
	}
}

func TestNoRightsAreLeft(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Confiner) {
		out, err := run(t, c, newCell(t, "sh", "-c", "cat /proc/self/status; unshare -Ur id; unshare -n id; nice; ulimit -c; ulimit -n"))
		if err != nil {
			t.Error(err)
		}
		for _, want := range []string{"CapEff:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1", "\n10\n0\n" + strconv.Itoa(maxOpenFiles) + "\n"} {
			if !strings.Contains(out, want) {
				t.Errorf("%q is missing in:\n%s", want, out)
			}
		}
		if c.can.filter && strings.Contains(out, "uid=") {
			t.Errorf("it has made a namespace:\n%s", out)
		}
	})
}

func TestSocketsOfOtherFamiliesAreRefused(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Confiner) {
		if !c.can.filter {
			t.Skip("no filter")
		}
		for family, want := range map[int]bool{
			syscall.AF_INET: true, syscall.AF_UNIX: c.can.spaces == nil, syscall.AF_PACKET: false, 40 /* vsock */ : false,
		} {
			if out, err := run(t, c, playing(t, "socket", strconv.Itoa(family))); (err == nil) != want {
				t.Errorf("family %d: %v: %s", family, err, out)
			}
		}
	})
}

func TestTheBrokerCannotBeSignalled(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Confiner) {
		if c.can.spaces != nil && c.can.landlock < 6 {
			t.Skip("neither namespaces nor a Landlock that keeps signals")
		}
		// The test would be over.
		out, err := run(t, c, playing(t, "kill", strconv.Itoa(os.Getpid())))
		if err == nil || !strings.Contains(out, "failed") {
			t.Errorf("%v: %s", err, out)
		}
	})
}

func TestThousandsOfFilesMayBeOpenAndNotMore(t *testing.T) {
	eachWay(t, func(t *testing.T, c *Confiner) {
		out, err := run(t, c, playing(t, "files"))
		f := strings.Fields(out)
		if err != nil || len(f) != 2 || f[1] != "true" {
			t.Fatalf("%v: %s", err, out)
		}
		if n, _ := strconv.Atoi(f[0]); n < 1000 || n > maxOpenFiles {
			t.Errorf("%d files", n)
		}
	})
}

func TestAnotherUserCanDoTheSame(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	if raced {
		t.Skip("what it would find is found as root")
	}
	t.Parallel()
	dir, err := os.MkdirTemp("/var/tmp", "confine")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	const nobody = 65534
	exe := filepath.Join(dir, "confine.test")
	b, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(exe, b, 0o700), os.Chown(exe, nobody, nobody), os.Chown(dir, nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.timeout=8m", "-test.skip=Proxy|Fuzz|Allowed|NoHost|Tunnels|Connections|Group|Limits")
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
