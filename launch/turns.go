package launch

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"time"

	"claudemesh/peer"
)

const (
	// maxStops is how often in a row the host lets a Stop hook go on with a
	// turn. What is offered beyond that the model would not see.
	maxStops = 8
	// maxWakes in wakeWindow are followed by a rest of wakeRest.
	maxWakes   = 6
	wakeWindow = time.Minute
	wakeRest   = 5 * time.Minute
)

// turns is what the hooks of a host process remember from run to run. It is
// kept in the runtime directory, in a file named by the process id.
type turns struct {
	Start string `json:"start"` // of the process: a later one with its id is another
	Stops int    `json:"stops"` // turns that Stop went on with, in a row
	// Wakes are the times of the last wakes, and RestUntil when the next may
	// come.
	Wakes     []time.Time `json:"wakes,omitempty"`
	RestUntil time.Time   `json:"restUntil,omitzero"`

	// What follows is remembered while no process holds the session.

	Working bool `json:"working,omitempty"` // a turn goes on
	// Announced are unseen messages whose first line was shown.
	Announced []string `json:"announced,omitempty"`
	// BrokersRest is when hooks ask the brokers for mail again.
	BrokersRest time.Time `json:"brokersRest,omitzero"`
}

// hostPID returns the process of the host program that a hook runs for.
func hostPID(getenv func(string) string) (int, error) {
	pid, err := strconv.Atoi(getenv("CLAUDE_PID"))
	if err != nil || pid <= 0 {
		return 0, errors.New("no CLAUDE_PID in the environment: this is for the host program's hooks")
	}
	return pid, nil
}

func turnsPath(pid int) (string, error) {
	dir, err := peer.RuntimeDir()
	return filepath.Join(dir, "turns-"+strconv.Itoa(pid)+".json"), err
}

// loadTurns reads what was remembered; a file that cannot be read is as none.
func loadTurns(pid int) turns {
	fresh := turns{Start: peer.ProcessStart(pid)}
	path, err := turnsPath(pid)
	if err != nil {
		return fresh
	}
	var t turns
	data, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(data, &t) != nil || t.Start != fresh.Start {
		return fresh
	}
	return t
}

// save remembers t. Two hooks at once may lose a count, which both limits bear.
func (t turns) save(pid int) error {
	path, err := turnsPath(pid)
	if err != nil {
		return err
	}
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	staged := path + "." + strconv.Itoa(os.Getpid())
	if err := writeNew(staged, data, 0o600); err != nil {
		return err
	}
	return os.Rename(staged, path)
}

// keep is save for what a hook does without where it is no hook of a host, or
// where nothing has changed.
func (t turns) keep(pid int) error {
	if pid == 0 || reflect.DeepEqual(t, loadTurns(pid)) {
		return nil
	}
	return t.save(pid)
}

// mayContinue reports whether the host would still show what Stop offers.
// active says that the turn is one that a Stop hook, or a wake, began: then
// the count goes on.
func mayContinue(getenv func(string) string, active bool) bool {
	pid, err := hostPID(getenv)
	if err != nil {
		return !active
	}
	if !active {
		forgetStops(getenv)
	}
	return loadTurns(pid).Stops < maxStops
}

func countStop(getenv func(string) string) { changeStops(getenv, func(n int) int { return n + 1 }) }

func forgetStops(getenv func(string) string) { changeStops(getenv, func(int) int { return 0 }) }

// changeStops remembers another count. Where that fails the host itself counts.
func changeStops(getenv func(string) string, to func(int) int) {
	pid, err := hostPID(getenv)
	if err != nil {
		return
	}
	t := loadTurns(pid)
	if n := to(t.Stops); n != t.Stops {
		t.Stops = n
		_ = t.save(pid)
	}
}

// woke counts a wake and reports whether it was one too many, so that a rest
// follows.
func (t *turns) woke(now time.Time) (tooMany bool) {
	var recent []time.Time
	for _, w := range t.Wakes {
		if now.Sub(w) < wakeWindow {
			recent = append(recent, w)
		}
	}
	t.Wakes = append(recent, now)
	if len(t.Wakes) < maxWakes {
		return false
	}
	t.Wakes, t.RestUntil = nil, now.Add(wakeRest)
	return true
}
