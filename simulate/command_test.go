//go:build unix

package simulate

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestCommandsAreBounded(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no sh on this machine")
	}
	t.Setenv("CLAUDEMESH_CONFIG_DIR", "secret")
	for _, c := range []struct {
		name, script string
		timeout      time.Duration
		out, failure string
	}{
		{"it reads its input", "cat", time.Minute, "input", ""},
		{"it hangs", "sleep 1000", 50 * time.Millisecond, "", "did not end within 50ms and was killed"},
		{"what it started hangs", "sleep 1000 & sleep 1000", 50 * time.Millisecond, "", "did not end within 50ms and was killed"},
		{"it talks too much", "yes", time.Minute, "", "printed more than 64 KiB and was killed"},
		{"it fails", "echo no reason >&2; exit 3", time.Minute, "", "exit status 3: no reason"},
		{"it does not read", "exec <&-; echo done", time.Minute, "done\n", ""},
		{"it is no session of ours", "echo \"[$CLAUDEMESH_CONFIG_DIR]\"", time.Minute, "[]\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := runCommand(t.Context(), []string{"sh", "-c", c.script}, []byte("input"), c.timeout)
			if string(out) != c.out || (err == nil) != (c.failure == "") || err != nil && !strings.Contains(err.Error(), c.failure) {
				t.Errorf("it printed %q and failed by %v", out, err)
			}
		})
	}
}

func TestACommandLeavesNothingBehind(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("this system does not tell of processes")
	}
	out, err := runCommand(t.Context(), []string{"sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!"}, nil, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return // it is gone, or nobody has asked how it ended
		}
	}
	t.Errorf("process %d lives on", pid)
}

func TestWhatACommandPrintsIsHeldToTheFormat(t *testing.T) {
	for _, c := range []struct {
		name, out, failure string
		queued             int
	}{
		{"nothing", " \n", "", 0},
		{"a text is a reply", "I am here", "", 1},
		{"JSON of another kind is a text", `{"a": 1}`, "", 1},
		{"a sim_action among other words", "Sure:\n```json\n{\"type\":\"sim_action\",\"actions\":[{\"action\":\"reply\",\"text\":\"yes\"},{\"action\":\"send\",\"to\":\"@team\",\"text\":\"all\"}]}\n```", "", 2},
		{"somebody unknown", `{"type":"sim_action","actions":[{"action":"send","to":"bert","text":"x"}]}`, `"bert" is nobody to send to`, 0},
		{"a key of others", `{"type":"sim_action","actions":[{"action":"set","key":"deploy","value":1}]}`, "does not begin with sim:", 0},
		{"a key", `{"type":"sim_action","actions":[{"action":"set","key":"sim:a","value":1}]}`, "", 1},
		{"an action without a world", `{"type":"sim_action","actions":[{"action":"move","target":"x"}]}`, "there is no world", 0},
		{"too many", `{"type":"sim_action","actions":[` + strings.Repeat(`{"action":"reply","text":"x"},`, 30) + `{"action":"reply","text":"x"}]}`, "", maxProposals},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rehearse(t, team)
			ann := r.byName["ann"]
			err := ann.obey(&message{from: "cleo", to: "ann", id: "m"}, []byte(c.out))
			if len(ann.queue) != c.queued || (err == nil) != (c.failure == "") || err != nil && !strings.Contains(err.Error(), c.failure) {
				t.Errorf("%d things are done, and the failure is %v", len(ann.queue), err)
			}
		})
	}
}
