package lend

import (
	"bufio"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestServersEndWithAHostThatIsKilled(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), playing+"=host")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	cmd.Process.Kill()
	cmd.Wait()
	if err != nil || !strings.Contains(line, "content") {
		t.Fatalf("%q, %v", line, err)
	}
	pids := strings.Fields(text(t, []byte(line)))
	server, err := strconv.Atoi(pids[0])
	if err != nil {
		t.Fatal(err)
	}
	if child, err := strconv.Atoi(pids[1]); err == nil {
		defer syscall.Kill(child, syscall.SIGKILL) // the system ends what the host has started, not what that has
	}
	for range 500 {
		if syscall.Kill(server, 0) != nil || isZombie(pids[0]) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d is still there", server)
}
