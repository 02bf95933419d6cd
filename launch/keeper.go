package launch

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"claudemesh/peer"
)

const (
	keeperName   = "keeper.json"
	keeperLock   = "keeper.lock"
	keeperLog    = "wake.log"
	keeperStarts = 20 * time.Second
	keeperEnds   = 15 * time.Second // with a host that it has to stop
	maxLogBytes  = 1 << 20          // after which a log is begun anew
)

// keeperFile says which process waits for mail of a closed session. Removing
// it ends that process.
type keeperFile struct {
	pidFile
	Token string `json:"token"`
}

// errKept says that another keeper waits for mail of the session.
var errKept = errors.New("another process waits for its mail already")

// claimKeeper makes this process the one keeper of a session, until release.
func (h *Host) claimKeeper(id string) (token string, release func(), err error) {
	dir := h.sessionDir(id)
	unlock, err := peer.TryLock(filepath.Join(dir, keeperLock))
	switch {
	case err != nil:
		return "", nil, err
	case unlock == nil:
		return "", nil, errKept
	}
	f := keeperFile{pidFile{os.Getpid(), peer.ProcessStart(os.Getpid())}, rand.Text()}
	data, err := json.Marshal(f)
	if err == nil {
		err = writeNew(filepath.Join(dir, keeperName), data, 0o600)
	}
	if err != nil {
		unlock()
		return "", nil, err
	}
	return f.Token, unlock, nil
}

// keeperOf returns the keeper of a session, zero if none runs.
func (h *Host) keeperOf(id string) keeperFile {
	f := readKeeper(h.sessionDir(id))
	if !f.runs() {
		return keeperFile{}
	}
	return f
}

// readKeeper returns what is written down in a session's directory.
func readKeeper(dir string) (f keeperFile) {
	data, err := os.ReadFile(filepath.Join(dir, keeperName))
	if err != nil || json.Unmarshal(data, &f) != nil {
		return keeperFile{}
	}
	return f
}

// Woken returns the ids of the sessions that mail wakes while they are closed.
func (h *Host) Woken() (ids []string) {
	entries, err := os.ReadDir(filepath.Join(h.ConfigDir, "launched"))
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if peer.ValidHostSession(e.Name()) && h.keeperOf(e.Name()).PID != 0 {
			ids = append(ids, e.Name())
		}
	}
	return ids
}

// startKeeper starts the process that waits for mail of a session once it is
// closed, and waits until it is there. It outlives us.
func (h *Host) startKeeper(ctx context.Context, id string, wakesPerHour int) error {
	log, err := h.wakeLog(id)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(h.Executable, "keep", "--wakes-per-hour", fmt.Sprint(wakesPerHour), id)
	cmd.Env, cmd.Stdout, cmd.Stderr = hostEnviron(), log, log
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start what wakes the session: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // it outlives us, and so this
	ctx, cancel := context.WithTimeout(ctx, keeperStarts)
	defer cancel()
	for h.keeperOf(id).PID != cmd.Process.Pid {
		select {
		case err := <-ended:
			return fmt.Errorf("what wakes the session ended at once (%v); %s says why", err, log.Name())
		case <-ctx.Done():
			return fmt.Errorf("what wakes the session does not start; %s may say why", log.Name())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// StopWaking ends the process that waits for mail of a closed session, with
// the host that it may just have woken, and reports whether there was one. What
// had not been reported as seen is offered to the session again.
func (h *Host) StopWaking(ctx context.Context, id string) (stopped bool, err error) {
	if !peer.ValidHostSession(id) {
		return false, fmt.Errorf("%q is no id of a session", id)
	}
	if h.keeperOf(id).PID == 0 {
		return false, nil
	}
	dir := h.sessionDir(id)
	if err := os.Remove(filepath.Join(dir, keeperName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, keeperEnds)
	defer cancel()
	for {
		unlock, err := peer.TryLock(filepath.Join(dir, keeperLock))
		switch {
		case errors.Is(err, fs.ErrNotExist): // it has tidied up
			return true, nil
		case err != nil:
			return true, err
		case unlock != nil:
			unlock()
			return true, nil
		}
		select {
		case <-ctx.Done():
			return true, fmt.Errorf("the process that wakes the session does not end; %s may say why", filepath.Join(dir, keeperLog))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// wakeLog is the file that the keeper of a session writes to.
func (h *Host) wakeLog(id string) (*os.File, error) {
	path := filepath.Join(h.sessionDir(id), keeperLog)
	if info, err := os.Stat(path); err == nil && info.Size() > maxLogBytes {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
}

const maxLive = 1000 // sessions of the host that are looked at

// running reports whether a process has the session: the one that it was
// launched as, one that the host has written down, or one that answers for it.
// A session that is open must not be resumed beside: that would fork it.
func (h *Host) running(id string) bool {
	if inUseBy(filepath.Join(h.sessionDir(id), pidName)) {
		return true
	}
	names, err := filepath.Glob(filepath.Join(h.Dir, "sessions", "*.json"))
	if err == nil && slices.ContainsFunc(names[:min(len(names), maxLive)], func(name string) bool { return hasSession(name, id) }) {
		return true
	}
	_, err = peer.DialSession(id)
	return err == nil
}

// hasSession reports whether a file of the host says that a process which
// runs has the session.
func hasSession(name, id string) bool {
	var s struct {
		PID       int    `json:"pid"`
		SessionID string `json:"sessionId"`
	}
	data, _, err := readSettings(name)
	return err == nil && json.Unmarshal(data, &s) == nil && s.SessionID == id && peer.ProcessStart(s.PID) != ""
}
